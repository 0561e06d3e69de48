"""What a sentence-transformers folder says of its transformer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skraee import Backbone
from skraee.backbone.sentence_folder import SentenceSettings, sentence_settings
from tests.support.checkpoints import change_settings, saved
from tests.support.sentence_folders import sentence_folder


def load(folder: Path) -> Any:
    return Backbone(folder).load("float32", "cpu")


def test_transformer_in_a_folder_of_its_own_is_found(tmp_path: Path) -> None:
    old = sentence_folder(tmp_path / "old", "all-MiniLM-L6-v2", "0_Transformer")
    new = sentence_folder(tmp_path / "new", "all-MiniLM-L6-v2")
    # The first releases of the library wrote a config.json of their own.
    (old / "config.json").write_text(json.dumps({"__version__": "1.0.0"}))
    assert load(old).fingerprint == load(new).fingerprint
    assert load(old).sentence == load(new).sentence == SentenceSettings(("mean",), 64)


def test_folder_that_the_library_writes_today_says_the_same(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    for name in ("Qwen3-Embedding-0.6B", "bge-small-en-v1.5"):
        folder = sentence_folder(tmp_path / name, name)
        change_settings(folder, "sentence_bert_config.json", max_seq_length=50)
        again = tmp_path / f"{name} again"
        library.SentenceTransformer(str(folder), device="cpu").save(str(again))
        found, expected = load(again), load(folder)
        assert (found.pooling, found.usual_length) == (expected.pooling, 50)
        assert found.sentence.prompts.items() >= expected.sentence.prompts.items()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pooling_mode_mean_tokens": True}, ("cls", "mean")),
        ({"pooling_mode": "lasttoken"}, ("last",)),
        ({"pooling_mode": ["max", "mean"]}, ("max", "mean")),
        ({"pooling_mode_cls_token": False}, ("mean",)),
        ({"pooling_mode": "weightedmean"}, ()),
        ({"pooling_mode_weightedmean_tokens": True}, ()),
        ({"include_prompt": False}, ()),
    ],
)
def test_pooling_is_read_in_either_form(
    changes: dict[str, Any], expected: tuple[str, ...], tmp_path: Path
) -> None:
    folder = sentence_folder(tmp_path, "bge-small-en-v1.5")
    change_settings(folder, "1_Pooling/config.json", **changes)
    settings = sentence_settings(folder)
    assert settings is not None
    assert settings.pooling == expected


def test_what_does_not_matter_may_be_missing(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path, "all-MiniLM-L6-v2")
    for name in ("1_Pooling/config.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    assert load(folder).sentence == SentenceSettings((), 64)
    modules = [{"type": "custom.Odd", "path": ""}]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert load(folder).pooling == ()


def test_letters_are_lowered_where_the_folder_says_so(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path, "all-mpnet-base-v2")
    texts = ["A Film", "a film"]
    upper, lower = load(folder).tokenizer.plain(texts, first=True)
    assert upper != lower
    change_settings(folder, "sentence_bert_config.json", do_lower_case=True)
    tokenizer = load(folder).tokenizer
    assert tokenizer.plain(texts, first=True) == [lower, lower]
    assert tokenizer.prefix_ids


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", "[{", r"modules\.json in .* cannot be read .*fetch it again"),
        ("modules.json", '["a"]', r"modules\.json in .* cannot be read"),
        (
            "modules.json",
            '[{"type": "T"}]',
            r"modules\.json in .* \(KeyError: 'path'\)",
        ),
        (
            "modules.json",
            '[{"type": "x.Transformer", "path": "../other"}]',
            r"a module lies at '\.\./other'",
        ),
        ("1_Pooling/config.json", "[]", r"config\.json in .* list at the top"),
        ("1_Pooling/config.json", '{"pooling_mode": 7}', "pooling_mode is 7, no name"),
        ("modules.json", "{}", r"modules\.json in .* \(a dict where modules"),
        ("sentence_bert_config.json", "{", r"sentence_bert_config\.json in .* cannot"),
        ("sentence_bert_config.json", '{"max_seq_length": "9"}', "is '9', no number"),
        ("sentence_bert_config.json", '{"max_seq_length": -3}', "is -3, no number"),
        ("config_sentence_transformers.json", '{"prompts": ["a"]}', "no names with"),
        ("config.json", "[]", r"config\.json in .* \(a list at the top\); fetch"),
        ("config.json", "{", r"config\.json in .* cannot be read \(JSONDecodeError"),
        ("config.json", "{}", r"config\.json in .* \(it names no model_type\)"),
    ],
)
def test_damaged_file_is_one_clear_error(
    file: str, content: str, message: str, tmp_path: Path
) -> None:
    folder = sentence_folder(tmp_path, "all-MiniLM-L6-v2")
    (folder / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_encoder_without_layers_is_refused(tmp_path: Path) -> None:
    modules = [{"type": "sentence_transformers.models.StaticEmbedding", "path": ""}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match="are StaticEmbedding: none is a Transformer"):
        load(tmp_path)


def test_setfit_folder_is_its_body_and_its_pickle_is_not_read(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path, "all-mpnet-base-v2")
    before = load(folder)
    (folder / "model_head.pkl").write_bytes(b"cos\nabort\n(tR.")
    with pytest.warns(
        UserWarning, match=r"\(model_head\.pkl\), which is left"
    ) as caught:
        found = Backbone(folder).load("bfloat16", "cpu")
    told = [str(w.message) for w in caught]
    assert len([text for text in told if "no instructions for" not in text]) == 1
    assert found.pooling == before.pooling


def test_object_of_a_folder_is_pooled_as_the_folder_says(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = sentence_folder(tmp_path / "encoder", "all-MiniLM-L6-v2")
    parts = (kind.from_pretrained(folder) for kind in (AutoModel, AutoTokenizer))
    named, made = load(folder), Backbone(*parts).load("float32", "cpu")
    assert made.sentence == named.sentence
    saved(tmp_path / "plain")
    assert load(tmp_path / "plain").sentence is None
