"""Tiny seeded models of every supported family, with every branch switched on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as tf

from skraee import toy
from skraee.backbone import tiny
from skraee.backbone.families import FAMILIES
from skraee.backbone.loaded import LoadedBackbone

VOCAB = 64
_SIZES: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 160,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
_GROUPED = {**_SIZES, "num_key_value_heads": 1, "head_dim": 8}
_BERT = {**_SIZES, "type_vocab_size": 2}


def _gpt2() -> Any:
    return tf.GPT2Config(
        vocab_size=VOCAB, n_embd=16, n_layer=3, n_head=2, n_positions=160
    )


def _distilbert() -> Any:
    return tf.DistilBertConfig(
        vocab_size=VOCAB,
        dim=16,
        n_layers=3,
        n_heads=2,
        hidden_dim=24,
        max_position_embeddings=160,
        pad_token_id=1,
    )


def _t5(config: Any = tf.T5Config, **branches: Any) -> Any:
    return config(
        vocab_size=VOCAB,
        d_model=16,
        d_kv=8,
        d_ff=24,
        num_layers=3,
        num_decoder_layers=2,
        num_heads=2,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        **branches,
    )


#: name -> (class of the model, function that makes its configuration)
MODELS: dict[str, tuple[Any, Callable[[], Any]]] = {
    "bert": (tf.BertForMaskedLM, lambda: tf.BertConfig(**_BERT)),
    "roberta": (tf.RobertaForMaskedLM, lambda: tf.RobertaConfig(**_BERT)),
    "xlm-roberta": (tf.XLMRobertaForMaskedLM, lambda: tf.XLMRobertaConfig(**_BERT)),
    "camembert": (tf.CamembertForMaskedLM, lambda: tf.CamembertConfig(**_BERT)),
    "distilbert": (tf.DistilBertForMaskedLM, _distilbert),
    "albert": (
        tf.AlbertForMaskedLM,
        lambda: tf.AlbertConfig(**_BERT, embedding_size=8),
    ),
    "albert-groups": (
        tf.AlbertForMaskedLM,
        lambda: tf.AlbertConfig(
            **{**_BERT, "num_hidden_layers": 4},
            embedding_size=8,
            num_hidden_groups=2,
        ),
    ),
    "deberta-v2": (
        tf.DebertaV2ForMaskedLM,
        lambda: tf.DebertaV2Config(
            **_BERT,
            relative_attention=True,
            position_buckets=8,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type="p2c|c2p",
            position_biased_input=False,
            conv_kernel_size=3,
            conv_act="gelu",
        ),
    ),
    "deberta-v3": (
        tf.DebertaV2ForMaskedLM,
        lambda: tf.DebertaV2Config(
            **{**_BERT, "type_vocab_size": 0},
            relative_attention=True,
            position_buckets=8,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type="p2c|c2p",
            position_biased_input=False,
            legacy=False,
        ),
    ),
    "mpnet": (tf.MPNetForMaskedLM, lambda: tf.MPNetConfig(**_SIZES)),
    "electra": (
        tf.ElectraForMaskedLM,
        lambda: tf.ElectraConfig(**_BERT, embedding_size=8),
    ),
    "modernbert": (
        tf.ModernBertForMaskedLM,
        lambda: tf.ModernBertConfig(
            **_SIZES, local_attention=8, global_attn_every_n_layers=2, cls_token_id=0
        ),
    ),
    "gpt2": (tf.GPT2LMHeadModel, _gpt2),
    "gpt_neox": (
        tf.GPTNeoXForCausalLM,
        lambda: tf.GPTNeoXConfig(**_SIZES, use_parallel_residual=True),
    ),
    "gpt_neox-serial": (
        tf.GPTNeoXForCausalLM,
        lambda: tf.GPTNeoXConfig(**_SIZES, use_parallel_residual=False),
    ),
    "opt": (
        tf.OPTForCausalLM,
        lambda: tf.OPTConfig(**_SIZES, ffn_dim=24, word_embed_proj_dim=16),
    ),
    "opt-350m": (
        tf.OPTForCausalLM,
        lambda: tf.OPTConfig(
            **_SIZES, ffn_dim=24, word_embed_proj_dim=8, do_layer_norm_before=False
        ),
    ),
    "bloom": (
        tf.BloomForCausalLM,
        lambda: tf.BloomConfig(
            vocab_size=VOCAB, hidden_size=16, n_layer=3, n_head=2, pad_token_id=1
        ),
    ),
    "falcon": (
        tf.FalconForCausalLM,
        lambda: tf.FalconConfig(**_SIZES, new_decoder_architecture=True),
    ),
    "falcon-alibi": (
        tf.FalconForCausalLM,
        lambda: tf.FalconConfig(
            **_SIZES, alibi=True, multi_query=False, parallel_attn=False, bias=True
        ),
    ),
    "llama": (tf.LlamaForCausalLM, lambda: tf.LlamaConfig(**_GROUPED)),
    "mistral": (
        tf.MistralForCausalLM,
        lambda: tf.MistralConfig(**_GROUPED, sliding_window=6),
    ),
    "qwen2": (
        tf.Qwen2ForCausalLM,
        lambda: tf.Qwen2Config(
            **{k: v for k, v in _GROUPED.items() if k != "head_dim"}
        ),
    ),
    "qwen3": (tf.Qwen3ForCausalLM, lambda: tf.Qwen3Config(**_GROUPED)),
    "gemma": (tf.GemmaForCausalLM, lambda: tf.GemmaConfig(**_GROUPED)),
    "gemma2": (
        tf.Gemma2ForCausalLM,
        lambda: tf.Gemma2Config(
            **_GROUPED,
            sliding_window=6,
            query_pre_attn_scalar=8,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0,
        ),
    ),
    "gemma3_text": (
        tf.Gemma3ForCausalLM,
        lambda: tf.Gemma3TextConfig(
            **_GROUPED,
            sliding_window=6,
            query_pre_attn_scalar=8,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
    ),
    "phi3": (
        tf.Phi3ForCausalLM,
        lambda: tf.Phi3Config(
            **{k: v for k, v in _GROUPED.items() if k != "head_dim"},
            sliding_window=6,
        ),
    ),
    "t5": (tf.T5ForConditionalGeneration, lambda: _t5()),
    "flan-t5": (
        tf.T5ForConditionalGeneration,
        lambda: _t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    ),
    "mt5": (
        tf.MT5ForConditionalGeneration,
        lambda: _t5(tf.MT5Config, feed_forward_proj="gated-gelu"),
    ),
}


def tiny_model(name: str, seed: int = 0) -> Any:
    """Make a model of the table."""
    model_class, make_config = MODELS[name]
    return with_weights_drawn(model_class, make_config(), seed)


def with_weights_drawn(model_class: Any, config: Any, seed: int = 0) -> Any:
    """Make a model of a configuration, with weights that let no branch vanish."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                noise = torch.randn_like(parameter)
                parameter.add_(noise, alpha=0.1 if parameter.ndim == 1 else 0.3)
        model.tie_weights()
    return model


def toy_objects(kind: toy.Kind = "masked", seed: int = 0) -> tuple[Any, Any]:
    """Make the model and the tokenizer of a toy backbone, which a test may change."""
    return tiny.read(tiny.name_of(kind, seed), torch.float32)[:2]


def loaded(name: str, seed: int = 0) -> LoadedBackbone:
    return loaded_as(name, tiny_model(name, seed))


def loaded_as(name: str, model: Any) -> LoadedBackbone:
    return LoadedBackbone(
        model=model,
        tokenizer=None,  # type: ignore[arg-type]  # prompts are made by hand here
        family=FAMILIES[model.config.model_type],
        dtype=torch.float32,
        device=torch.device("cpu"),
        fingerprint=name,
    )
