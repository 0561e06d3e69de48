"""Products of few shapes: filled up, and their answers as they were."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from skraee.backbone.loaded import LoadedBackbone, in_dtype
from skraee.engine import few_shapes, products
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.few_shapes import (
    Filling,
    few_shapes_of_attention,
    filled_up,
    parted,
)
from skraee.engine.products import PackedWeights, with_fast_products
from skraee.engine.stacks import layers_of
from tests.support.counting_products import NotingPacked
from tests.support.models import MODELS, loaded
from tests.support.prompts import prompts_for
from tests.support.ways import on_the_way

LENGTHS = tuple(np.random.default_rng(0).integers(4, 40, 60).tolist())


def in_bfloat16(name: str) -> LoadedBackbone:
    plain = loaded(name)
    model = in_dtype(deepcopy(plain.model), torch.bfloat16)
    return replace(plain, model=model, dtype=torch.bfloat16, _derived={})


def test_rows_are_filled_up_by_little_to_few_numbers() -> None:
    n_rows = np.arange(1, 5_000)
    filled = np.array([filled_up(int(n)) for n in n_rows])
    assert (filled >= n_rows).all()
    assert (filled <= n_rows * (1 + 1 / 16)).all()
    assert [filled_up(int(n)) for n in filled] == filled.tolist()
    assert len(np.unique(filled)) < 200


def with_few_shapes(layer: nn.Module, filling: Filling) -> nn.Module:
    return with_fast_products(layer, PackedWeights(), filling)


@pytest.fixture(autouse=True, params=["packed", "plain"])
def weights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With weights that are laid out, and without."""
    if request.param == "plain":
        monkeypatch.setattr(products, "_MOST_BYTES", 0)


class TwoProducts(nn.Module):
    """Two products that read one tensor, and one that reads theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 6), nn.Linear(8, 6)
        self.out = nn.Linear(6, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.first(tokens) * self.second(tokens))


@pytest.fixture
def padded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what is filled up, one after the other."""
    seen: list[tuple[int, ...]] = []
    pad = nn.functional.pad

    def noting(tokens: torch.Tensor, *args: Any) -> torch.Tensor:
        seen.append(tuple(tokens.shape))
        return pad(tokens, *args)

    monkeypatch.setattr(few_shapes.nn.functional, "pad", noting)
    return seen


def test_what_several_products_read_is_filled_up_once(
    padded: list[tuple[int, ...]],
) -> None:
    layer, filling = TwoProducts().bfloat16(), Filling()
    tokens = torch.randn(7, 11, 8).bfloat16()
    with torch.no_grad():
        found = with_few_shapes(layer, filling)(tokens)
        torch.testing.assert_close(found, layer(tokens))
        assert padded == [(77, 8), (77, 6)]


def test_what_is_changed_in_place_is_filled_up_anew() -> None:
    filling, tokens = Filling(), torch.zeros(70, 8)
    first = filling.filled(tokens)
    assert filling.filled(tokens) is first
    tokens += 1
    assert torch.equal(filling.filled(tokens)[:70], tokens)


def test_what_was_made_in_inference_mode_is_filled_up() -> None:
    layer = TwoProducts().bfloat16()
    with torch.inference_mode():
        tokens = torch.randn(7, 11, 8).bfloat16()
    with torch.no_grad():
        found = with_few_shapes(layer, Filling())(tokens)
        torch.testing.assert_close(found, layer(tokens))


def test_few_rows_are_left_alone(padded: list[tuple[int, ...]]) -> None:
    layer = TwoProducts().bfloat16()
    with torch.no_grad():
        with_few_shapes(layer, Filling())(torch.randn(5, 11, 8).bfloat16())
    assert padded == []


def test_plain_products_in_float32_are_left_alone(
    padded: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_MOST_BYTES", 0)
    layer = TwoProducts()
    with torch.no_grad():
        tokens = torch.randn(7, 11, 8)
        assert torch.equal(with_few_shapes(layer, Filling())(tokens), layer(tokens))
    assert padded == []


def test_products_of_other_classes_are_left_alone() -> None:
    class Own(nn.Linear):
        pass

    layer = nn.Sequential(Own(4, 4), nn.ReLU())
    assert with_few_shapes(layer, Filling()) is layer


def test_nothing_is_held_when_a_pass_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Filling] = []
    init = Filling.__init__
    monkeypatch.setattr(
        Filling, "__init__", lambda self: (init(self), made.append(self))[0]
    )
    backbone = in_bfloat16("bert")
    engine = Engine(backbone)
    exits = np.full(len(LENGTHS), engine.n_layers)
    prompts = prompts_for("masked", LENGTHS)
    engine.run(prompts, AtGivenDepths(exits), on_the_way(engine))
    assert [filling._last for filling in made] == [None]


def test_means_of_tokens_need_no_kernel_for_each_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: set[torch.dtype] = set()
    bmm = torch.bmm

    def noting(weights: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        seen.update((weights.dtype, states.dtype))
        return bmm(weights, states)

    engine = Engine(in_bfloat16("bert"))
    monkeypatch.setattr(torch, "bmm", noting)
    prompts = prompts_for("masked", LENGTHS)
    states = engine.sweep(prompts, None, states=("text", "around")).states
    assert seen == {torch.float32}
    assert states is not None
    assert states.dtype == np.uint16  # the bits of bfloat16


# Falcon's products are of a class of its own.
@pytest.mark.parametrize("name", [n for n in MODELS if not n.startswith("falcon")])
def test_products_of_batches_from_which_rows_leave_have_few_shapes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = in_bfloat16(name)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    engine = Engine(backbone, batch_tokens=600)
    exits = np.random.default_rng(2).integers(0, engine.n_layers + 1, len(prompts))
    n_rows: list[int] = []
    within = {
        id(module)
        for stack in backbone.family.stacks
        for layer in layers_of(backbone.model, backbone.family, stack)
        for module in layer.modules()
    }

    def note(tokens: torch.Tensor) -> None:
        n_rows.append(tokens.numel() // tokens.shape[-1])

    def noting(forward: Any) -> Any:
        def noted(self: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
            if id(self) in within:
                note(tokens)
            return forward(self, tokens)

        return noted

    for cls in products.PRODUCTS:
        monkeypatch.setattr(cls, "forward", noting(cls.forward))
    with NotingPacked(note):
        found = engine.run(prompts, AtGivenDepths(exits), on_the_way(engine))
    assert n_rows == [filled_up(n) for n in n_rows]
    assert max(n_rows) > 64
    monkeypatch.setattr(few_shapes, "filled_up", lambda n: n)
    plain = Engine(backbone, batch_tokens=600)
    expected = plain.run(prompts, AtGivenDepths(exits), on_the_way(plain))
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.15)


@pytest.mark.parametrize("most", [1, 16, 256])
def test_a_number_is_parted_into_powers_of_two(most: int) -> None:
    for n in range(600):
        sizes = parted(n, most)
        assert sum(sizes) == n
        assert all(size in {1 << bit for bit in range(9)} for size in sizes)
        assert max(sizes, default=1) <= most
        assert len(sizes) <= n // most + most.bit_length()


class NotingMany(TorchDispatchMode):
    """Notes of how many matrices with as many others products are."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten.bmm.default and args[0].dtype == torch.bfloat16:
            self.sizes.add(len(args[0]))
        return func(*args, **(kwargs or {}))


# gemma2's attention is eager in this version of the library, bloom's has no fourth
# dimension.
@pytest.mark.parametrize("name", ["mpnet", "deberta-v2", "gemma2", "bloom"])
def test_eager_attention_makes_products_of_few_shapes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = in_bfloat16(name)
    prompts = prompts_for(backbone.family.kind, LENGTHS)
    n_heads = backbone.model.config.num_attention_heads
    runs, sizes = [], []
    for _ in range(2):
        engine = Engine(backbone, batch_tokens=600)
        exits = np.random.default_rng(2).integers(0, engine.n_layers + 1, len(prompts))
        with NotingMany() as noting:
            policy = AtGivenDepths(exits)
            runs.append(engine.run(prompts, policy, on_the_way(engine)).scores)
        sizes.append(noting.sizes)
        monkeypatch.setattr(
            few_shapes._FewShapesOfAttention,
            "__torch_function__",
            lambda self, func, types, args=(), kwargs=None: func(
                *args, **(kwargs or {})
            ),
        )
    np.testing.assert_array_equal(runs[0], runs[1])
    few = {1 << bit for bit in range(9)} | {n_heads << bit for bit in range(5)}
    assert sizes[0] <= few
    assert sizes[1] - few  # there was something to part


def test_many_texts_make_no_products_of_their_own_number() -> None:
    attention = few_shapes._FewShapesOfAttention()
    made = []
    for shape in ((45, 3, 5, 4), (300, 5, 4), (45, 5, 4)):
        left = torch.randn(shape).bfloat16()
        right = left.transpose(-1, -2)
        with attention, NotingMany() as noting:
            found = left @ right
        assert torch.equal(found, torch.matmul(left, right))
        made.append(noting.sizes)
    # By texts, of three heads; by heads that are not apart from their texts.
    assert made == [{48, 24, 12, 3}, {256, 32, 8, 4}, {32, 8, 4, 1}]


@pytest.mark.parametrize(
    ("name", "dtype", "n_rows", "expected"),
    [
        ("mpnet", torch.bfloat16, 2, True),
        ("mpnet", torch.bfloat16, 1, False),
        ("mpnet", torch.float32, 2, False),
        ("bert", torch.bfloat16, 2, False),
    ],
)
def test_attention_is_parted_only_where_it_makes_kernels(
    name: str, dtype: torch.dtype, n_rows: int, expected: bool
) -> None:
    model = loaded(name).model.to(dtype)
    found = few_shapes_of_attention(model, n_rows)
    assert isinstance(found, few_shapes._FewShapesOfAttention) == expected
