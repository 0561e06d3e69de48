"""The sweep over targets is what the model's own hidden states say, in a loop."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.decoding import teacher_forcing
from skraee.engine.decoding.teacher_forcing import Forced, read_targets
from tests.engine.decoding.references import FAMILIES, cut_by_hand, prompts_of
from tests.support.models import VOCAB, loaded
from tests.support.references import catch_inputs, full_head

TEXTS = [
    Forced(prompt.ids, target.ids)
    for prompt, target in zip(
        prompts_of((9, 4, 14, 6, 1)), prompts_of((3, 7, 1, 2, 5), seed=1), strict=True
    )
]


@torch.no_grad()
def reference(backbone: LoadedBackbone, text: Forced) -> np.ndarray:
    """Loop over depths and tokens of one text, in float32."""
    model, family = backbone.model, backbone.family
    row = torch.tensor([[*text.prompt, *text.target]])
    inputs: dict[str, Any] = {"input_ids": row, "output_hidden_states": True}
    first = len(text.prompt) - 1
    if family.kind == "seq2seq":
        start = model.config.decoder_start_token_id
        inputs["input_ids"] = torch.tensor([text.prompt])
        inputs["decoder_input_ids"] = torch.tensor([[start, *text.target]])
        first = 0
    last = catch_inputs(model, family, inputs)[family.stacks[-1]]
    out = model(**inputs)
    is_beside = family.kind == "seq2seq"
    listed = out.decoder_hidden_states if is_beside else out.hidden_states
    stack = model.get_submodule(family.stacks[-1])
    found = []
    for hidden in [*listed[:-1], last]:
        of_tokens = []
        for i, token in enumerate(text.target):
            state = hidden[0, first + i]
            for name in family.final_norms:
                norm = getattr(stack, name)
                state = state if norm is None else norm(state)
            shares = torch.softmax(full_head(model, state).double(), -1)
            of_tokens.append([float(shares.argmax() == token), float(shares[token])])
        found.append(np.mean(of_tokens, axis=0))
    return np.array(found)


@pytest.mark.parametrize("name", FAMILIES)
def test_readings_are_those_of_a_loop_over_hidden_states(name: str) -> None:
    backbone = loaded(name)
    found = read_targets(backbone, TEXTS, batch_tokens=4096)
    expected = np.stack([reference(backbone, text) for text in TEXTS])
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, :, 0], expected[:, :, 0].astype("f4"))
    np.testing.assert_allclose(found[:, :, 1], expected[:, :, 1], atol=2e-6)


def test_target_that_the_full_depth_says_itself_is_named_whole() -> None:
    from tests.engine.decoding.references import generate

    backbone = loaded("llama")
    prompts = prompts_of()
    for depth in (1, 2, 3):
        own = generate(cut_by_hand(backbone, depth), prompts, eos_token_id=None)
        texts = [Forced(p.ids, tuple(ids)) for p, ids in zip(prompts, own, strict=True)]
        assert (read_targets(backbone, texts, 4096)[:, depth, 0] == 1).all()


def test_batch_of_any_size_reads_what_a_text_alone_does() -> None:
    backbone = loaded("gemma3_text")
    whole = read_targets(backbone, TEXTS, 4096)
    alone = read_targets(backbone, TEXTS, 1)
    np.testing.assert_allclose(alone, whole, atol=2e-6)


class LargestOfVocabulary(TorchDispatchMode):
    """Notes how many rows a tensor over the vocabulary has at the most."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {a.data_ptr() for a in args if isinstance(a, torch.Tensor)}
        for out in made if isinstance(made, list | tuple) else [made]:
            is_new = isinstance(out, torch.Tensor) and out.data_ptr() not in given
            if is_new and out.ndim > 1 and out.shape[-1] == VOCAB:
                self.rows = max(self.rows, out.numel() // VOCAB)
        return made


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_scores_of_the_vocabulary_are_made_for_a_few_tokens_at_a_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = loaded(name)
    expected = read_targets(backbone, TEXTS, 4096)  # makes the head
    monkeypatch.setattr(teacher_forcing, "_SLICE_BYTES", 3 * 4 * VOCAB)
    with LargestOfVocabulary() as largest:
        found = read_targets(backbone, TEXTS, 4096)
    assert largest.rows == 3
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_text_that_overflows_its_dtype_is_read_in_float32() -> None:
    marks: Any = SimpleNamespace(control_ids=frozenset())
    backbone = replace(loaded("llama"), tokenizer=marks)
    backbone.model.model.layers[1].mlp.down_proj.weight.data.mul_(1e4)
    half = replace(backbone, dtype=torch.float16, model=backbone.model.half())
    found = read_targets(half, TEXTS, 4096)
    assert np.isfinite(found).all()
    expected = read_targets(half.in_float32, TEXTS, 4096)
    np.testing.assert_allclose(found[:, 2:, 1], expected[:, 2:, 1], atol=2e-3)


def test_progress_is_told_of_each_text_once() -> None:
    told: list[int] = []
    read_targets(loaded("llama"), TEXTS, 20, told.append)
    assert sum(told) == len(TEXTS)
    assert len(told) > 1
