"""Generation at a depth is the library's own, token by token."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from skraee.engine.decoding import decoder as decoder_module
from skraee.engine.decoding.choice import Sampling
from skraee.engine.decoding.cut_model import begin_rows
from skraee.engine.decoding.decoder import Decoder, Way
from skraee.engine.decoding.ending import Ending, end_ids_of
from skraee.exceptions import BackboneMismatchError
from tests.engine.decoding.references import (
    FAMILIES,
    N_NEW,
    cut_by_hand,
    generate,
    prompts_of,
)
from tests.support.models import loaded

PROMPTS = prompts_of()


def decoder_of(name: str, **settings: Any) -> Decoder:
    return Decoder(with_tokenizer(name), **settings)


def with_tokenizer(name: str) -> Any:
    marks: Any = SimpleNamespace(control_ids=frozenset({0, 1, 2}))
    return replace(loaded(name), tokenizer=marks)


def tokens(decoder: Decoder, depths: Any, prompts: Any = PROMPTS, **way: Any) -> Any:
    ending = Ending(N_NEW, end_ids_of(decoder.backbone))
    depths = np.broadcast_to(np.asarray(depths, dtype=np.int64), len(prompts))
    found = decoder.generate(prompts, depths, Way(ending, **way))
    return [one.tokens for one in found]


@pytest.mark.parametrize("name", FAMILIES)
def test_generation_at_full_depth_is_that_of_the_library(name: str) -> None:
    decoder = decoder_of(name)
    found = tokens(decoder, decoder.n_layers)
    assert found == generate(decoder.backbone.model, PROMPTS)


@pytest.mark.parametrize("name", FAMILIES)
def test_generation_at_a_depth_is_that_of_a_model_with_so_many_layers(
    name: str,
) -> None:
    decoder = decoder_of(name)
    for depth in range(1, decoder.n_layers + 1):
        cut = cut_by_hand(decoder.backbone, depth)
        assert tokens(decoder, depth) == generate(cut, PROMPTS), depth


@pytest.mark.parametrize("name", FAMILIES)
def test_self_drafting_is_greedy_full_depth_whatever_drafts(name: str) -> None:
    decoder = decoder_of(name)
    expected = generate(decoder.backbone.model, PROMPTS)
    for depth in range(decoder.n_layers + 1):
        for n_draft in (1, 4):
            assert tokens(decoder, depth, n_draft=n_draft) == expected, depth


@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_drafts_beyond_the_last_position_are_never_kept(name: str) -> None:
    decoder = decoder_of(name)
    limit = decoder.backbone.position_limit
    assert limit is not None
    prompts = prompts_of((limit - N_NEW, limit - N_NEW, 3))
    expected = generate(decoder.backbone.model, prompts)
    assert tokens(decoder, 1, prompts, n_draft=7) == expected


def test_self_drafting_of_texts_at_several_depths_is_greedy_full_depth() -> None:
    decoder = decoder_of("gemma3_text")
    expected = generate(decoder.backbone.model, PROMPTS)
    assert tokens(decoder, [0, 1, 3, 2, 1], n_draft=3) == expected


def test_self_drafting_accepts_all_of_a_draft_that_skips_nothing_that_matters() -> None:
    """Layers that add nothing make the draft what the full depth says."""
    decoder = decoder_of("llama")
    for layer in decoder.backbone.model.model.layers[1:]:
        for part in (layer.self_attn.o_proj, layer.mlp.down_proj):
            part.weight.data.zero_()
    way = Way(Ending(13), n_draft=3)
    found = decoder.generate(PROMPTS, np.full(len(PROMPTS), 1), way)
    # A pass for the prompt, then three passes that say four tokens each.
    assert [(one.n_drafted, one.n_accepted, one.n_passes) for one in found] == [
        (9, 9, 4)
    ] * len(PROMPTS)


def test_self_drafting_that_is_wrong_accepts_less_than_all() -> None:
    decoder = decoder_of("llama")
    way = Way(Ending(N_NEW), n_draft=4)
    found = decoder.generate(PROMPTS, np.zeros(len(PROMPTS), dtype=int), way)
    assert all(one.n_accepted < one.n_drafted for one in found)
    assert all(one.n_passes <= N_NEW for one in found)


@pytest.mark.parametrize("n_draft", [0, 3])
@pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])
def test_rows_leave_at_their_end_token_and_the_others_go_on(
    name: str, n_draft: int
) -> None:
    backbone = with_tokenizer(name)
    free = generate(backbone.model, PROMPTS, eos_token_id=None)
    ends = sorted({free[0][4], free[1][2]})  # in the midst of some
    expected = generate(backbone.model, PROMPTS, eos_token_id=ends)
    assert len({len(one) for one in expected}) > 1
    ending = Ending(N_NEW, frozenset(ends))
    decoder = Decoder(backbone)
    depths = np.full(len(PROMPTS), 1 if n_draft else decoder.n_layers)
    found = decoder.generate(PROMPTS, depths, Way(ending, n_draft=n_draft))
    assert [one.tokens for one in found] == expected


def test_rows_that_have_left_are_not_run() -> None:
    backbone = with_tokenizer("llama")
    free = generate(backbone.model, PROMPTS, eos_token_id=None)
    ends = frozenset(one[0] for one in free[:3])
    widths: list[int] = []
    hook = backbone.model.model.layers[0].register_forward_pre_hook(
        lambda module, args: widths.append(len(args[0]))
    )
    decoder = Decoder(backbone)
    widths.clear()  # of the look before
    way = Way(Ending(3, ends))
    found = decoder.generate(PROMPTS, np.full(len(PROMPTS), 1), way)
    hook.remove()
    n_left = [sum(len(one.tokens) > n for one in found) for n in range(3)]
    assert widths == [n for n in n_left if n]


def test_text_ends_where_a_stop_string_appears() -> None:
    decoder = decoder_of("llama")
    whole = tokens(decoder, 3)
    letters = {token: chr(65 + token) for token in range(64)}
    stop = letters[whole[0][3]]

    def text_of(ids: Any) -> str:
        return "".join(letters[token] for token in ids)

    ending = Ending(N_NEW, stops=(stop,), text_of=text_of)
    found = decoder.generate(PROMPTS, np.full(len(PROMPTS), 3), Way(ending))
    for one, free in zip(found, whole, strict=True):
        at = text_of(free).find(stop)
        assert one.tokens == (free if at < 0 else free[: at + 1])


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_batch_of_any_size_generates_what_a_text_alone_does(name: str) -> None:
    depths = [1, 2, 2, 0, 1]
    whole = tokens(decoder_of(name), depths)
    for batch_tokens in (1, 40):
        assert tokens(decoder_of(name, batch_tokens=batch_tokens), depths) == whole


@pytest.mark.parametrize("top_k", [None, 5])
@pytest.mark.parametrize("top_p", [None, 0.8])
def test_sampling_alone_is_that_of_the_library(
    top_k: int | None, top_p: float | None
) -> None:
    decoder = decoder_of("qwen2")
    expected = []
    for seed, prompt in enumerate(PROMPTS):
        torch.manual_seed(seed)
        settings = {"temperature": 0.7, "top_k": top_k or 0, "top_p": top_p or 1.0}
        expected += generate(
            decoder.backbone.model, [prompt], **{"do_sample": True, **settings}
        )
    way = Way(Ending(N_NEW, frozenset({2})), Sampling(0.7, top_k, top_p))
    depths = np.full(len(PROMPTS), decoder.n_layers)
    found = decoder.generate(PROMPTS, depths, way, seeds=range(len(PROMPTS)))
    assert [one.tokens for one in found] == expected
    assert expected != tokens(decoder, decoder.n_layers)


def test_text_that_overflows_its_dtype_is_generated_in_float32() -> None:
    backbone = with_tokenizer("llama")
    weight = backbone.model.model.layers[1].mlp.down_proj.weight
    with torch.no_grad():
        weight.mul_(1e4)
    half = replace(backbone, dtype=torch.float16, model=backbone.model.half())
    expected = tokens(Decoder(half.in_float32), 3)
    assert tokens(Decoder(half), 3) == expected


def test_numbers_that_are_none_are_refused() -> None:
    backbone = with_tokenizer("llama")
    decoder = Decoder(backbone)
    backbone.model.model.layers[2].mlp.down_proj.weight.data[0, 0] = float("nan")
    assert len(tokens(decoder, 2)) == len(PROMPTS)
    with pytest.raises(ValueError, match=r"not finite for 5 text\(s\), .*check its we"):
        tokens(decoder, 3)


def test_lack_of_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = decoder_of("llama")
    whole = tokens(decoder, 2)
    sizes = []

    def failing(backbone: Any, prompts: Any, depth: int) -> Any:
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("none left")
        return begin_rows(backbone, prompts, depth)

    monkeypatch.setattr(decoder_module, "begin_rows", failing)
    assert tokens(decoder, 2) == whole
    assert max(sizes) == len(PROMPTS)
    assert sizes[-1] <= 2


def test_progress_is_told_of_each_text_once() -> None:
    decoder = decoder_of("llama", batch_tokens=40)
    told: list[int] = []
    depths = np.array([1, 2, 2, 3, 1])
    decoder.generate(PROMPTS, depths, Way(Ending(2)), on_progress=told.append)
    assert sum(told) == len(PROMPTS)


def test_shared_model_is_left_as_it_was() -> None:
    decoder = decoder_of("gemma3_text")
    model = decoder.backbone.model
    before = {name: id(module) for name, module in model.named_modules()}
    config = model.config.to_dict()
    tokens(decoder, 1)
    tokens(decoder, 1, n_draft=2)
    assert {name: id(module) for name, module in model.named_modules()} == before
    assert model.config.to_dict() == config


def test_masked_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"BertForMaskedLM .* fills masks and generat"):
        decoder_of("bert")


def test_model_without_a_head_is_refused() -> None:
    backbone = with_tokenizer("llama")
    headless = replace(backbone, model=backbone.model.model, _derived={})
    with pytest.raises(ValueError, match=r"LlamaModel .* has no language-model head"):
        Decoder(headless)


def test_model_that_keeps_other_states_is_refused() -> None:
    config = transformers.MambaConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, state_size=4
    )
    model = transformers.MambaForCausalLM(config).eval()
    family = replace(with_tokenizer("llama").family, stacks=("backbone",))
    backbone = replace(with_tokenizer("llama"), model=model, family=family)
    with pytest.raises(ValueError, match=r"keeps other states of earlier tokens than"):
        Decoder(backbone)


def test_model_whose_cache_does_not_hold_is_refused() -> None:
    backbone = with_tokenizer("llama")
    attention = backbone.model.model.layers[1].self_attn
    own = type(attention).forward
    taken = {"cache", "past_key_values"}

    def forgetful(hidden: Any, *args: Any, **kwargs: Any) -> Any:
        kept = {name: it for name, it in kwargs.items() if name not in taken}
        return own(attention, hidden, *args, **kept)

    attention.forward = forgetful
    with pytest.raises(BackboneMismatchError, match=r"cache"):
        Decoder(backbone)
