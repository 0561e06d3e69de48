"""Saved estimators: the same answers, the same backbone, and nothing but data."""

from __future__ import annotations

import datetime
import itertools
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skraee import (
    Backbone,
    EarlyExitClassifier,
    Encoder,
    RAEEClassifier,
    Template,
    clear_backbones,
    toy,
)
from skraee import versions as versions_module
from skraee.classifier_cv import RAEEClassifierCV
from skraee.estimator.fitted import FittedByConfidence, FittedByNeighbors
from skraee.exceptions import (
    BackboneChangedError,
    BackboneDriftWarning,
    BackboneMissingError,
    FileFormatError,
    VersionSkewWarning,
)
from skraee.persistence import archive
from skraee.persistence.plain_values import from_plain, to_plain
from skraee.sweep.settings import SweepSettings
from tests.support.classifiers import early_exit, raee
from tests.support.files import change_array, change_manifest
from tests.support.models import toy_objects
from tests.support.saved import at, change

DATA = Path(__file__).parents[1] / "data"
KINDS = list(toy.TEMPLATES)
X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(30, seed=1)
NUMBERS = (Y == "positive").astype(int)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clf.skraee"


@pytest.fixture
def folder(tmp_path: Path, fresh_backbones: None) -> Path:
    """A toy backbone as people have theirs: in a folder."""
    model, tokenizer = toy_objects()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def encoder_folder(tmp_path: Path) -> Path:
    model, tokenizer = toy_objects(seed=3)
    model.bert.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def change_json(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def fill_with_weights(folder: Path, seed: int) -> None:
    """Put other weights into a folder, as someone who trains on does."""
    clear_backbones()
    model, _ = toy_objects(seed=seed)
    owner = model if (folder.name == "model") else model.bert
    owner.save_pretrained(folder)


def manifest_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as members:
        manifest: dict[str, Any] = json.loads(members.read("manifest.json"))
    return manifest


def assert_same_answers(one: Any, other: Any, texts: Any = X_NEW) -> None:
    for method in ("predict", "predict_proba", "exit_layers", "kneighbors"):
        expected, found = getattr(one, method)(texts), getattr(other, method)(texts)
        np.testing.assert_array_equal(found, expected, strict=True)
    np.testing.assert_array_equal(other.layer_proba(texts), one.layer_proba(texts))


def assert_same_fit(one: Any, other: Any) -> None:
    assert other.classes_.dtype == one.classes_.dtype
    np.testing.assert_array_equal(other.classes_, one.classes_)
    np.testing.assert_array_equal(other.layer_scores_, one.layer_scores_, strict=True)
    assert other.n_layers_ == one.n_layers_
    assert other.n_samples_fit_ == one.n_samples_fit_
    assert {n for n in vars(other) if n[0] != "_"} == {
        n for n in vars(one) if n[0] != "_"
    }
    assert repr(other) == repr(one)


def saved_and_loaded(clf: Any, path: Path) -> Any:
    clf.save(path)
    loaded = type(clf).load(path)
    assert_same_fit(clf, loaded)
    return loaded


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoder", [None, 2])
def test_every_kind_of_backbone_comes_back(kind: Any, encoder: Any, path: Path) -> None:
    clf = raee(kind, encoder=encoder).fit(X, Y)
    assert_same_answers(clf, saved_and_loaded(clf, path))


SETTINGS: dict[str, dict[str, Any]] = {
    "correct": {"database": "correct"},
    "exact cosine": {"index": "exact", "metric": "cosine"},
    "template": {"template": Template("{{so}} {text} it was {mask}.")},
    "numpy": {"k": np.int64(3), "tau": np.float32(0.7), "encoder": np.int64(1)},
    "types": {"dtype": torch.float32, "device": torch.device("cpu")},
    "cut": {"max_length": 9, "min_exit": 1, "below_tau": "skip", "verbose": 0},
    "windows": {"max_length": 9, "long_texts": "mean"},
    "seed": {"random_state": 7, "n_jobs": 2},
    "list": {"label_words": ["terrible", "great"]},
    "tuple": {"label_words": ("terrible", "great")},
}


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
def test_settings_come_back(params: dict[str, Any], path: Path) -> None:
    clf = raee(**params).fit(X, Y)
    clf.save(path)
    loaded = RAEEClassifier.load(path)
    assert_same_answers(clf, loaded)
    for name, value in clf.get_params(deep=False).items():
        if name not in ("backbone", "dtype", "device"):
            assert getattr(loaded, name) == value
    assert_same_answers(clone(loaded).fit(X, Y), clf)


def test_half_precision_comes_back(path: Path) -> None:
    clf = raee(dtype="bfloat16").fit(X, Y)
    assert_same_answers(clf, saved_and_loaded(clf, path))
    assert manifest_of(path)["backbone"]["dtype"] == "bfloat16"


def test_a_parameter_set_after_fit_comes_back(path: Path) -> None:
    clf = raee().fit(X, Y).set_params(k=2, tau=0.5)
    assert_same_answers(clf, saved_and_loaded(clf, path))


LABELS: dict[str, Any] = {
    "str": np.where(NUMBERS, "positive", "negative"),
    "object": np.where(NUMBERS, "positive", "negative").astype(object),
    "pandas": pd.Series(np.where(NUMBERS, "positive", "negative"), dtype="string"),
    "StringDType": Y.astype(np.dtypes.StringDType()),
    "int": NUMBERS,
    "int8": (NUMBERS - 1).astype(np.int8),
    "bool": NUMBERS == 1,
    "float": NUMBERS.astype(float),
    "objects of int": NUMBERS.astype(object),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_classes_of_any_type_come_back(labels: Any, path: Path) -> None:
    clf = raee(label_words=["terrible", "great"]).fit(X, labels)
    loaded = saved_and_loaded(clf, path)
    assert_same_answers(clf, loaded)
    for ours, theirs in zip(loaded.classes_, clf.classes_, strict=True):
        assert type(ours) is type(theirs)


@pytest.mark.parametrize(
    "words",
    [
        {0: "terrible", 1: "great"},
        {"0": "terrible", "1": "great"},
        {False: "terrible", True: "great"},
        {0.5: "terrible", float("inf"): "great"},
        {"\ud800": "terrible", "": "great", None: "x"},
    ],
)
def test_keys_of_label_words_keep_their_type(words: Any) -> None:
    found = from_plain(json.loads(json.dumps(to_plain("label_words", words))))
    assert found == words
    assert [type(key) for key in found] == [type(key) for key in words]


def test_numbered_classes_with_a_dict_of_words_come_back(path: Path) -> None:
    clf = raee(label_words={np.int64(0): "terrible", 1: "great"}).fit(X, NUMBERS)
    clf.save(path)
    loaded = RAEEClassifier.load(path)
    assert_same_answers(clf, loaded)
    assert_same_answers(clf, loaded.fit(X, NUMBERS))


def test_several_fields_come_back(path: Path) -> None:
    pairs = pd.DataFrame({"premise": X, "hypothesis": X[::-1]})
    clf = raee(template="{premise} and {hypothesis} it was {mask}.").fit(pairs, Y)
    assert_same_answers(clf, saved_and_loaded(clf, path), pairs[:9])
    assert {len(set(probe)) for probe in manifest_of(path)["probes"]} == {2}


@pytest.mark.parametrize("index", ["exact", "hnsw"])
def test_what_partial_fit_added_comes_back(path: Path, index: Any) -> None:
    clf = raee(encoder=3, index=index).fit(X[:40], Y[:40])
    clf.partial_fit(X[40:], Y[40:])
    loaded = saved_and_loaded(clf, path)
    assert_same_answers(clf, loaded)
    more, labels = toy.reviews(20, seed=5)
    assert_same_answers(clf.partial_fit(more, labels), loaded.partial_fit(more, labels))


def test_what_cross_validation_chose_comes_back(path: Path) -> None:
    clf = RAEEClassifierCV(
        toy.backbone(),
        toy.TEMPLATES["masked"],
        ks=np.array([2, 4]).tolist(),
        label_words=toy.LABEL_WORDS,
        scoring="balanced_accuracy",
        memory=None,
    ).fit(X, Y)
    loaded = saved_and_loaded(clf, path)
    assert_same_answers(clf, loaded)
    assert loaded.best_params_ == clf.best_params_
    assert loaded.cv_results_.keys() == clf.cv_results_.keys()
    for name, expected in clf.cv_results_.items():
        assert type(loaded.cv_results_[name]) is type(expected)
        np.testing.assert_array_equal(loaded.cv_results_[name], expected)
    with pytest.raises(FileFormatError, match=r"read it with RAEEClassifierCV\.load"):
        RAEEClassifier.load(path)


@pytest.mark.parametrize("as_object", [False, True])
def test_a_named_encoder_comes_back(
    path: Path, encoder_folder: Path, as_object: bool
) -> None:
    encoder: Any = Encoder(encoder_folder) if as_object else encoder_folder
    clf = raee(encoder=encoder).fit(X, Y)
    clf.save(path)
    clear_backbones()
    assert_same_answers(clf, RAEEClassifier.load(path))
    told = manifest_of(path)["sweep"]["encoder"]["encoder"]
    assert told["name"] == str(encoder_folder)
    assert told["dtype"] == "float32"
    for name in ("fingerprint", "tokenizer_hash", "config_hash"):
        assert re.fullmatch("[0-9a-f]{64}", told[name])


def test_an_encoder_object_whose_name_leads_to_it_is_saved_by_it(
    path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BertModel(transformers.BertModel):
        def encode(self, texts: list[str]) -> np.ndarray:
            return Encoder(encoder_folder).encode(texts)

    monkeypatch.chdir(encoder_folder.parent)
    model = BertModel.from_pretrained("encoder", add_pooling_layer=False).eval()
    clf = raee(encoder=model).fit(X, Y)
    clf.save(path)
    monkeypatch.chdir("/")
    loaded = RAEEClassifier.load(path)
    assert loaded.encoder.name == str(encoder_folder)
    assert_same_answers(clf, loaded)


def test_an_encoder_with_other_weights_or_tokenizer_is_refused(
    path: Path, encoder_folder: Path
) -> None:
    raee(encoder=str(encoder_folder)).fit(X, Y).save(path)
    change_json(
        encoder_folder / "tokenizer.json",
        lambda content: content["normalizer"].update(lowercase=False),
    )
    clear_backbones()
    loaded = RAEEClassifier.load(path)
    for each in (loaded, pickle.loads(pickle.dumps(loaded))):
        with pytest.raises(BackboneChangedError, match="the tokenizer of encoder"):
            each.predict(X_NEW)
    fill_with_weights(encoder_folder, seed=4)
    with pytest.raises(BackboneChangedError, match="the weights of encoder"):
        RAEEClassifier.load(path).predict(X_NEW)


TRANSFORMER = make_pipeline(TfidfVectorizer(), TruncatedSVD(4, random_state=0))
DATES = np.array([datetime.date(2024, 1, 1 + n) for n in NUMBERS])


@pytest.mark.parametrize(
    ("params", "labels", "message"),
    [
        ({"encoder": TRANSFORMER}, Y, "encoder of type Pipeline cannot be saved"),
        ({"encoder": lambda texts: np.array([[len(t)] for t in texts])}, Y, "encoder"),
        ({"random_state": np.random.RandomState(0)}, Y, "random_state of type Random"),
        ({"label_words": ["terrible", "great"]}, DATES, "classes_ of type date"),
    ],
)
def test_what_needs_code_is_refused_and_told_of_joblib(
    path: Path, params: dict[str, Any], labels: Any, message: str
) -> None:
    clf = raee(**params).fit(X, labels)
    with pytest.raises(TypeError, match=rf"{message}.*joblib\.dump\(estimator, path\)"):
        clf.save(path)
    assert not path.exists()


def test_objects_without_a_name_are_refused_and_told_of_the_folder(path: Path) -> None:
    model, tokenizer = toy_objects()
    clf = raee(backbone=Backbone(model, tokenizer)).fit(X, Y)
    with pytest.raises(pickle.PicklingError, match=r"nor saved; .*pass the folder"):
        clf.save(path)
    assert not path.exists()


def test_objects_whose_name_leads_to_them_are_saved_by_it(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    model = transformers.AutoModelForMaskedLM.from_pretrained("model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained("model")
    backbone = Backbone(model, tokenizer)
    clf = raee(backbone=backbone).fit(X, Y)
    clf.save(path)
    monkeypatch.chdir("/")
    assert_same_answers(clf, RAEEClassifier.load(path))


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (None, None),
        ("process", "process"),
        ("kept", "kept"),
        (Path("kept"), "kept"),
        (joblib.Memory(None, verbose=0), "process"),
    ],
)
def test_memory_is_saved_where_it_is_a_name(
    path: Path, memory: Any, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    raee(memory=memory).fit(X, Y).save(path)
    assert RAEEClassifier.load(path).memory == expected


def test_readout_of_a_model_with_units_put_out_is_loaded(tmp_path: Path) -> None:
    # As training has left two of all-MiniLM-L6-v2.
    model, tokenizer = toy_objects()
    norm = model.bert.encoder.layer[-1].output.LayerNorm
    with torch.no_grad():
        norm.weight[3:5], norm.bias[3:5] = 1e-32, 0.0
    for one in (model, tokenizer):
        one.save_pretrained(tmp_path / "model")
    X, y = toy.reviews(60)
    clf = EarlyExitClassifier(tmp_path / "model", budget=1.0).fit(X, y)
    clf.save(tmp_path / "model.skraee")
    again = EarlyExitClassifier.load(tmp_path / "model.skraee")
    np.testing.assert_array_equal(again.layer_proba(X[:5]), clf.layer_proba(X[:5]))


def test_save_needs_a_fit(path: Path) -> None:
    with pytest.raises(NotFittedError):
        raee().save(path)


def test_load_loads_no_backbone_and_first_use_runs_the_probes_once(
    path: Path, folder: Path, rows: Counter[str]
) -> None:
    clf = raee(backbone=str(folder)).fit(X, Y)
    clf.save(path)
    rows.clear()
    clear_backbones()
    hidden = folder.rename(folder.with_name("hidden"))
    loaded = RAEEClassifier.load(path)
    assert loaded.layer_scores_.shape == (5,)
    assert "model" in repr(loaded)
    hidden.rename(folder)
    loaded.predict(X_NEW)
    assert rows["sweep"] == 4
    loaded.predict(X_NEW)
    loaded.exit_layers(X_NEW)
    assert rows["sweep"] == 4


def test_the_probes_of_many_threads_run_once(path: Path, rows: Counter[str]) -> None:
    raee().fit(X, Y).save(path)
    rows.clear()
    loaded = RAEEClassifier.load(path)
    threads = [
        threading.Thread(target=loaded.predict, args=(X_NEW,)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows["sweep"] == 4


def test_predict_changes_nothing_of_a_loaded_estimator(path: Path) -> None:
    raee().fit(X, Y).save(path)
    loaded = RAEEClassifier.load(path)
    before = joblib.hash(loaded)
    loaded.predict(X_NEW)
    assert joblib.hash(loaded) == before


def weaken_norms(folder: Path) -> None:
    """Change what the model computes, and none of its weights."""
    change_json(folder / "config.json", lambda c: c.update(layer_norm_eps=0.5))
    clear_backbones()


def test_a_backbone_that_answers_otherwise_is_warned_of_once(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raee(backbone=folder).fit(X, Y).save(path)
    weaken_norms(folder)
    change_manifest(path, versions={"skraee": "0.1.0", "torch": "1.0.0"})
    loaded = RAEEClassifier.load(path)
    with pytest.warns(BackboneDriftWarning) as told:
        loaded.predict(X_NEW)
    assert re.match(
        r"the backbone answers differently than when this was fitted: .*by up to 0\."
        r".*torch was 1\.0\.0, is .*its configuration has changed.*fit again",
        str(told[0].message),
    )
    loaded.predict(X_NEW)  # warnings are errors here
    with pytest.warns(BackboneDriftWarning):
        pickle.loads(pickle.dumps(loaded)).predict(X_NEW)


def add(at: tuple[int, ...], value: float, array: np.ndarray) -> None:
    array[at] += value


@pytest.mark.parametrize(("drift", "warns"), [(9e-4, False), (2e-3, True)])
def test_rounding_is_tolerated_and_more_is_not(
    path: Path, drift: float, warns: bool, recwarn: pytest.WarningsRecorder
) -> None:
    raee().fit(X, Y).save(path)
    change_array(path, "probes", partial(add, (2, 1, 0), drift))
    loaded = RAEEClassifier.load(path)
    loaded.predict(X_NEW)
    assert [w.category for w in recwarn] == [BackboneDriftWarning] * warns


@pytest.mark.parametrize(("drift", "warns"), [(0.04, False), (0.06, True)])
def test_half_precision_rounds_more(
    path: Path, drift: float, warns: bool, recwarn: pytest.WarningsRecorder
) -> None:
    raee(dtype="bfloat16").fit(X, Y).save(path)
    change_array(path, "probes", partial(add, (2, 1, 0), drift))
    loaded = RAEEClassifier.load(path)
    loaded.predict(X_NEW)
    drifts = [w for w in recwarn if w.category is BackboneDriftWarning]
    assert len(drifts) == warns


def test_an_answer_that_is_no_number_is_warned_of(path: Path) -> None:
    raee().fit(X, Y).save(path)
    change_array(path, "probes", partial(add, (0, 0, 0), np.nan))
    loaded = RAEEClassifier.load(path)
    with pytest.warns(BackboneDriftWarning, match="up to nan"):
        loaded.predict(X_NEW)


def test_saving_again_keeps_the_first_answers(path: Path, folder: Path) -> None:
    raee(backbone=folder).fit(X, Y).save(path)
    shutil.rmtree(folder)
    clear_backbones()
    again = path.with_name("again")
    RAEEClassifier.load(path).save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("given", [str, Path, Backbone])
def test_a_backbone_that_moved_is_found_by_its_new_name(
    path: Path, folder: Path, given: Any
) -> None:
    clf = raee(backbone=folder).fit(X, Y)
    clf.save(path)
    expected = clf.predict_proba(X_NEW)
    moved = folder.rename(folder.with_name("moved"))
    clear_backbones()
    loaded = RAEEClassifier.load(path)
    way_out = re.escape(f"RAEEClassifier.load({str(path)!r}, backbone=")
    with pytest.raises(BackboneMissingError, match=f"cannot be loaded.*{way_out}"):
        loaded.predict(X_NEW)
    loaded = RAEEClassifier.load(path, backbone=given(str(moved)))
    np.testing.assert_array_equal(loaded.predict_proba(X_NEW), expected)
    assert str(moved) in repr(loaded)
    np.testing.assert_array_equal(loaded.fit(X, Y).predict_proba(X_NEW), expected)


def test_an_encoder_on_a_device_that_is_not_here_runs_where_one_says(
    path: Path, encoder_folder: Path
) -> None:
    clf = raee(encoder=encoder_folder).fit(X, Y)
    clf.save(path)
    expected = clf.predict_proba(X_NEW)

    change(path, at("sweep.encoder.encoder.device", "cuda:99"))
    loaded = RAEEClassifier.load(path)
    with pytest.raises(BackboneMissingError, match="device='cuda:99', which is not to"):
        loaded.predict(X_NEW)
    loaded = RAEEClassifier.load(path, encoder=encoder_folder)
    np.testing.assert_array_equal(loaded.predict_proba(X_NEW), expected)
    change(path, at("sweep.encoder.encoder.device", "autox"))
    with pytest.raises(FileFormatError, match=r"encoder\.device must name devices"):
        RAEEClassifier.load(path)


@pytest.mark.parametrize("given", [str, Path, Encoder])
def test_an_encoder_that_moved_is_found_by_its_new_name(
    path: Path, encoder_folder: Path, given: Any
) -> None:
    clf = raee(encoder=encoder_folder).fit(X, Y)
    clf.save(path)
    expected = clf.predict_proba(X_NEW)
    moved = encoder_folder.rename(encoder_folder.with_name("moved"))
    clear_backbones()
    with pytest.raises(BackboneMissingError, match=r"RAEEClassifier\.load\(path, enc"):
        RAEEClassifier.load(path).predict(X_NEW)
    loaded = RAEEClassifier.load(path, encoder=given(str(moved)))
    assert str(moved) in str(loaded.encoder)
    for each in (loaded, pickle.loads(pickle.dumps(loaded))):
        np.testing.assert_array_equal(each.predict_proba(X_NEW), expected)
    np.testing.assert_array_equal(loaded.fit(X, Y).predict_proba(X_NEW), expected)
    loaded.save(path)
    assert_same_answers(loaded, RAEEClassifier.load(path))


def test_an_encoder_that_is_another_is_refused_and_keeps_its_own_hash(
    path: Path, encoder_folder: Path, tmp_path: Path
) -> None:
    raee(encoder=encoder_folder).fit(X, Y).save(path)
    other = Encoder(shutil.copytree(encoder_folder, tmp_path / "other"))
    fill_with_weights(tmp_path / "other", seed=4)
    with pytest.raises(BackboneChangedError, match="the weights of encoder"):
        RAEEClassifier.load(path, encoder=other).predict(X_NEW)
    assert other.encode(["still", "of use"]).shape[0] == 2


def test_load_takes_an_encoder_only_where_there_was_one(path: Path) -> None:
    raee(encoder=2).fit(X, Y).save(path)
    with pytest.raises(ValueError, match=r"^'.*' was fitted with encoder=2, which is"):
        RAEEClassifier.load(path, encoder="some/encoder")
    with pytest.raises(TypeError, match="must be a name, a folder or an Encoder, got "):
        RAEEClassifier.load(path, encoder=3)


def test_another_backbone_is_refused_whatever_its_name(
    path: Path, folder: Path
) -> None:
    raee(backbone=folder).fit(X, Y).save(path)
    fill_with_weights(folder, seed=5)
    message = r"another weights than .*name the right one, RAEEClassifier\.load\("
    for loaded in (
        RAEEClassifier.load(path),
        RAEEClassifier.load(path, backbone=toy.backbone(seed=5)),
        pickle.loads(pickle.dumps(RAEEClassifier.load(path))),
    ):
        with pytest.raises(BackboneChangedError, match=message):
            loaded.predict(X_NEW)
    RAEEClassifier.load(path, backbone=toy.backbone()).predict(X_NEW)


def test_a_toy_of_another_seed_is_refused(path: Path) -> None:
    raee().fit(X, Y).save(path)
    with zipfile.ZipFile(path) as members:
        backbone = json.loads(members.read("manifest.json"))["backbone"]
    change_manifest(path, backbone=backbone | {"name": "toy:masked:9"})
    with pytest.raises(BackboneChangedError, match="weights"):
        RAEEClassifier.load(path).predict(X_NEW)


def test_a_changed_tokenizer_is_refused(path: Path, folder: Path) -> None:
    raee(backbone=folder).fit(X, Y).save(path)
    change_json(
        folder / "tokenizer.json",
        lambda content: content["normalizer"].update(lowercase=False),
    )
    clear_backbones()
    with pytest.raises(BackboneChangedError, match=r"another tokenizer than .*load\("):
        RAEEClassifier.load(path).predict(X_NEW)


def test_a_backbone_of_the_wrong_type_is_told_at_once(path: Path) -> None:
    raee().fit(X, Y).save(path)
    with pytest.raises(TypeError, match="backbone must be a hub name"):
        RAEEClassifier.load(path, backbone=3)


def test_a_parameter_of_a_later_skraee_is_told(path: Path) -> None:
    raee().fit(X, Y).save(path)
    parameters = manifest_of(path)["parameters"]
    change_manifest(path, parameters=parameters | {"speed": 3})
    with pytest.raises(FileFormatError, match="not known here, speed; update with"):
        RAEEClassifier.load(path)
    del parameters["tau"]
    change_manifest(path, parameters=parameters)
    assert RAEEClassifier.load(path).tau == 0.9


@pytest.mark.parametrize("entry", ["parameters", "attributes", "backbone", "database"])
@pytest.mark.parametrize("content", [None, {}, {"x": {"no_such_kind": 1}}, [1]])
def test_a_manifest_that_makes_no_sense_is_damage(
    path: Path, entry: str, content: Any
) -> None:
    raee().fit(X, Y).save(path)
    change_manifest(path, **{entry: content})
    if (entry, content) == ("attributes", {}):
        return  # makes sense
    with pytest.raises(FileFormatError):
        RAEEClassifier.load(path)


@pytest.mark.filterwarnings("ignore::skraee.exceptions.TruncationWarning")
@pytest.mark.filterwarnings("ignore::skraee.exceptions.UndecidedWarning")
def test_file_that_says_nothing_of_long_texts_cuts_them(path: Path) -> None:
    clf = raee(max_length=9).fit(X, Y)
    clf.save(path)
    manifest = manifest_of(path)
    for entry in ("sweep", "parameters"):
        del manifest[entry]["long_texts"]
        change_manifest(path, **{entry: manifest[entry]})
    loaded = RAEEClassifier.load(path)
    assert loaded.long_texts == "cut"
    assert_same_answers(clf, loaded)


def test_layout_is_that_of_the_format(path: Path) -> None:
    """Where this fails the format changes: `persistence/model_file.py` says how."""
    raee(database="correct", encoder=1).fit(X, Y).save(path)
    with zipfile.ZipFile(path) as members:
        names = set(members.namelist())
    assert names == {
        *("manifest.json", "seal.json", "probes.npy"),
        *("attributes/classes_.npy", "attributes/layer_scores_.npy"),
        "attributes/cost_.npy",
        *("database/keys.npy", "database/proba.npy"),
        *("database/labels.npy", "database/kept.npy"),
        *("standardizer/mean.npy", "standardizer/variance.npy"),
    }
    manifest = manifest_of(path)
    assert manifest["skraee_format"] == 5
    assert set(manifest) == {
        *("skraee_format", "versions", "estimator", "parameters", "attributes"),
        *("backbone", "sweep", "database", "standardizer", "probes", "members"),
        *("setting", "ridge", "calibration"),
    }
    assert manifest["ridge"] is manifest["calibration"] is None
    hashes = {"fingerprint", "tokenizer_hash", "config_hash"}
    shared = ("attributes", "backbone", "sweep", "database", "standardizer")
    entries = {name: set(manifest[name]) for name in shared}
    assert entries == {
        "attributes": {"n_layers_", "n_samples_fit_"},
        "backbone": {"name", "revision", "local_files_only", "dtype", *hashes},
        "sweep": {
            *("template", "max_length", "long_texts", "encoder", "token_ids"),
            *("by_states", "by_keys"),
        },
        "database": {"metric", "method", "n_jobs", "seed", "shared"},
        "standardizer": {"count"},
    }
    assert set(manifest["versions"]) == {
        *("skraee", "scikit-learn", "torch", "transformers", "tokenizers", "numpy")
    }
    # What a file holds of these stands in persistence/parts.py by name.
    shared = {"sweep_settings", "token_ids", "setting", "ridge", "records"}
    shared |= {"attributes", "calibration"}
    assert {f.name for f in fields(FittedByConfidence)} == {*shared, "codes"}
    assert {f.name for f in fields(FittedByNeighbors)} == {
        *(*shared, "database", "standardizer")
    }
    assert {field.name for field in fields(SweepSettings)} == {
        *("backbone", "template", "max_length", "dtype", "encoder", "provenance"),
        *("by_states", "by_keys", "state_kinds", "long_texts"),
    }


@pytest.mark.parametrize("exit_by", ["neighbors", "confidence"])
def test_layout_of_what_the_closed_form_adds(exit_by: str, path: Path) -> None:
    confident = exit_by == "confidence"
    if confident:
        clf: Any = early_exit(budget=0.5)
    else:
        clf = raee(readout="ridge", budget=0.5)
    clf.fit(X, Y).save(path)
    with zipfile.ZipFile(path) as members:
        names = set(members.namelist())
    coefficients = (
        *("coef", "intercept", "weight", "inverse_temperature", "penalty"),
        "parts",
    )
    assert {name for name in names if name.startswith(("ridge/", "texts/"))} == {
        "texts/records.npy",
        *(["texts/codes.npy"] if confident else []),
        *(f"ridge/{c}.npy" for c in coefficients),
        *(f"ridge/bag/{c}.npy" for c in ("buckets", "coef", "intercept")),
    }
    manifest = manifest_of(path)
    assert manifest["ridge"].keys() == {"bag"}
    assert manifest["ridge"]["bag"].keys() == {"weight", "penalty"}
    assert (manifest["database"] is None) == confident
    own = {"readout": "ridge", "calibrate": False}
    if confident:
        own = {"max_loss": 0.01}
    settled = {"budget": 0.5} | own
    assert manifest["setting"] == settled
    assert manifest["attributes"].keys() == {
        *("n_layers_", "n_samples_fit_"),
        *(
            ("threshold_", "max_exit_", "exit_report_")
            if confident
            else ("lambda_", "exit_report_")
        ),
    }


@pytest.mark.parametrize("database", ["all", "correct"])
def test_layout_of_what_temperatures_add(database: Any, path: Path) -> None:
    raee(calibrate=True, database=database).fit(X, Y).save(path)
    _, arrays = archive.read(path)
    kept = {"calibration/logits"} if database == "all" else set()
    assert {name for name in arrays if name.startswith("calibration/")} == {
        "calibration/temperatures",
        *kept,
    }
    assert "attributes/temperatures_" in arrays
    manifest = manifest_of(path)
    assert manifest["calibration"] == ({} if kept else {"logits": None})
    assert manifest["setting"]["calibrate"] is True


# Files of earlier formats


TOLD = json.loads((DATA / "format-1.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("votes", RAEEClassifier),
        ("ridge-votes", RAEEClassifier),
        ("confidence", EarlyExitClassifier),
        ("confidence-budget", EarlyExitClassifier),
        ("search-taus", EarlyExitClassifier),
        ("search-budgets", EarlyExitClassifier),
    ],
)
def test_a_file_of_format_1_answers_as_it_did(
    name: str, cls: Any, tmp_path: Path
) -> None:
    clf = cls.load(DATA / f"format-1-{name}.skraee")
    for again in range(2):
        proba, exits = clf.predict_proba(TOLD["texts"], return_exit_layers=True)
        answers = TOLD["answers"][name]
        np.testing.assert_allclose(proba, answers["proba"], atol=1e-4)
        assert exits.tolist() == answers["exits"]
        if not again:  # and once more, from a file of today
            clf.save(tmp_path / "clf")
            clf = cls.load(tmp_path / "clf")


@pytest.mark.parametrize(("name", "threshold"), [("taus", 0.8), ("budgets", 0.0)])
def test_a_search_of_format_1_becomes_what_it_chose(
    name: str, threshold: float
) -> None:
    clf = EarlyExitClassifier.load(DATA / f"format-1-search-{name}.skraee")
    assert (clf.budget, clf.threshold) == (None, threshold)
    assert not hasattr(clf, "best_params_")


def test_a_file_of_format_1_of_confident_exits_takes_more_texts(tmp_path: Path) -> None:
    clf = EarlyExitClassifier.load(DATA / "format-1-confidence.skraee")
    assert clf.threshold == 0.7
    clf.save(tmp_path / "clf")
    _, arrays = archive.read(tmp_path / "clf")
    assert arrays["texts/codes"].tolist() == NUMBERS[:12].tolist()
    with pytest.raises(ValueError, match="call fit on all texts"):
        clf.set_params(memory=None).partial_fit(X[12:], Y[12:])


def test_a_file_of_format_1_names_the_class_that_reads_it() -> None:
    with pytest.raises(
        FileFormatError, match=r"read it with EarlyExitClassifier\.load"
    ):
        RAEEClassifier.load(DATA / "format-1-confidence.skraee")


@pytest.mark.parametrize("cls", [RAEEClassifier, EarlyExitClassifier])
def test_a_file_of_words_read_by_confidence_is_refused(cls: Any) -> None:
    with pytest.raises(FileFormatError, match="which there is no more; fit again"):
        cls.load(DATA / "format-1-words-by-confidence.skraee")


@pytest.mark.parametrize("number", [2, 3])
def test_a_file_of_an_older_format_answers_as_it_did(
    number: int, tmp_path: Path
) -> None:
    told = json.loads((DATA / f"format-{number}.json").read_text(encoding="utf-8"))
    clf = EarlyExitClassifier.load(DATA / f"format-{number}-confidence.skraee")
    for again in range(2):
        proba, exits = clf.predict_proba(told["texts"], return_exit_layers=True)
        np.testing.assert_allclose(proba, told["proba"], atol=1e-4)
        assert exits.tolist() == told["exits"]
        if not again:
            clf.save(tmp_path / "clf")
            clf = EarlyExitClassifier.load(tmp_path / "clf")


def test_a_file_of_format_3_answers_as_it_did_and_takes_more_texts(
    tmp_path: Path,
) -> None:
    told = json.loads((DATA / "format-3-votes.json").read_text(encoding="utf-8"))
    clf = RAEEClassifier.load(DATA / "format-3-votes.skraee")
    assert clf.calibrate is False
    for again in range(2):
        proba, exits = clf.predict_proba(told["texts"], return_exit_layers=True)
        np.testing.assert_allclose(proba, told["proba"], atol=1e-4)
        assert exits.tolist() == told["exits"]
        if not again:
            clf.save(tmp_path / "clf")
            clf = RAEEClassifier.load(tmp_path / "clf")
    whole = raee(k=3, index="exact").fit(X, Y)
    clf.partial_fit(X[24:], Y[24:])
    np.testing.assert_allclose(
        clf.predict_proba(X_NEW), whole.predict_proba(X_NEW), atol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("confidence", EarlyExitClassifier),
        ("ridge", RAEEClassifier),
        ("words", RAEEClassifier),
        ("search", RAEEClassifierCV),
    ],
)
def test_a_file_of_format_4_answers_as_it_did(
    name: str, cls: Any, tmp_path: Path
) -> None:
    told = json.loads((DATA / "format-4.json").read_text(encoding="utf-8"))
    answers = told["answers"][name]
    clf = cls.load(DATA / f"format-4-{name}.skraee")
    for again in range(2):
        proba, exits = clf.predict_proba(told["texts"], return_exit_layers=True)
        np.testing.assert_allclose(proba, answers["proba"], atol=1e-4)
        assert exits.tolist() == answers["exits"]
        if not again:
            clf.save(tmp_path / "clf", key="a key of sixteen bytes")
            clf = cls.load(tmp_path / "clf", key="a key of sixteen bytes")


@pytest.mark.parametrize("given", [{"threshold": 0.9}, {"budget": 0.5}])
def test_a_file_from_before_max_loss_stops_where_it_did(
    given: dict[str, Any], path: Path
) -> None:
    clf = early_exit(memory="process", **given).fit(
        X, Y
    )  # 0.9 was meant where none was given
    expected = clf.exit_layers(X_NEW)
    clf.save(path)
    manifest, arrays = archive.read(path)
    del manifest["parameters"]["max_loss"], manifest["setting"]["max_loss"]
    manifest["parameters"]["threshold"] = None
    for name in ("max_exit_", "exit_report_"):
        del manifest["attributes"][name]
    if "budget" not in given:
        del manifest["attributes"]["threshold_"]
    archive.write(path, manifest, arrays)
    again = EarlyExitClassifier.load(path)
    assert again.threshold == (None if "budget" in given else 0.9)
    assert again.max_exit_ == again.n_layers_
    np.testing.assert_array_equal(again.exit_layers(X_NEW), expected)
    again.partial_fit(X[:3], Y[:3])  # no setting has changed since
    again = EarlyExitClassifier.load(path).set_params(threshold=None)
    np.testing.assert_array_equal(again.exit_layers(X_NEW), expected)


def test_the_file_is_no_larger_than_that_of_joblib(tmp_path: Path) -> None:
    texts = [f"{x} {y}" for x, y in itertools.product(X, X_NEW)]
    clf = raee().fit(texts, np.repeat(Y, len(X_NEW)))
    clf.save(tmp_path / "ours")
    joblib.dump(clf, tmp_path / "theirs")
    ours, theirs = ((tmp_path / name).stat().st_size for name in ("ours", "theirs"))
    assert ours < 1.02 * theirs + 5000


LOAD = """
import sys
import numpy as np
from skraee import RAEEClassifier, toy
clf = RAEEClassifier.load(sys.argv[1])
proba, exits = clf.predict_proba(toy.reviews(30, seed=1)[0], return_exit_layers=True)
np.savez("answers.npz", proba=proba, exits=exits)
"""


@pytest.mark.slow
def test_another_process_in_another_folder_answers_the_same(
    tmp_path: Path,
    folder: Path,
    encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    clf = raee(backbone="model", encoder="encoder", memory="process").fit(X, Y)
    clf.save("clf.skraee")
    proba, exits = clf.predict_proba(X_NEW, return_exit_layers=True)
    assert len(set(exits)) > 1
    python = [sys.executable, "-W", "error::UserWarning:skraee", "-c"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*python, LOAD, "../clf.skraee"]
    subprocess.run(command, cwd=elsewhere, check=True, env=environment)
    with np.load(elsewhere / "answers.npz") as found:
        np.testing.assert_array_equal(found["proba"], proba, strict=True)
        np.testing.assert_array_equal(found["exits"], exits, strict=True)


@pytest.mark.parametrize(
    ("here", "message"),
    [
        ({"skraee": "0.2.0"}, r"pickled with skraee 0\.1\.0 \(here 0\.2\.0\)"),
        ({"transformers": "6.0.0"}, r"pickled with transformers 5\.23\.0 \(here 6"),
        ({"skraee": "1.1.3", "transformers": "4.9"}, r"skraee .* and transformers"),
        ({"skraee": "0.1.9", "transformers": "5.24.1"}, None),
    ],
)
def test_a_pickle_of_other_versions_warns(
    here: dict[str, str],
    message: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    found = {"skraee": "0.1.0", "transformers": "5.23.0"}
    monkeypatch.setattr(versions_module, "version", lambda name: found[name])
    clf = raee().fit(X, Y)
    joblib.dump(clf, tmp_path / "clf.joblib")
    found.update(here)
    again = joblib.load(tmp_path / "clf.joblib")
    told = [str(w.message) for w in recwarn if w.category is VersionSkewWarning]
    assert len(told) == (message is not None)
    if message is not None:
        assert re.search(message, told[0])
        assert "RAEEClassifier was pickled" in told[0]
    assert vars(again).keys() == vars(clf).keys()
    assert_same_answers(clf, again)
