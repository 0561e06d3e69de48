"""One row per model family: where its layers are, and what follows the last one.

Everything else that skraee does with a model is the model's own code, run through
a view (:mod:`skraee.engine.gates`). A type without a row is found out from the model
itself (:mod:`skraee.backbone.discovery`): a row is for odd shapes, and says what that
cannot see, such as the parts of a layer that work on tokens one by one. Its tiny
configuration goes to ``tests/support/models.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["masked", "causal", "seq2seq"]


def _max_position_embeddings(config: Any) -> int | None:
    return getattr(config, "max_position_embeddings", None)


def _n_positions(config: Any) -> int | None:
    # T5's positions are relative; the length it was trained at is its limit here.
    return getattr(config, "n_positions", 512)


@dataclass(frozen=True)
class Family:
    """How one family of models is laid out.

    Parameters
    ----------
    kind : {"masked", "causal", "seq2seq"}
        Which prompt it reads and which head it has.
    stacks : tuple of str
        Paths, within the model with its head, of the modules that turn token ids
        into states: one, or encoder and decoder.
    layers : str
        Path of the layer list within a stack.
    final_norms : tuple of str
        The modules that a stack applies after its last layer, in their order: the
        final norm, a projection. They belong to the readout of every depth.
    positions : callable
        Configuration -> number of positions that the model has, or None. A table of
        positions that ends earlier counts without it (RoBERTa's begin at 2).
    between : tuple of str
        Modules of a stack that run between two layers on whole-batch arguments.
    shared_args : frozenset of str
        Layer arguments that hold no row per text.
    args_by_head : frozenset of str
        Layer arguments that hold a row for each attention head of each text.
    feed_forward : tuple of str
        Paths, within a layer, of the first and the last module of its feed-forward
        part, which works on tokens one by one; one path where they are the same,
        none where the layer's own code does not leave it apart.
    attention : tuple of str
        Paths, within a layer, of the modules of its attention of which only the read
        position's output is needed where a row ends: what makes the queries, and what
        follows the attention. Not what makes queries and keys in one.
    cycles_layers : bool
        Whether the layer list holds groups that are run several times (ALBERT).
    is_discovered : bool
        Whether it was found out from a model, and is no row of the table.
    """

    kind: Kind
    stacks: tuple[str, ...]
    layers: str
    final_norms: tuple[str, ...] = ()
    positions: Callable[[Any], int | None] = _max_position_embeddings
    between: tuple[str, ...] = ()
    shared_args: frozenset[str] = frozenset()
    args_by_head: frozenset[str] = frozenset()
    feed_forward: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()
    cycles_layers: bool = False
    is_discovered: bool = False


def _bert_like(stack: str, **changes: Any) -> Family:
    parts = {
        "feed_forward": ("intermediate", "output"),
        "attention": ("attention.self.query", "attention.output"),
        **changes,
    }
    return Family("masked", (stack,), "encoder.layer", **parts)


def _llama_like(
    attention: tuple[str, ...] = ("self_attn.q_proj", "self_attn.o_proj"),
) -> Family:
    return Family(
        "causal",
        ("model",),
        "layers",
        ("norm",),
        feed_forward=("mlp",),
        attention=attention,
    )


_ROBERTA = _bert_like("roberta")
_BLOOM = Family(
    "causal",
    ("transformer",),
    "h",
    ("ln_f",),
    args_by_head=frozenset({"alibi"}),
    feed_forward=("mlp",),
    attention=("self_attention.dense",),
)
_T5 = Family(
    "seq2seq",
    ("encoder", "decoder"),
    "block",
    ("final_layer_norm",),
    _n_positions,
    # Of the encoder; a decoder's rows have one token.
    feed_forward=("layer.1.DenseReluDense",),
    attention=("layer.0.SelfAttention.q", "layer.0.SelfAttention.o"),
)

#: What messages name where a model is refused; all others that are read are listed in
#: docs/model-types.md.
SUCH_AS = "such as BERT, RoBERTa, MPNet, GPT-2, Llama, Qwen2, Gemma or T5"

#: ``model_type`` of the configuration -> family.
FAMILIES: dict[str, Family] = {
    # masked
    "bert": _bert_like("bert"),
    "elasticbert": _bert_like("bert"),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": Family(
        "masked",
        ("distilbert",),
        "transformer.layer",
        feed_forward=("ffn",),
        attention=("attention.q_lin", "attention.out_lin"),
    ),
    "albert": Family(
        "masked",
        ("albert",),
        "encoder.albert_layer_groups",
        feed_forward=("albert_layers.0.ffn", "albert_layers.0.ffn_output"),
        attention=("albert_layers.0.attention.query",),
        cycles_layers=True,
    ),
    "deberta-v2": _bert_like(
        "deberta",
        between=("encoder.conv",),
        shared_args=frozenset({"rel_embeddings", "relative_pos"}),
        attention=("attention.output",),  # queries are made of positions too
    ),
    "mpnet": _bert_like(
        "mpnet",
        attention=("attention.attn.q", "attention.attn.o"),
    ),
    "electra": _bert_like("electra"),
    "modernbert": Family(
        "masked",
        ("model",),
        "layers",
        ("final_norm",),
        feed_forward=("mlp",),
        attention=("attn.Wo",),
    ),
    # causal
    "gpt2": Family(
        "causal",
        ("transformer",),
        "h",
        ("ln_f",),
        feed_forward=("mlp",),
        attention=("attn.c_proj",),
    ),
    "bloom": _BLOOM,
    "falcon": _BLOOM,
    "gpt_neox": Family(
        "causal",
        ("gpt_neox",),
        "layers",
        ("final_layer_norm",),
        feed_forward=("mlp",),
        attention=("attention.dense",),
    ),
    "opt": Family(
        "causal", ("model.decoder",), "layers", ("final_layer_norm", "project_out")
    ),
    "llama": _llama_like(),
    "mistral": _llama_like(),
    "qwen2": _llama_like(),
    "qwen3": _llama_like(),
    "gemma": _llama_like(),
    "gemma2": _llama_like(),
    "gemma3_text": _llama_like(),
    "phi3": _llama_like(attention=("self_attn.o_proj",)),
    # sequence-to-sequence (Flan-T5 is "t5")
    "t5": _T5,
    "mt5": _T5,
}
