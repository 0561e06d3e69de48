"""Products with weights that are laid out once: which, and that they say the same."""

from __future__ import annotations

import gc
import platform
import weakref

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from skraee import toy
from skraee.engine import products
from skraee.engine.agreement import check_agreement
from skraee.engine.cost import depth_costs
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.few_shapes import Filling
from skraee.engine.products import PackedWeights, flop_counter, with_fast_products
from tests.support.counting_products import NotingPacked
from tests.support.models import MODELS, loaded
from tests.support.prompts import prompts_for
from tests.support.ways import on_the_way

pytestmark = pytest.mark.skipif(
    platform.machine() not in products._MACHINES
    or not torch.backends.mkldnn.is_available(),
    reason="weights are laid out for oneDNN on x86 only",
)


class Products(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 6), nn.Linear(6, 7, bias=False)
        self.third = Conv1D(5, 7)

    def forward(self, tokens: Tensor) -> Tensor:
        made: Tensor = self.third(self.second(self.first(tokens)))
        return made


def n_packed(layer: nn.Module, weights: PackedWeights, tokens: Tensor) -> int:
    """Run a layer and its view, hold these to each other, count packed products."""
    seen: list[Tensor] = []
    view = with_fast_products(layer, weights, Filling())
    with torch.no_grad(), NotingPacked(seen.append):
        found, expected = view(tokens), layer(tokens)
    # Kernels of some CPUs may sum a plain product in another order.
    tolerance = 1e-6 if tokens.dtype == torch.float32 else 1e-2
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    return len(seen)


@pytest.mark.parametrize("n_rows", [1, 40, 64, 65, 300])
def test_products_say_the_same(n_rows: int) -> None:
    torch.manual_seed(0)
    tokens = torch.randn(n_rows, 8)
    assert n_packed(Products(), PackedWeights(), tokens) == 3
    assert n_packed(Products(), PackedWeights(), tokens[:, None]) == 3


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no kernels for bfloat16"
)
@pytest.mark.parametrize("n_rows", [1, 40, 64, 68, 300])
def test_products_say_the_same_in_bfloat16(n_rows: int) -> None:
    torch.manual_seed(0)
    tokens = torch.randn(n_rows, 8).bfloat16()
    assert n_packed(Products().bfloat16(), PackedWeights(), tokens) == 3


def test_no_rows_are_no_product() -> None:
    assert n_packed(Products(), PackedWeights(), torch.zeros(0, 8)) == 0


def test_only_what_is_used_is_laid_out() -> None:
    layer, weights = Products(), PackedWeights()
    view = with_fast_products(layer, weights, Filling())
    assert not weights._known
    with torch.no_grad():
        view.second(torch.zeros(3, 6))
    assert [module for module, _ in weights._known.values()] == [layer.second]


def test_weights_are_laid_out_once_for_all_views() -> None:
    backbone = loaded("bert")
    engine = Engine(backbone)
    prompts = prompts_for("masked", (5, 9, 12))
    exits = AtGivenDepths(np.full(3, engine.n_layers))
    engine.run(prompts, exits, on_the_way(engine))
    weights = PackedWeights.of_backbone(backbone)
    known = {key: packed for key, (_, packed) in weights._known.items()}
    assert known
    engine.run(prompts, exits, on_the_way(engine))
    assert weights is PackedWeights.of_backbone(backbone)
    assert all(weights._known[key][1] is packed for key, packed in known.items())


def test_weights_beyond_a_bound_stay_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = Products()
    room = layer.first.weight.nbytes + layer.third.weight.nbytes
    monkeypatch.setattr(products, "_MOST_BYTES", room)
    weights = PackedWeights()
    assert n_packed(layer, weights, torch.randn(70, 8)) == 2
    assert weights.of(layer.second) is None


def hooked(layer: Products) -> None:
    layer.first.register_forward_pre_hook(lambda module, args: None)


def made_of_parts(layer: Products) -> None:
    nn.utils.parametrizations.weight_norm(layer.first)


def made_of_parts_by_a_hook(layer: Products) -> None:
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(layer.first)


@pytest.mark.parametrize("change", [hooked, made_of_parts, made_of_parts_by_a_hook])
def test_weights_that_may_change_stay_as_they_are(change: object) -> None:
    layer = Products()
    assert callable(change)
    change(layer)
    assert n_packed(layer, PackedWeights(), torch.randn(70, 8)) == 2


def test_other_dtypes_stay_as_they_are() -> None:
    tokens = torch.randn(9, 8).double()
    assert n_packed(Products().double(), PackedWeights(), tokens) == 0


def test_weights_stay_as_they_are_where_onednn_is_switched_off() -> None:
    torch._C._set_mkldnn_enabled(False)
    try:
        assert n_packed(Products(), PackedWeights(), torch.randn(9, 8)) == 0
    finally:
        torch._C._set_mkldnn_enabled(True)


def test_other_machines_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert n_packed(Products(), PackedWeights(), torch.randn(9, 8)) == 0


def test_packed_weights_go_with_their_model() -> None:
    layer, weights = Products(), PackedWeights()
    n_packed(layer, weights, torch.randn(9, 8))
    gone = weakref.ref(layer.first)
    del layer, weights
    gc.collect()
    assert gone() is None


def test_packed_products_are_counted_as_others() -> None:
    layer, tokens = Products(), torch.randn(2, 16, 8)
    view = with_fast_products(layer, PackedWeights(), Filling())
    counts = []
    for module in (layer, view):
        with torch.no_grad(), flop_counter() as counter:
            module(tokens)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] == 2 * 32 * (8 * 6 + 6 * 7 + 7 * 5)


@pytest.mark.parametrize("name", MODELS)
def test_costs_are_those_of_plain_products(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = depth_costs(loaded(name))
    monkeypatch.setattr(products, "_MACHINES", ())
    np.testing.assert_array_equal(found, depth_costs(loaded(name)))


def test_probes_of_the_look_at_load_are_run_with_plain_products() -> None:
    backbone = toy.backbone().load("float32")
    seen: list[Tensor] = []
    with NotingPacked(seen.append):
        check_agreement(backbone)
    assert seen == []
