"""A model is believed after a look: it answers alike layer by layer and whole."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from torch import nn

from skraee import toy
from skraee.backbone.families import FAMILIES
from skraee.backbone.handle import Backbone
from skraee.backbone.loaded import LoadedBackbone
from skraee.backbone.registry import clear_backbones
from skraee.engine import agreement, gates, packing, rows
from skraee.engine.agreement import believed, check_agreement
from skraee.engine.batch import Batch
from skraee.engine.decoding import agreement as decoding_agreement
from skraee.engine.engine import Engine
from skraee.engine.head import label_head
from skraee.engine.probe_prompts import probes_for
from skraee.exceptions import BackboneMismatchError
from skraee.text.tokenizer import TextTokenizer
from tests.support.checkpoints import small_tokenizer
from tests.support.classifiers import raee
from tests.support.models import MODELS, loaded, tiny_model, toy_objects
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.references import own_answer, soft
from tests.support.runs import label_proba
from tests.support.walk import tiny_text_model

pytestmark = pytest.mark.usefixtures("fresh_backbones")

X, Y = toy.reviews(40)


def opened(model: Any, tokenizer: Any) -> LoadedBackbone:
    """Load a model and look at it, as estimators do."""
    return believed(Backbone(model, tokenizer).load())


def looked_at(name: str, dtype: torch.dtype = torch.float32) -> LoadedBackbone:
    """A tiny backbone as loading has it before the look."""
    backbone = loaded(name)
    for weight in backbone.model.parameters():
        weight.data = weight.data.to(dtype)
    tokenizer = TextTokenizer.from_hf(small_tokenizer())
    return replace(backbone, tokenizer=tokenizer, dtype=dtype)


# What is right passes


@pytest.mark.parametrize(("share", "is_refused"), [(5e-5, False), (5e-4, True)])
def test_rows_that_leave_may_be_off_by_the_rounding_of_other_batches(
    share: float, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By as much as Qwen2.5 0.5B moves in batches of other sizes, and by more.
    run = Engine.run

    def rounding(self: Engine, *args: Any) -> Any:
        found = run(self, *args)
        return replace(found, scores=found.scores * (1 + share))

    monkeypatch.setattr(Engine, "run", rounding)
    backbone = looked_at("qwen2")
    if not is_refused:
        return check_agreement(backbone)
    with pytest.raises(BackboneMismatchError, match="texts that leave at depth"):
        check_agreement(backbone)


@pytest.mark.parametrize(("share", "is_refused"), [(9e-5, False), (9e-4, True)])
def test_generating_may_be_off_by_the_rounding_of_other_batches(
    share: float, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = decoding_agreement._alone
    monkeypatch.setattr(
        decoding_agreement, "_alone", lambda *args: alone(*args) * (1 + share)
    )
    backbone = looked_at("qwen2")
    if not is_refused:
        return decoding_agreement.check_decoding(backbone)
    with pytest.raises(BackboneMismatchError, match="in a batch with a cache"):
        decoding_agreement.check_decoding(backbone)


def test_the_longest_and_the_shortest_text_go_deepest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Short ones see most of what is kept of the first tokens."""
    deepest: set[int] = set()
    run = Engine.run

    def noted(self: Engine, prompts: Any, policy: Any, *args: Any, **kw: Any) -> Any:
        depths = policy.depths(np.zeros((len(prompts), 0)), self.n_layers).depths
        deepest.add(len(prompts[int(depths.argmax())].ids))
        return run(self, prompts, policy, *args, **kw)

    monkeypatch.setattr(Engine, "run", noted)
    backbone = looked_at("gpt2")
    check_agreement(backbone)
    lengths = {len(prompt.ids) for prompt in probes_for(backbone)}
    assert deepest == {min(lengths), max(lengths)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", MODELS)
def test_look_at_every_family_in_every_dtype_finds_no_fault(
    name: str, dtype: torch.dtype
) -> None:
    check_agreement(looked_at(name, dtype))


@pytest.mark.parametrize("name", ["bert", "distilbert", "deberta-v2", "llama", "opt"])
def test_look_at_a_stack_without_a_head_finds_no_fault(name: str) -> None:
    stack = tiny_model(name).base_model
    assert not opened(stack, small_tokenizer()).has_head


@pytest.mark.parametrize("name", ["bert", "gemma3_text", "t5"])
def test_look_leaves_nothing_behind(name: str) -> None:
    backbone = looked_at(name)
    hooks = [len(module._forward_hooks) for module in backbone.model.modules()]
    check_agreement(backbone)
    now = [len(module._forward_hooks) for module in backbone.model.modules()]
    assert now == hooks
    assert not backbone._derived


def test_look_takes_models_that_have_few_positions() -> None:
    backbone = looked_at("bert")
    family = replace(backbone.family, positions=lambda config: 2)
    check_agreement(replace(backbone, family=family))


def test_texts_that_overflow_the_dtype_are_left_out_of_the_look() -> None:
    backbone = looked_at("llama", torch.float16)
    with torch.no_grad():
        backbone.model.model.embed_tokens.weight.mul_(1e6)
    check_agreement(backbone)


def test_each_load_looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(agreement, "check_agreement", looks.append)
    model, tokenizer = toy_objects()
    backbone = Backbone(model, tokenizer)  # with its last handle a model is forgotten
    found = believed(backbone.load())
    for _ in range(2):
        assert opened(model, tokenizer) is found
    assert looks == [found]
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.mul_(1.5)
    again = opened(model, tokenizer)
    assert looks == [found, again]


@pytest.mark.slow
def test_look_costs_little_beside_a_load() -> None:
    start = time.perf_counter()
    check_agreement(looked_at("bert"))
    assert time.perf_counter() - start < 1


# What is wrong does not


def _in_reverse(monkeypatch: pytest.MonkeyPatch, backbone: Any) -> Any:
    layers_of = gates.layers_of
    monkeypatch.setattr(gates, "layers_of", lambda *args: layers_of(*args)[::-1])
    return backbone


def _one_twice(monkeypatch: pytest.MonkeyPatch, backbone: Any) -> Any:
    layers_of = gates.layers_of

    def twice(*args: Any) -> list[nn.Module]:
        first, *rest = layers_of(*args)
        return [first, first, *rest[1:]]

    monkeypatch.setattr(gates, "layers_of", twice)
    return backbone


def _shifted_positions(monkeypatch: pytest.MonkeyPatch, backbone: Any) -> Any:
    run = gates.GatedStack.run

    def shifted(
        self: gates.GatedStack, running: Any, input_ids: torch.Tensor, **keywords: Any
    ) -> Any:
        positions = torch.arange(input_ids.shape[1])[None] * 2
        keywords |= {"input_ids": input_ids, "position_ids": positions}
        return run(self, running, **keywords)

    monkeypatch.setattr(gates.GatedStack, "run", shifted)
    return backbone


def _without_mask(monkeypatch: pytest.MonkeyPatch, backbone: Any) -> Any:
    inputs = Batch.inputs
    monkeypatch.setattr(Batch, "inputs", lambda *args: (inputs(*args)[0], None))
    return backbone


def _rows_mixed_up(monkeypatch: pytest.MonkeyPatch, backbone: Any) -> Any:
    take = rows._take

    def mixed(tensor: torch.Tensor, keep: Any) -> torch.Tensor:
        kept = take(tensor, keep)
        return kept.flip(0) if isinstance(keep, int) and kept.ndim == 3 else kept

    monkeypatch.setattr(rows, "_take", mixed)
    return backbone


def _rows_mixed_up_on_their_way(monkeypatch: pytest.MonkeyPatch, backbone: Any) -> Any:
    take = packing.Waiting.take

    def mixed(*args: Any) -> rows.Parked:
        parked = take(*args)
        return replace(parked, hidden=parked.hidden.flip(0))

    monkeypatch.setattr(packing.Waiting, "take", mixed)
    return backbone


def _family(**changes: Any) -> Callable[[Any, Any], Any]:
    def changed(monkeypatch: pytest.MonkeyPatch, backbone: Any) -> Any:
        return replace(backbone, family=replace(backbone.family, **changes))

    return changed


BREAKS: dict[str, tuple[str, Callable[[Any, Any], Any], str]] = {
    "layers in reverse": ("bert", _in_reverse, "the states of depth 1 are off"),
    "a layer twice": ("llama", _one_twice, "the states of depth 2 are off"),
    "norm twice": (
        "llama",
        _family(final_norms=("norm", "norm")),
        "is read of depth 3",
    ),
    "norm forgotten": (
        "llama",
        _family(final_norms=()),
        "what is read of depth 3",
    ),
    "a norm too early": (
        "gpt2",
        _family(final_norms=("h.0.ln_1", "ln_f")),
        "what is read of depth 3",
    ),
    "positions": ("bert", _shifted_positions, "the states of depth 0 are off"),
    "rotary positions": ("llama", _shifted_positions, "the states of depth 1 are off"),
    "no mask": ("bert", _without_mask, "the states of depth 1 are off"),
    "rows": ("bert", _rows_mixed_up, "texts that leave at depth"),
    "rows that wait": (
        "bert",
        _rows_mixed_up_on_their_way,
        "texts that leave at depth",
    ),
    "rows of a decoder that wait": (
        "t5",
        _rows_mixed_up_on_their_way,
        "texts that leave at depth",
    ),
    "another stack": ("bert", _family(stacks=("bert.encoder",)), "cannot be run"),
    "no such stack": ("bert", _family(stacks=("model",)), "cannot be run"),
    "other layers": (
        "distilbert",
        _family(layers="transformer.layer.0.ffn"),
        "cannot be run layer by layer|layers, of which",
    ),
    "decoder for encoder": (
        "t5",
        _family(stacks=("decoder", "encoder")),
        "cannot be run|are off",
    ),
    "trimmed too much": (
        "bert",
        _family(attention=("attention.self.key", "attention.output")),
        "texts that leave at depth",
    ),
    "trimmed where tokens still mix": (
        "llama",
        _family(feed_forward=("input_layernorm",)),
        "texts that leave at depth",
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_look_refuses_what_is_run_otherwise_than_the_model(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, break_it, message = BREAKS[case]
    backbone = break_it(monkeypatch, looked_at(name))
    with pytest.raises(BackboneMismatchError, match=message):
        check_agreement(backbone)


def _norms_twice(monkeypatch: pytest.MonkeyPatch, backbone: Any) -> Any:
    norms = backbone.family.final_norms
    return _family(final_norms=norms * 2)(monkeypatch, backbone)


@pytest.mark.parametrize(
    ("model_type", "break_it", "message"),
    [
        ("rembert", _in_reverse, "states of depth 1 are off"),
        ("rembert", _shifted_positions, "states of depth 0 are off"),
        ("olmo2", _in_reverse, "states of depth 1 are off"),
        ("olmo2", _shifted_positions, "states of depth 1 are off"),
        ("olmo2", _norms_twice, "is read of depth 3 are off"),
        ("pegasus", _in_reverse, "states of depth 1 are off"),
        ("pegasus", _norms_twice, "states of depth 4 are off"),
    ],
)
def test_look_refuses_a_discovered_type_that_is_run_otherwise(
    model_type: str, break_it: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = tiny_text_model(model_type)
    backbone = Backbone(model, small_tokenizer()).load()
    assert model_type not in FAMILIES
    check_agreement(backbone)
    with pytest.raises(BackboneMismatchError, match=message):
        check_agreement(break_it(monkeypatch, backbone))


class MeanOfAll(nn.Module):
    """A part of a layer that sees every place of its batch, padding too."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, hidden: torch.Tensor, *rest: Any) -> Any:
        return self.inner(hidden + hidden.mean(1, keepdim=True), *rest)


@pytest.mark.parametrize("model_type", ["convbert", "nystromformer", "yoso"])
def test_look_refuses_types_whose_answer_hangs_on_padding(model_type: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, _ = tiny_text_model(model_type)
    backbone = Backbone(model, small_tokenizer()).load()
    with pytest.raises(
        BackboneMismatchError, match="of a text alone and beside longer"
    ):
        check_agreement(backbone)


def test_look_refuses_a_layer_that_sees_padding() -> None:
    backbone = looked_at("bert")
    layer = backbone.model.bert.encoder.layer[1]
    layer.intermediate = MeanOfAll(layer.intermediate)
    family = replace(backbone.family, feed_forward=(), attention=())
    with pytest.raises(BackboneMismatchError, match=r"padding it sees.* of depth 2"):
        check_agreement(replace(backbone, family=family))


class Counting(nn.Module):
    """A part that keeps a number of its own while it runs."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.n_calls = 0

    def forward(self, *args: Any) -> Any:
        self.n_calls += 1
        return self.inner(*args)


def test_look_refuses_a_model_that_changes_its_settings() -> None:
    backbone = looked_at("llama")
    mlp = backbone.model.model.layers[0].mlp
    backbone.model.model.layers[0].mlp = Counting(mlp)
    with pytest.raises(BackboneMismatchError, match="changes its own settings"):
        check_agreement(backbone)


@pytest.mark.parametrize("name", ["BigBird", "BigBirdPegasus"])
def test_attention_in_random_blocks_is_refused_and_the_model_left(name: str) -> None:
    config = getattr(tf, f"{name}Config")(**TINY[name])
    model = getattr(tf, f"{name}Model")(config).eval()
    assert config.attention_type == "block_sparse"
    with pytest.raises(ValueError, match=r"set it to 'original_full' in its config"):
        Backbone(model, small_tokenizer()).load()
    config.attention_type = "original_full"
    model = getattr(tf, f"{name}Model")(config).eval()
    check_agreement(Backbone(model, small_tokenizer()).load())


_OF_LAYERS = {"vocab_size": 64, "max_position_embeddings": 160, "pad_token_id": 1}
TINY: dict[str, dict[str, Any]] = {
    "BigBird": {
        **_OF_LAYERS,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "block_size": 8,
    },
    "BigBirdPegasus": {
        **_OF_LAYERS,
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 24,
        "block_size": 8,
    },
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", ["layers in reverse", "norm twice", "no mask", "rows"])
def test_look_refuses_the_same_in_half_precision(
    case: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, break_it, message = BREAKS[case]
    backbone = break_it(monkeypatch, looked_at(name, dtype))
    with pytest.raises(BackboneMismatchError, match=message):
        check_agreement(backbone)


def test_a_row_that_is_wrong_is_refused_at_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(FAMILIES["t5"], final_norms=())
    monkeypatch.setitem(FAMILIES, "t5", wrong)
    backbone = Backbone(*toy_objects("seq2seq"))
    with pytest.raises(
        BackboneMismatchError, match=r"T5ForCond.*states of depth 5 are off"
    ):
        raee("seq2seq", backbone=backbone).fit(X, Y)


# Model objects that are not plain


KINDS: tuple[toy.Kind, ...] = ("masked", "causal", "seq2seq")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: torch.compile(model, backend="eager").eval(),
        lambda model: nn.DataParallel(model).eval(),
        lambda model: nn.DataParallel(torch.compile(model, backend="eager")).eval(),
    ],
    ids=["compiled", "parallel", "both"],
)
def test_wrappers_that_change_nothing_are_taken_off(kind: toy.Kind, wrap: Any) -> None:
    model, tokenizer = toy_objects(kind)
    plain = raee(kind, backbone=Backbone(model, tokenizer))
    expected = plain.fit(X, Y).predict_proba(X)
    clear_backbones()
    found = raee(kind, backbone=Backbone(wrap(model), tokenizer)).fit(X, Y)
    np.testing.assert_allclose(found.predict_proba(X), expected, atol=1e-6)


@pytest.mark.parametrize("path", ["", "bert", "bert.encoder.layer.1"])
def test_modules_compiled_in_place_answer_alike(path: str) -> None:
    model, tokenizer = toy_objects()
    expected = raee(backbone=Backbone(model, tokenizer)).fit(X, Y).predict_proba(X)
    clear_backbones()
    model.get_submodule(path).compile(backend="eager")
    found = raee(backbone=Backbone(model, tokenizer)).fit(X, Y)
    np.testing.assert_allclose(found.predict_proba(X), expected, atol=1e-6)


class Wrapper(nn.Module):
    """A user's own class around a model, with its configuration."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.config = model.config

    def forward(self, *args: Any, **keywords: Any) -> Any:
        return self.model(*args, **keywords)


def test_a_wrapper_of_another_class_is_refused_at_construction() -> None:
    model, tokenizer = toy_objects()
    with pytest.raises(TypeError, match=r"got Wrapper; of a wrapper give the model in"):
        Backbone(Wrapper(model).eval(), tokenizer)


PARTS = ("", "bert", "bert.encoder.layer.1", "bert.encoder.layer.1.output", "cls")


@pytest.mark.parametrize("path", PARTS)
def test_a_patched_forward_is_refused_wherever_it_is(path: str) -> None:
    model, tokenizer = toy_objects()
    module = model.get_submodule(path)
    module.forward = module.forward
    with pytest.raises(ValueError, match=r"has a forward of its own.*del module\.forw"):
        Backbone(model, tokenizer)


def test_another_patched_method_is_refused() -> None:
    model, tokenizer = toy_objects()
    layer = model.bert.encoder.layer[0]
    layer.feed_forward_chunk = lambda states: states
    with pytest.raises(
        ValueError, match=r"BertLayer 'bert\.encoder\.layer\.0' has a f"
    ):
        Backbone(model, tokenizer)


@pytest.mark.parametrize("path", PARTS)
@pytest.mark.parametrize("when", ["register_forward_hook", "register_forward_pre_hook"])
def test_a_hook_is_refused_wherever_it_is(path: str, when: str) -> None:
    model, tokenizer = toy_objects()
    handle = getattr(model.get_submodule(path), when)(lambda *args: None)
    with pytest.raises(ValueError, match=r"has the forward hook .*lambda.*remove it"):
        Backbone(model, tokenizer)
    handle.remove()
    opened(model, tokenizer)


def test_what_comes_after_construction_is_refused_at_the_next_load() -> None:
    model, tokenizer = toy_objects()
    backbone = Backbone(model, tokenizer)
    backbone.load()
    hook = model.bert.register_forward_hook(lambda *args: None)
    with pytest.raises(ValueError, match="has the forward hook"):
        backbone.load()
    hook.remove()
    model.train()
    with pytest.raises(ValueError, match="is in training mode"):
        backbone.load()
    model.eval()
    backbone.load()


def test_hooks_with_which_the_library_notes_states_are_no_fault() -> None:
    model, tokenizer = toy_objects()
    model(torch.tensor([[5, 6]]), output_hidden_states=True)
    assert model.bert.encoder.layer[0]._forward_hooks
    opened(model, tokenizer)


class Adapted(nn.Module):
    """A matrix with a low-rank adapter beside it, as LoRA has them."""

    def __init__(self, matrix: Any) -> None:
        super().__init__()
        self.matrix = matrix
        self.down = nn.Linear(matrix.in_features, 2, bias=False)
        self.up = nn.Linear(2, matrix.out_features, bias=False)
        for part in (self.down, self.up):
            nn.init.normal_(part.weight, std=0.3)

    @property
    def weight(self) -> torch.Tensor:
        return self.matrix.weight

    @property
    def bias(self) -> torch.Tensor:
        return self.matrix.bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.matrix(states) + self.up(self.down(states))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["layers", "all"])
def test_adapters_inside_answer_as_the_models_own_forward(
    kind: toy.Kind, which: str
) -> None:
    model, tokenizer = toy_objects(kind)
    torch.manual_seed(0)
    plain = label_proba(opened(model, tokenizer))
    output = model.get_output_embeddings()
    for path, module in list(model.named_modules()):
        is_output = module is output
        if isinstance(module, nn.Linear) and (which == "all" or not is_output):
            owner, _, name = path.rpartition(".")
            setattr(model.get_submodule(owner), name, Adapted(module))
    found = opened(model, tokenizer)
    prompts = prompts_for(kind)
    swept = soft(Engine(found).sweep(prompts, label_head(found, LABEL_IDS)).logits)
    expected = [own_answer(found, prompt) for prompt in prompts]
    np.testing.assert_allclose(swept[:, -1], expected, atol=1e-5)
    assert np.abs(swept - plain).max() > 0.01


def test_a_subclass_whose_forward_does_more_is_refused() -> None:
    import transformers

    class Scaled(transformers.BertForMaskedLM):
        def forward(self, *args: Any, **keywords: Any) -> Any:
            out = super().forward(*args, **keywords)
            out.logits = out.logits * 1.01
            return out

    model, tokenizer = toy_objects()
    model.__class__ = Scaled
    # The head is the model's own forward, so that this is right.
    opened(model, tokenizer)

    class Noisy(transformers.BertForMaskedLM):
        def forward(self, input_ids: Any = None, **keywords: Any) -> Any:
            if input_ids is None:
                return super().forward(**keywords)
            embeds = self.get_input_embeddings()(input_ids) * 1.1
            return super().forward(inputs_embeds=embeds, **keywords)

    model.__class__ = Noisy
    with pytest.raises(
        BackboneMismatchError, match=r"Noisy .*states of depth 0 are off"
    ):
        opened(model, tokenizer)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_quantised_as_it_runs_is_refused(kind: toy.Kind) -> None:
    model, tokenizer = toy_objects(kind)
    quantised = torch.ao.quantization.quantize_dynamic(
        model, {nn.Linear}, dtype=torch.qint8
    )
    with pytest.raises(ValueError, match=r"is quantised by torch, .*dtype='bfloat16'"):
        Backbone(quantised, tokenizer)


def test_a_part_that_is_compiled_apart_is_refused() -> None:
    model, tokenizer = toy_objects()
    layers = model.bert.encoder.layer
    layers[0] = torch.compile(layers[0], backend="eager")
    with pytest.raises(ValueError, match=r"is a OptimizedModule around another module"):
        Backbone(model.eval(), tokenizer)


# What is around a model


def tripled(module: Any, args: Any, out: Any) -> Any:
    out.logits = out.logits * 3
    return out


def compiled_with_a_hook(model: Any) -> Any:
    wrapper = torch.compile(model, backend="eager")
    wrapper.register_forward_hook(tripled)
    return wrapper


def compiled_with_a_forward(model: Any) -> Any:
    wrapper = torch.compile(model, backend="eager")
    wrapper.forward = lambda **inputs: tripled(None, (), model(**inputs))
    return wrapper


def parallel_with_a_hook(model: Any) -> Any:
    wrapper = torch.nn.DataParallel(model)
    wrapper.register_forward_hook(tripled)
    return wrapper


def parallel_with_a_forward(model: Any) -> Any:
    class Tripling(torch.nn.DataParallel):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return tripled(None, (), self.module(*args, **kwargs))

    return Tripling(model)


def named_as_compiled(model: Any) -> Any:
    class Wrapper(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._orig_mod = model
            self.config = model.config

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return tripled(None, (), self._orig_mod(*args, **kwargs))

    return Wrapper()


@pytest.mark.parametrize(
    "wrapped",
    [
        compiled_with_a_hook,
        compiled_with_a_forward,
        parallel_with_a_hook,
        parallel_with_a_forward,
        named_as_compiled,
    ],
)
def test_wrappers_that_change_the_answers_are_refused(wrapped: Any) -> None:
    wrapper = wrapped(tiny_model("bert")).eval()
    with pytest.raises((TypeError, ValueError), match=r"give the model inside"):
        Backbone(wrapper, small_tokenizer())


def test_a_layer_that_minds_wide_batches_is_refused() -> None:
    class Narrow(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden * (1 + 0.1 * (hidden.shape[1] > 20) * (len(hidden) > 1))

    model = tiny_model("bert")
    layer = model.bert.encoder.layer[1]
    layer.output.dropout = Narrow()
    with pytest.raises(BackboneMismatchError):
        opened(model, small_tokenizer())
