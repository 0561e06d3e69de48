"""Compiled layers: their answers, what is not compiled, where compiling fails."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skraee import EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV, toy
from skraee.backbone.loaded import LoadedBackbone
from skraee.engine import compiled
from skraee.engine.compiled import CompiledLayers, compiled_for
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.row_exits import RowExits
from skraee.engine.run import Run
from tests.support.models import loaded
from tests.support.prompts import prompts_for
from tests.support.ways import collected, on_the_way

LENGTHS = tuple(np.random.default_rng(0).integers(4, 40, 40).tolist())
TEXTS = ["a fine film", "the soup was cold", "a long and winding evening", "no"]


def exits_of(engine: Engine) -> AtGivenDepths:
    exits = np.random.default_rng(2).integers(0, engine.n_layers + 1, len(LENGTHS))
    return AtGivenDepths(exits)


def run(backbone: LoadedBackbone, *, compile: bool) -> Run:
    engine = Engine(backbone, batch_tokens=200, compile=compile)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    return engine.run(prompts, exits_of(engine), on_the_way(engine))


def layers_of(backbone: LoadedBackbone) -> CompiledLayers:
    found = compiled_for(backbone, compile=True, n_tokens=0)
    assert found is not None
    return found


@pytest.mark.slow
# All of tests.support.models.MODELS agree; these three have little in common, and
# kernels for one take half a minute to make. T5, of the most variants, is traced as if
# for kernels and runs without.
@pytest.mark.parametrize(
    ("name", "backend"),
    [("bert", "inductor"), ("gemma3_text", "inductor"), ("t5", "aot_eager")],
)
def test_compiled_layers_say_the_same(
    name: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    backbone = loaded(name)
    found = run(backbone, compile=True)
    layers = layers_of(backbone)
    assert layers._is_on
    assert layers._views
    expected = run(loaded(name), compile=False)
    np.testing.assert_allclose(found.scores, expected.scores, atol=3e-5)
    gone = weakref.ref(backbone.model)
    del backbone, layers
    gc.collect()
    assert gone() is None


def as_it_is(layer: nn.Module, hidden: torch.Tensor, args: Any, kw: Any) -> Any:
    return layer(hidden, *args, **kw)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, fresh_backbones: None) -> list[nn.Module]:
    """The layers that a stand-in for the compiler was called with."""
    seen: list[nn.Module] = []

    def call(layer: nn.Module, hidden: torch.Tensor, args: Any, kw: Any) -> Any:
        seen.append(layer)
        return as_it_is(layer, hidden, args, kw)

    monkeypatch.setattr(compiled, "_compiled_call", lambda: call)
    return seen


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_packed_products_are_operators_that_say_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_compiled_call", lambda: as_it_is)
    n_before = len(compiled._PACKED)
    backbone = loaded(name)
    found = run(backbone, compile=True)
    expected = run(loaded(name), compile=False)
    np.testing.assert_allclose(found.scores, expected.scores, atol=3e-5)
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        assert len(compiled._PACKED) > n_before
    del backbone
    gc.collect()
    assert len(compiled._PACKED) <= n_before


def test_layers_are_not_compiled_behind_a_prefix(calls: list[nn.Module]) -> None:
    backbone = loaded("gemma3_text")
    prompts = [
        replace(prompt, ids=(7, 8, 9, *prompt.ids), read=prompt.read + 3, n_prefix=3)
        for prompt in prompts_for("causal", LENGTHS)
    ]
    runs = []
    for reuse in (True, False):
        engine = Engine(backbone, reuse_prefix=reuse, compile=True)
        runs.append(engine.run(prompts, exits_of(engine), on_the_way(engine)))
        assert bool(calls) != reuse
    np.testing.assert_allclose(runs[0].scores, runs[1].scores, atol=1e-5)


def test_sweeps_are_compiled_too(calls: list[nn.Module]) -> None:
    backbone = loaded("bert")
    engine = Engine(backbone, compile=True)
    engine.sweep(prompts_for("masked", LENGTHS), None, states=("text",))
    assert len(set(calls)) == engine.n_layers


def test_layers_in_which_rows_end_run_what_is_read_of_them(
    calls: list[nn.Module],
) -> None:
    engine = Engine(loaded("bert"), compile=True)
    last = AtGivenDepths(np.full(len(LENGTHS), engine.n_layers))
    engine.run(prompts_for("masked", LENGTHS), last, collected(engine))
    assert len(set(calls)) == engine.n_layers - 1


def test_the_rare_text_that_runs_again_in_float32_is_not_compiled_for(
    calls: list[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = loaded("bert")
    model = plain.model.to(torch.bfloat16)
    backbone = replace(plain, model=model, dtype=torch.bfloat16, _derived={})
    scored = RowExits.scores

    def overflowing(self: RowExits) -> torch.Tensor:
        scores = scored(self)
        if len(scores) > 1:  # not when run again
            scores[0] = torch.nan
        return scores

    monkeypatch.setattr(RowExits, "scores", overflowing)
    engine = Engine(backbone, compile=True)
    engine.run(prompts_for("masked", LENGTHS), exits_of(engine), on_the_way(engine))
    assert engine.n_repeated == 1
    assert {next(layer.parameters()).dtype for layer in calls} == {torch.bfloat16}


def test_where_compiling_fails_layers_run_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_tries = 0

    def no_compiler(*args: Any, **kwargs: Any) -> Any:
        nonlocal n_tries
        n_tries += 1
        raise RuntimeError("no C++ compiler found\nmore of it")

    backbone = loaded("bert")
    monkeypatch.setattr(torch, "compile", no_compiler)
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler found") as seen:
        found = run(backbone, compile=True)
    assert len(seen) == 1
    assert "more of it" not in str(seen[0].message)
    again = run(backbone, compile=True)  # warnings are errors here
    assert n_tries == 1
    expected = run(loaded("bert"), compile=False)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(again.scores, expected.scores)


def test_a_lack_of_memory_is_no_failure_to_compile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widths: list[int] = []

    def call(layer: nn.Module, hidden: torch.Tensor, args: Any, kw: Any) -> Any:
        widths.append(len(hidden))
        if len(hidden) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return layer(hidden, *args, **kw)

    monkeypatch.setattr(compiled, "_compiled_call", lambda: call)
    backbone = loaded("bert")
    found = run(backbone, compile=True)
    assert layers_of(backbone)._is_on
    assert max(widths) > 4
    expected = run(loaded("bert"), compile=False)
    np.testing.assert_allclose(found.scores, expected.scores, atol=3e-5)


def test_what_is_wrong_with_the_texts_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(layer: nn.Module, *args: Any) -> Any:
        raise KeyError("the layer's own")

    def plain(*args: Any) -> Any:
        raise ValueError("the layer's own fault")

    monkeypatch.setattr(compiled, "_compiled_call", lambda: fails)
    backbone = loaded("bert")
    layer = next(iter(backbone.model.children()))
    layers = layers_of(backbone)
    with pytest.raises(ValueError, match="own fault"):
        layers.run(layer, plain, torch.zeros(1, 2, 3), (), {})  # type: ignore[arg-type]
    assert layers._is_on


@pytest.mark.parametrize(
    ("compile", "dtype", "work", "expected"),
    [
        ("auto", torch.bfloat16, 1.0, True),
        ("auto", torch.bfloat16, 0.9, False),
        ("auto", torch.float32, 1.0, False),
        (True, torch.float32, 0.0, True),
        (False, torch.bfloat16, 1.0, False),
    ],
)
def test_layers_are_compiled_where_the_work_ahead_pays_for_it(
    compile: Any, dtype: torch.dtype, work: float, expected: bool
) -> None:
    plain = loaded("bert")
    backbone = replace(plain, model=plain.model.to(dtype), dtype=dtype, _derived={})
    n_weights = sum(weight.numel() for weight in backbone.model.parameters())
    n_tokens = int(work * compiled._MUCH_WORK / 2 / n_weights) + 1
    assert (compiled_for(backbone, compile, n_tokens) is not None) == expected


def test_weights_are_counted_once_not_for_each_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = loaded("bert")
    assert compiled_for(backbone, "auto", n_tokens=25) is None
    monkeypatch.setattr(nn.Module, "parameters", None)
    assert compiled_for(backbone, "auto", n_tokens=25) is None


def test_compiling_is_told_once_where_that_is_wanted(
    calls: list[nn.Module], capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = loaded("bert")
    prompts = prompts_for("masked", LENGTHS)
    told = []
    for verbose in (0, 1, 1):
        of = backbone if verbose else loaded("bert")
        engine = Engine(of, compile=True, verbose=verbose)
        engine.run(prompts, exits_of(engine), on_the_way(engine))
        told.append(capsys.readouterr().err.count("compiling the layers of Bert"))
    assert told == [0, 1, 0]


def test_estimators_tell_of_it_where_they_are_verbose(
    calls: list[nn.Module], capsys: pytest.CaptureFixture[str]
) -> None:
    X, y = toy.reviews(20)
    settings = {"compile": True, "memory": None}
    EarlyExitClassifier(toy.backbone(), budget=0.5, verbose=1, **settings).fit(X, y)
    assert capsys.readouterr().err.count("compiling the layers") == 1
    assert calls


def test_searches_may_give_a_bool_of_numpy(calls: list[nn.Module]) -> None:
    X, y = toy.reviews(20)
    EarlyExitClassifier(toy.backbone(), budget=0.5, compile=np.True_, memory=None).fit(
        X, y
    )
    assert calls


@pytest.mark.parametrize("compile", ["yes", None, 1, 2.0, np.array(["auto"])])
def test_other_values_are_refused(compile: Any) -> None:
    X, y = toy.reviews(20)
    clf = EarlyExitClassifier(toy.backbone(), compile=compile)
    with pytest.raises(ValueError, match="compile must be 'auto', True or False"):
        clf.fit(X, y)


@pytest.mark.parametrize(("compile", "is_used"), [(True, True), ("auto", False)])
def test_estimators_pass_it_on(
    compile: Any, is_used: bool, calls: list[nn.Module]
) -> None:
    X, y = toy.reviews(40)
    by_votes = {"template": toy.TEMPLATES["masked"], "readout": "ridge"}
    settings: list[tuple[Any, dict[str, Any]]] = [
        (EarlyExitClassifier, {"threshold": 1.0}),
        (RAEEClassifier, {**by_votes, "tau": 0.0}),
        (RAEEClassifierCV, {**by_votes, "ks": [3], "taus": [0.0]}),
    ]
    for cls, chosen in settings:
        calls.clear()
        clf = cls(toy.backbone(), compile=compile, **chosen, memory=None).fit(X, y)
        assert bool(calls) == is_used
        plain = cls(toy.backbone(), compile=False, **chosen, memory=None).fit(X, y)
        np.testing.assert_allclose(
            clf.predict_proba(TEXTS), plain.predict_proba(TEXTS), atol=1e-5
        )
