"""Whatever state of torch a caller has set changes no number, and stays as it is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from skraee import (
    Backbone,
    Encoder,
    RAEEClassifier,
    baselines,
    clear_backbones,
    clear_sweeps,
    toy,
)
from skraee.backbone.ambient import own_torch_state
from skraee.engine.cost import depth_costs
from skraee.engine.engine import Engine
from skraee.engine.head import final_norms, label_head
from tests.support.checkpoints import saved_toy, small_tokenizer
from tests.support.classifiers import early_exit, make_classifier, raee, raee_cv
from tests.support.models import MODELS, loaded, tiny_model
from tests.support.prompts import prompts_for
from tests.support.ways import WAYS

X, Y = toy.reviews(30)
X_NEW = [*toy.reviews(12, seed=1)[0], "", "a " * 90, "a film"]

# States


@contextmanager
def setting(set_: Callable[[Any], Any], value: Any, before: Any) -> Iterator[None]:
    set_(value)
    try:
        yield
    finally:
        set_(before)


def default_dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    return setting(torch.set_default_dtype, dtype, torch.float32)


@contextmanager
def everything_at_once() -> Iterator[None]:
    with ExitStack() as stack:
        for name in ("default bfloat16", "autocast", "default meta", "inference mode"):
            stack.enter_context(STATES[name]())
        yield


def set_default_device(device: str | None) -> None:
    torch.set_default_device(device)
    # In torch 2.6, what asks for the device fails once it was set to None.
    if getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", 0) is None:
        del torch._GLOBAL_DEVICE_CONTEXT.device_context


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "gradients": torch.enable_grad,
    "default meta": lambda: setting(set_default_device, "meta", None),
    "device meta": lambda: torch.device("meta"),
    "default float64": lambda: default_dtype(torch.float64),
    "default bfloat16": lambda: default_dtype(torch.bfloat16),
    "deterministic": lambda: setting(torch.use_deterministic_algorithms, True, False),
    "all": everything_at_once,
}
# Those that changed numbers or what was kept, each in a way of its own.
REACHING = ("autocast", "inference mode", "default meta", "default bfloat16", "all")


def state() -> dict[str, Any]:
    """What a caller can have set in this thread, and the generator."""
    return {
        "autocast": torch.is_autocast_enabled("cpu"),
        "of": torch.get_autocast_dtype("cpu"),
        "inference": torch.is_inference_mode_enabled(),
        "grad": torch.is_grad_enabled(),
        "device": torch.empty(0).device,
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "modes": torch._C._len_torch_function_stack(),
        "generator": torch.get_rng_state().sum().item(),
    }


@contextmanager
def kept(ambient: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Enter a state; it must be as it was when the block ends."""
    with ambient():
        before = state()
        yield
        assert state() == before


@pytest.mark.parametrize("name", STATES)
def test_own_state_is_the_same_in_any_other(name: str) -> None:
    with own_torch_state():
        own = state()
    with kept(STATES[name]), own_torch_state(), own_torch_state():
        found = state()
        values = torch.ones(2), torch.tensor([0.1]), torch.arange(3) / 7
    same = own.keys() - {"dtype", "deterministic", "modes", "of"}
    assert {key: found[key] for key in same} == {key: own[key] for key in same}
    assert all(value.dtype == torch.float32 for value in values)
    assert all(value.device.type == "cpu" for value in values)
    assert not any(value.is_inference() or value.requires_grad for value in values)
    assert torch.equal(values[2], torch.arange(3) / 7)


def made_of_numbers() -> dict[str, torch.Tensor]:
    whole = torch.tensor([1, 2, 3])
    seeded = torch.Generator().manual_seed(0)
    return {
        "drawn": torch.rand(3, generator=seeded),
        "drawn normally": torch.normal(0.0, 1.0, (2,), generator=seeded),
        "full": torch.full((2,), 0.1),
        "whole": torch.full((2,), 1),
        "range": torch.arange(0, 1, 0.1),
        "divided": whole / 3,
        "multiplied": whole * 1.1,
        "logarithm": torch.log(whole / 7) / torch.log(torch.tensor(7 / 3)),
        "chosen": torch.where(whole > 1, 0.1, 0.2),
        "stacked": torch.stack([whole, whole]) / 3,
        "masked": (whole > 1) * 1.1,
        "weights": torch.nn.Linear(2, 2, bias=False).weight * 0,
        # dtypes that are named
        "array": torch.tensor(np.ones(2)),
        "as double": whole.double(),
        "as bfloat16": whole.to(torch.bfloat16),
        "as half": whole.type("torch.HalfTensor"),
        "as another": whole.type_as(torch.ones(1, dtype=torch.float16)),
        "like another": torch.ones(1, dtype=torch.float16).new_zeros(2),
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_default_dtype_of_the_process_is_float32_within(dtype: torch.dtype) -> None:
    expected = made_of_numbers()
    with default_dtype(dtype), own_torch_state():
        found = made_of_numbers()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype, name
        assert torch.equal(found[name], values), name


# The engine, for every family


def takes_any_default(name: str) -> bool:
    """Whether none of a model's functions is TorchScript, which modes do not reach."""
    module = sys.modules[MODELS[name][0].__module__]
    return not any(
        isinstance(v, torch.jit.ScriptFunction) for v in vars(module).values()
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_way_gives_the_same_bits_in_any_state(name: str) -> None:
    lengths = (140, 9, 30)  # DeBERTa's positions need numbers as large
    prompts = prompts_for(loaded(name).family.kind, lengths)
    exits = np.array([2, 0, 1])
    expected: dict[str, Any] = {}
    names = REACHING if takes_any_default(name) else ("autocast", "inference mode")
    for ambient in (torch.enable_grad, *(STATES[name] for name in names)):
        backbone = loaded(name)
        with kept(ambient):
            engine = Engine(backbone)
            found = {way: run(engine, prompts, exits) for way, run in WAYS.items()}
            costs = depth_costs(backbone)
        expected = expected or {**found, "costs": {"costs": costs}}
        np.testing.assert_array_equal(costs, expected["costs"]["costs"])
        for way, arrays in found.items():
            for part, values in arrays.items():
                assert values.dtype == expected[way][part].dtype
                np.testing.assert_array_equal(values, expected[way][part])


# Estimators


def by_torch(texts: list[str]) -> Any:
    """Encode by a product, which autocast would round."""
    with torch.no_grad():
        seeded = torch.Generator().manual_seed(0)
        mix = torch.randn(26, 8, generator=seeded)
        counts = [[text.count(chr(97 + i)) for i in range(26)] for text in texts]
        return (torch.tensor(counts, dtype=torch.float32) @ mix).numpy()


stored = partial(raee, memory="process")

ESTIMATORS: dict[str, Callable[[Path], Any]] = {
    "lm_head": lambda _: stored(),
    "depth": lambda _: stored(encoder=1, min_exit=2),
    "ridge": lambda _: stored(readout="ridge", budget=0.8),
    "confidence": lambda _: early_exit(memory="process"),
    "transformer": lambda _: stored(encoder=TfidfVectorizer()),
    "callable": lambda _: stored(encoder=by_torch),
    "encoder": lambda path: stored(encoder=Encoder(path)),
    "causal": lambda _: stored("causal"),
    "seq2seq": lambda _: stored("seq2seq"),
    "folder": lambda path: stored(backbone=str(path)),
    "cv": lambda _: raee_cv(memory="process", ks=(3, 5)),
    "full depth": lambda _: make_classifier(baselines.FullDepthClassifier),
    "hashee": lambda _: make_classifier(baselines.HashEEClassifier, hash_by="cluster"),
    "sleb": lambda _: make_classifier(baselines.SLEBClassifier, n_remove=1),
    "calm": lambda _: make_classifier(baselines.CALMClassifier, threshold=0.7),
    "adainfer": lambda _: make_classifier(baselines.AdaInferClassifier),
    "deebert": lambda _: make_classifier(
        baselines.DeeBERTClassifier, n_epochs=2, learning_rate=1e-3
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_toy(tmp_path_factory.mktemp("models") / "toy")


def fitted(estimator: Any) -> Any:
    clear_backbones()
    clear_sweeps()
    return estimator.fit(X, Y)


def answers(estimator: Any) -> list[Any]:
    found = list(estimator.predict_proba(X_NEW, return_exit_layers=True))
    found += [estimator.exit_layers(X_NEW), estimator.cost_]
    if isinstance(estimator, RAEEClassifier):
        found += [estimator.layer_proba(X_NEW), estimator.layer_scores_]
    return found


@cache
def answers_outside(name: str, folder: Path) -> list[Any]:
    return answers(fitted(ESTIMATORS[name](folder)))


def assert_equal_bits(found: list[Any], expected: list[Any]) -> None:
    for values, wanted in zip(found, expected, strict=True):
        assert values.dtype == wanted.dtype
        np.testing.assert_array_equal(values, wanted)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("ambient", REACHING)
def test_fit_and_predict_give_the_same_bits_in_any_state(
    name: str, ambient: str, folder: Path
) -> None:
    expected = answers_outside(name, folder)
    with kept(STATES[ambient]):
        estimator = fitted(ESTIMATORS[name](folder))
        assert_equal_bits(answers(estimator), expected)
    clear_sweeps()  # as it was before anything was read
    assert_equal_bits(answers(estimator), expected)


@pytest.mark.parametrize("ambient", STATES)
def test_every_other_method_gives_the_same_in_any_state(
    ambient: str, tmp_path: Path
) -> None:
    def found(folder: Path) -> list[Any]:
        clf = fitted(stored(encoder=1))
        clf.partial_fit(X_NEW[:4], Y[:4])
        clf.save(tmp_path / "clf.skraee")
        loaded = RAEEClassifier.load(tmp_path / "clf.skraee")
        swept = clone(clf).fit_sweep(clf.sweep(X), Y)
        joblib.dump(clf, tmp_path / "clf.joblib")
        return [
            *clf.kneighbors(X_NEW),
            clf.exit_distribution(X_NEW),
            np.array(str(clf.explain(X_NEW[0]))),
            np.array(clf.timings(X_NEW).undecided),
            *(one.predict_proba(X_NEW) for one in (loaded, swept)),
            joblib.load(tmp_path / "clf.joblib").predict_proba(X_NEW),
        ]

    expected = found(tmp_path)
    with kept(STATES[ambient]):
        assert_equal_bits(found(tmp_path), expected)


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["lm_head", "ridge"])
@pytest.mark.parametrize("ambient", STATES)
def test_what_is_stored_in_any_state_is_what_would_be_stored_outside(
    ambient: str, readout: Any, tmp_path: Path, rows: Counter[str]
) -> None:
    def classifier(folder: str) -> RAEEClassifier:
        changes = {"readout": readout, "memory": tmp_path / folder}
        return fitted(stored(**changes))

    expected = classifier("outside").sweep(X)
    with kept(STATES[ambient]):
        classifier("within")
    rows.clear()
    found = classifier("within").sweep(X)
    assert not rows["sweep"]  # it is found under the same names
    expected.save(tmp_path / "outside.npz")
    found.save(tmp_path / "within.npz")
    with (
        np.load(tmp_path / "outside.npz") as ours,
        np.load(tmp_path / "within.npz") as its,
    ):
        assert set(ours) == set(its) >= {"keys", "logits"}
        for name in ours:
            np.testing.assert_array_equal(its[name], ours[name])


# What stays


def test_a_stream_of_texts_keeps_the_callers_state_between_its_parts() -> None:
    clf = fitted(stored())
    expected = clf.predict(X_NEW)
    with kept(everything_at_once):
        before, found = state(), []
        for labels in clf.predict_iter(iter(X_NEW), chunk_size=4):
            assert state() == before
            found += labels.tolist()
    assert found == expected.tolist()


def test_an_error_leaves_the_callers_state() -> None:
    def broken(texts: list[str]) -> Any:
        raise OSError("no such file")

    with kept(everything_at_once), pytest.raises(OSError, match="no such file"):
        fitted(stored(encoder=broken))


def test_a_thread_has_the_state_of_its_own() -> None:
    clf = fitted(raee())
    expected = clf.predict_proba(X_NEW)
    names = ["autocast", "inference mode", "gradients", "default meta"] * 4

    def predict(name: str) -> Any:
        with kept(STATES[name]):
            return clf.predict_proba(X_NEW)

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(predict, names):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("fresh_backbones")
@pytest.mark.parametrize("kind", ["masked", "causal", "seq2seq"])
def test_what_inference_mode_loads_serves_training_too(kind: Any) -> None:
    with torch.inference_mode():
        backbone = toy.backbone(kind).load()
        norms = final_norms(backbone)
        heads = [label_head(backbone, (5, 6)), label_head(backbone, None)]
        exact = toy.backbone(kind).load("bfloat16").in_float32
    modules = [
        backbone.model,
        exact.model,
        *norms,
        *(head._head for head in heads),
    ]
    for module in modules:
        assert not any(p.is_inference() for p in module.parameters())
        assert not any(buffer.is_inference() for buffer in module.buffers())
    for weight in backbone.model.parameters():
        weight.requires_grad_(True)
    ids = torch.tensor([[5, 6, 7]])
    inputs = {"decoder_input_ids": ids} if kind == "seq2seq" else {}
    backbone.model(input_ids=ids, **inputs).logits.sum().backward()


def test_a_model_that_inference_mode_made_is_taken_in_any_dtype() -> None:
    with torch.inference_mode():
        model = tiny_model("bert")
    prompts = prompts_for("masked")
    plain = Backbone(tiny_model("bert"), small_tokenizer())
    tainted = Backbone(model, small_tokenizer())
    for dtype in ("float32", "bfloat16"):
        states = [Engine(b.load(dtype)).keys(prompts, 2) for b in (plain, tainted)]
        np.testing.assert_array_equal(*states)
