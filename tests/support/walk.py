"""All text models of the transformers library, made tiny and looked at."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
import transformers as tf
from transformers.models.auto import modeling_auto

from skraee.backbone.discovery import family_in
from skraee.backbone.families import Kind
from skraee.backbone.kinds import ModelClass, model_class_of
from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.agreement import check_agreement
from skraee.exceptions import BackboneMismatchError
from skraee.text.tokenizer import TextTokenizer
from tests.support.checkpoints import small_tokenizer
from tests.support.models import with_weights_drawn

_VOCAB = 150
_TABLES = (
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES",
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
)
# What configurations call a size -> how large it is here.
_SIZES: dict[int, str] = {
    _VOCAB: "vocab_size vocab_size_per_layer_input entity_vocab_size src_vocab_size "
    "tgt_vocab_size pronunciation_vocab_size shape_vocab_size",
    16: "hidden_size d_model n_embd dim embed_dim emb_dim embedding_size "
    "entity_emb_size word_embed_proj_dim lru_width input_embedding_size "
    "output_embedding_size pronunciation_embed_dim shape_embed_dim",
    3: "num_hidden_layers n_layer n_layers num_layers encoder_layers",
    2: "decoder_layers num_decoder_layers num_attention_heads n_head n_heads num_heads "
    "encoder_attention_heads decoder_attention_heads num_experts_per_tok "
    "mamba_n_heads moe_topk moe_top_k topk",
    1: "num_key_value_heads mamba_n_groups pad_token_id decoder_start_token_id",
    8: "head_dim d_kv kv_channels q_lora_rank kv_lora_rank qk_nope_head_dim "
    "qk_rope_head_dim v_head_dim rotary_dim attention_head_size linear_key_head_dim "
    "linear_value_head_dim hidden_size_per_layer_input dim_head",
    24: "intermediate_size ffn_dim d_ff encoder_ffn_dim decoder_ffn_dim n_inner "
    "hidden_dim ffn_hidden_size moe_intermediate_size d_inner",
    160: "max_position_embeddings n_positions n_ctx",
    4: "num_experts num_local_experts n_routed_experts mamba_chunk_size chunk_size "
    "linear_num_key_heads linear_num_value_heads mamba_d_state",
}
_NAMED = {name: size for size, names in _SIZES.items() for name in names.split()}
# Where a type's default configuration leaves out what it needs, or wants other sizes.
_OWN: dict[str, dict[str, Any]] = {
    "dots1": {"n_shared_experts": 1, "num_experts_per_tok": 2, "n_routed_experts": 4},
    "gpt_neo": {
        "num_layers": 2,
        "num_hidden_layers": 2,
        "attention_types": [[["global", "local"], 1]],
    },
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "ministral": {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 1, "head_dim": 8},
    "zaya": {"num_experts_per_tok": 1},
    "xmod": {"default_language": "en_XX"},
}
# Changed, one after the other, until the model itself runs.
_MOST_WEIGHTS = 3_000_000
_OTHER_SENSES = ("vision", "audio", "speech", "encoder_config")
_VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"num_key_value_heads": 2},
    {"head_dim": None},
)


def text_model_types() -> list[str]:
    """Return the types that the library has language models or text encoders of."""
    tables = [getattr(modeling_auto, table) for table in _TABLES]
    return sorted(set().union(*tables))


def _shrunk(config: Any, variant: dict[str, Any]) -> dict[str, Any]:
    said, aliases = config.to_dict(), getattr(config, "attribute_map", {})
    sizes = {
        name: size
        for name, size in {**_NAMED, **variant}.items()
        if said.get(name) is not None or name in aliases
    }
    for name in getattr(config, "sub_configs", {}):
        part = getattr(config, name)
        sizes[name] = type(part)(**_shrunk(part, variant)).to_dict()
    return sizes


@dataclass(frozen=True)
class Outcome:
    """What came of a type of model.

    Attributes
    ----------
    model_type : str
    kind : {"masked", "causal", "seq2seq"} or None
        None where it was not found out.
    has_head : bool
        Whether it was read with a language-model head.
    has_row : bool
        Whether the table of families has it; else it was discovered.
    fault : str or None
        Why it was refused, in skraee's words.
    not_tried : str or None
        Why there was no tiny model to try.
    """

    model_type: str
    kind: Kind | None = None
    has_head: bool = False
    has_row: bool = False
    fault: str | None = None
    not_tried: str | None = None

    @property
    def works(self) -> bool:
        """Whether such a model was believed."""
        return self.fault is None and self.not_tried is None


def outcome_of(model_type: str) -> Outcome:
    """Make a tiny model of a type, find its layers, and look at it.

    Whatever else is raised than what skraee says of a model goes through.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers without a weight, and the like
            model, reads = tiny_text_model(model_type)
    except NotTiny as reason:
        return Outcome(model_type, not_tried=str(reason).partition("\n")[0])
    try:
        family = family_in(model, reads.kind)
        words = TextTokenizer.from_hf(small_tokenizer())
        check_agreement(LoadedBackbone.of(model, words, family))
    except (ValueError, BackboneMismatchError) as error:
        return Outcome(model_type, reads.kind, fault=_reason(error))
    has_row = not family.is_discovered
    return Outcome(model_type, reads.kind, reads.has_head, has_row)


def _reason(error: Exception) -> str:
    """Return what is wrong, without the way out."""
    said = str(error).partition("\n")[0]
    for before in ("are not supported: ", "of the backbone "):
        said = said.rpartition(before)[2]
    for behind in ("; choose", ", so its answers"):
        said = said.partition(behind)[0]
    return said


class NotTiny(Exception):
    """No tiny form of a type's default configuration runs."""


def tiny_text_model(model_type: str) -> tuple[Any, ModelClass]:
    """Return a tiny model of a type that answers, and how such models are read.

    Raises
    ------
    ValueError
        If such models are refused before they are read.
    NotTiny
        With what the library said of the last form.
    """
    kind = tf.CONFIG_MAPPING[model_type]
    if parts := [name for name in kind.sub_configs if name.startswith(_OTHER_SENSES)]:
        raise NotTiny(f"reads more than text ({', '.join(parts)})")
    error: Exception | None = None
    for variant in _VARIANTS:
        try:
            sizes = _shrunk(kind(), variant) | _OWN.get(model_type, {})
            config = kind(**sizes)
            return _running(config)
        except NotTiny:
            raise
        except Exception as raised:
            error = raised if error is None else error
    raise NotTiny(f"{type(error).__name__}: {error}") from error


def _running(config: Any) -> tuple[Any, ModelClass]:
    reads = model_class_of(config)
    if reads.kind == "seq2seq":
        config.decoder_start_token_id = 1
    auto = getattr(tf, reads.auto)
    with torch.device("meta"):
        n_weights = sum(p.numel() for p in auto.from_config(config).parameters())
    if n_weights > _MOST_WEIGHTS:
        raise NotTiny(f"has {n_weights:.1e} weights when made tiny")
    model = with_weights_drawn(auto.from_config, config)
    ids = torch.tensor([[5, 9, 3, 8, 4, 7]])
    more: dict[str, Any] = {"use_cache": False} if reads.kind != "masked" else {}
    if reads.kind == "seq2seq":
        more["decoder_input_ids"] = ids[:, :1]
    with torch.no_grad():
        model(input_ids=ids, attention_mask=torch.ones_like(ids), **more)
    return model, reads
