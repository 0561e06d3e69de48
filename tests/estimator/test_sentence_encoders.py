"""Sentence encoders' folders as backbones, laid out as their hubs have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packaging.version import Version
from sklearn.base import clone

from skraee import Backbone, EarlyExitClassifier, RAEEClassifier, templates, toy
from skraee.engine import depth_states
from skraee.engine.head import final_norms
from skraee.exceptions import BackboneChangedError, TruncationWarning
from skraee.readout.averages import LeftOutAverage
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper, open_sweeper
from skraee.text.template import Template
from tests.support.answers import assert_same_answers
from tests.support.checkpoints import change_settings
from tests.support.sentence_folders import PUBLISHED, sentence_folder

X, Y = toy.reviews(60)
X_NEW = [*toy.reviews(12, seed=1)[0], "", "a lovely film " * 5]

POOLED = {
    "cls": lambda states: states[0],
    "mean": lambda states: states.mean(0),
    "max": lambda states: states.max(0).values,
    "last": lambda states: states[-1],
}


@pytest.fixture(params=PUBLISHED)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return sentence_folder(tmp_path / request.param, request.param)


def sweeper_of(folder: Path, template: str = "{text}", **settings: Any) -> Sweeper:
    made = SweepSettings(
        Backbone(folder),
        Template(template),
        dtype="float32",
        by_states=True,
        by_keys=False,
        **settings,
    )
    return open_sweeper(made, "cpu", "auto")


def swept(sweeper: Sweeper, texts: list[str]) -> np.ndarray:
    states = sweeper.sweep([(text,) for text in texts], ()).states
    assert states is not None
    return states


def own_part(sweeper: Sweeper) -> tuple[str, int]:
    """Return the folder's pooling, and which part of the states it is."""
    (how,) = sweeper.backbone.pooling
    kinds = sweeper.state_kinds
    return how, kinds.index(how) if how in kinds else kinds.index("read")


def test_the_folders_pooling_is_that_of_the_models_own_states(folder: Path) -> None:
    sweeper = sweeper_of(folder)
    found, (how, part) = swept(sweeper, X_NEW[:5]), own_part(sweeper)
    model = sweeper.backbone.model
    stack = model.get_submodule(sweeper.backbone.family.stacks[0])
    (norm,) = final_norms(sweeper.backbone)
    for states, prompt in zip(
        found, sweeper.prompts.encode([(x,) for x in X_NEW[:5]]), strict=True
    ):
        with torch.no_grad():
            ids = torch.tensor([prompt.ids])
            own = stack(input_ids=ids, output_hidden_states=True)
        # The library's last one is that behind the final norm.
        depths = [norm(depth[0]) for depth in own.hidden_states[:-1]]
        expected = [POOLED[how](d) for d in (*depths, own.last_hidden_state[0])]
        np.testing.assert_allclose(
            states[:, part], torch.stack(expected).detach(), atol=2e-5
        )


def read_by_library(folder: Path) -> Any:
    library = pytest.importorskip("sentence_transformers")
    is_new = '"embedding_dimension"' in (folder / "1_Pooling/config.json").read_text()
    if is_new and Version(library.__version__) < Version("6"):
        pytest.skip("the newer form of the pooling is unknown to this release")
    return library.SentenceTransformer(str(folder), device="cpu")


def test_the_last_depth_has_the_librarys_own_embedding(folder: Path) -> None:
    encoder = read_by_library(folder)
    sweeper = sweeper_of(folder)
    _, part = own_part(sweeper)
    texts = [*X_NEW[:5], "A LOVELY Film"]
    pooled = type(encoder)(modules=[encoder[0], encoder[1]], device="cpu")
    expected = pooled.encode(texts)
    np.testing.assert_allclose(swept(sweeper, texts)[:, -1, part], expected, atol=2e-5)


def test_a_sentence_encoder_is_a_backbone(folder: Path, tmp_path: Path) -> None:
    clf = EarlyExitClassifier(folder, threshold=0.7, dtype="float32", memory=None)
    clf.fit(X, Y)
    together = clf.predict_proba(X_NEW)
    alone = np.concatenate([clf.predict_proba([text]) for text in X_NEW])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    rows = np.arange(len(X_NEW)), clf.exit_layers(X_NEW)
    np.testing.assert_allclose(together, clf.layer_proba(X_NEW)[rows], atol=1e-5)
    clf.save(tmp_path / "clf")
    loaded = EarlyExitClassifier.load(tmp_path / "clf")
    assert_same_answers(loaded, clf, texts=X_NEW, atol=0)


# The folder's pooling, kept or left out


def encoder_clf(folder: Path, cls: Any = EarlyExitClassifier, **params: Any) -> Any:
    if cls is RAEEClassifier:
        params = {"template": "{text}", "readout": "ridge", "k": 5, **params}
    return cls(folder, dtype="float32", budget=0.7, **params)


@pytest.fixture(params=[True, False], ids=["kept", "left out"])
def is_kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    def decided(average: LeftOutAverage, other: LeftOutAverage) -> bool:
        kept: bool = request.param
        return kept

    monkeypatch.setattr(LeftOutAverage, "is_surely_better_than", decided)
    kept: bool = request.param
    return kept


@pytest.mark.usefixtures("fresh_sweeps")
@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
@pytest.mark.parametrize("cls", [EarlyExitClassifier, RAEEClassifier])
def test_predict_computes_the_pooling_only_where_it_is_read(
    cls: Any, is_kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sentence_folder(tmp_path / "model", "bge-small-en-v1.5")
    clf = encoder_clf(folder, cls, memory=tmp_path / "memory").fit(X[:40], Y[:40])
    assert clf._fitted.ridge.parts.tolist() == [0, 1, 2][: 2 + is_kept]
    swept_before = clf.sweep(X[:40])
    assert swept_before.states.shape[2] == 3
    asked: list[str] = []
    pooled = depth_states.pooled

    def note(how: Any, *args: Any) -> torch.Tensor:
        asked.append(how)
        return pooled(how, *args)

    monkeypatch.setattr(depth_states, "pooled", note)
    found, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    assert set(asked) == ({"cls"} if is_kept else set())
    rows = np.arange(len(X_NEW)), exits
    np.testing.assert_allclose(found, clf.layer_proba(X_NEW)[rows], atol=1e-5)
    clf.save(tmp_path / "clf")
    assert_same_answers(cls.load(tmp_path / "clf"), clf, texts=X_NEW, atol=0)
    of_sweep = encoder_clf(folder, cls).fit_sweep(swept_before, Y[:40])
    np.testing.assert_allclose(of_sweep.predict_proba(X_NEW), found, atol=1e-6)
    clf.partial_fit(X[40:], Y[40:])
    whole = encoder_clf(folder, cls).fit(X, Y)
    np.testing.assert_allclose(
        clf.layer_proba(X_NEW), whole.layer_proba(X_NEW), atol=1e-5
    )


def test_a_sweep_without_the_pooling_is_refused(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path, "e5-base-v2")
    sweep = encoder_clf(folder).sweep(X)
    (folder / "modules.json").unlink()
    with pytest.raises(
        ValueError, match=r"the sweep holds 3 states .* give 2; make it"
    ):
        encoder_clf(folder).fit_sweep(sweep, Y)


def test_another_pooling_is_another_backbone(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "model", "e5-base-v2")
    clf = encoder_clf(folder, memory=None).fit(X, Y)
    clf.save(tmp_path / "clf")
    flags = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    change_settings(folder, "1_Pooling/config.json", **flags)
    with pytest.raises(BackboneChangedError, match="configuration and modules"):
        clf.predict(X_NEW)


def test_a_saved_readout_names_a_pooling_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeftOutAverage, "is_surely_better_than", lambda *_: True)
    folder = sentence_folder(tmp_path / "model", "e5-base-v2")
    encoder_clf(folder, memory=None).fit(X, Y).save(tmp_path / "clf")
    (folder / "modules.json").unlink()
    clf = EarlyExitClassifier.load(tmp_path / "clf")
    with pytest.raises(BackboneChangedError, match="named another pooling at fit"):
        clf.predict(X_NEW)


# Prompts and lengths


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "Qwen3-Embedding-0.6B",
            {"query": "Instruct: answer\nQuery:{text}", "document": "{text}"},
        ),
        (
            "snowflake-arctic-embed-m",
            {"query": "Represent this {{sentence}}: {text}"},
        ),
        ("all-MiniLM-L6-v2", {}),
    ],
)
def test_prompts_of_a_folder_are_templates(
    name: str, expected: dict[str, str], tmp_path: Path
) -> None:
    folder = sentence_folder(tmp_path, name)
    assert templates.of_backbone(folder) == expected
    assert templates.of_backbone(Backbone(folder)) == expected
    for template in expected.values():
        Template(template)


def test_a_default_prompt_comes_first(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path, "Qwen3-Embedding-0.6B")
    change_settings(
        folder, "config_sentence_transformers.json", default_prompt_name="document"
    )
    assert list(templates.of_backbone(folder)) == ["document", "query"]


def test_prompts_have_the_tokens_that_the_library_gives_them(folder: Path) -> None:
    encoder = read_by_library(folder)
    for name, words in Backbone(folder).prompts().items():
        sweeper = sweeper_of(folder, templates.of_backbone(folder)[name])
        (prompt,) = sweeper.prompts.encode([("a lovely film",)])
        assert list(prompt.ids) == encoder.tokenizer(words + "a lovely film").input_ids


def test_a_text_is_read_as_far_as_the_encoder_was_trained_to(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path, "all-MiniLM-L6-v2")
    long = [("film " * 100,)]
    with pytest.warns(TruncationWarning, match="prompts of 64 tokens"):
        (usual,) = sweeper_of(folder).prompts.encode(long)
    (whole,) = sweeper_of(folder, max_length=160).prompts.encode(long)
    assert (len(usual.ids), len(whole.ids)) == (64, 102)
    with pytest.raises(ValueError, match="max_length must be at most 160"):
        sweeper_of(folder, max_length=161)


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
def test_the_length_at_fit_holds_where_a_folder_says_another_one_later(
    tmp_path: Path,
) -> None:
    folder = sentence_folder(tmp_path / "folder", "all-MiniLM-L6-v2")
    clf = EarlyExitClassifier(folder, threshold=0.9, dtype="float32", memory=None)
    clf.fit(X, Y).save(tmp_path / "file")
    long = ["film " * 70 + X[0]]
    expected = clf.predict_proba(long)
    change_settings(folder, "sentence_bert_config.json", max_seq_length=128)
    again = EarlyExitClassifier.load(tmp_path / "file")
    np.testing.assert_array_equal(again.predict_proba(long), expected)
    anew = clone(clf).fit(X, Y).predict_proba(long)
    assert not np.array_equal(anew, expected)


def test_label_words_of_a_last_token_encoder_are_read_of_an_open_prompt(
    tmp_path: Path,
) -> None:
    folder = sentence_folder(tmp_path, "Qwen3-Embedding-0.6B")
    closed = sweeper_of(folder)
    settings = SweepSettings(Backbone(folder), Template("{text}"), dtype="float32")
    opened = settings.prompt_encoder(closed.backbone)
    (long,), (short,) = (p.encode([("a film",)]) for p in (closed.prompts, opened))
    end = closed.backbone.tokenizer.suffix_ids
    assert (long.ids, long.read) == (short.ids + end, len(short.ids))
    assert short.read == len(short.ids) - 1
