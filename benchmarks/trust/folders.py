"""Tiny folders and files of models, whole ones, for damage to be done to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

#: What the tokenizer knows beside its special tokens.
WORDS = ("good", "bad", "film", "book", "was", "it", "the", "a")
_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
N_TOKENS, N_LAYERS, WIDTH = len(_SPECIALS) + len(WORDS), 4, 16


def masked(folder: Path) -> None:
    """Write a BERT of four layers."""
    _saved(transformers.BertForMaskedLM(_bert()), folder)


def sharded(folder: Path) -> None:
    """Write the same, its weights in several files."""
    _saved(transformers.BertForMaskedLM(_bert()), folder, max_shard_size="6KB")


def old_form(folder: Path) -> None:
    """Write the same, its weights in ``pytorch_model.bin``."""
    masked(folder)
    model = transformers.BertForMaskedLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def causal(folder: Path) -> None:
    """Write a Llama of four layers."""
    _saved(transformers.LlamaForCausalLM(_llama()), folder)


def shared_layers(folder: Path) -> None:
    """Write an ALBERT, whose four layers are one."""
    config = transformers.AlbertConfig(**_sizes(), embedding_size=8)
    _saved(transformers.AlbertForMaskedLM(config), folder)


def sentence(folder: Path) -> None:
    """Write a sentence encoder: a transformer and a pooling."""
    _saved(transformers.BertModel(_bert()), folder)
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"models.{kind}"}
        for i, (path, kind) in enumerate([("", "Transformer"), ("1_P", "Pooling")])
    ]
    (folder / "1_P").mkdir()
    (folder / "1_P" / "config.json").write_text('{"pooling_mode": "mean"}')
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 32}')


def gguf(folder: Path) -> None:
    """Write a Qwen2 of four layers as ``model.gguf``."""
    import gguf as library

    folder.mkdir(parents=True, exist_ok=True)
    config = transformers.Qwen2Config(**_sizes(), num_key_value_heads=2)
    model = _drawn(transformers.Qwen2ForCausalLM(config))
    writer = library.GGUFWriter(folder / "model.gguf", "qwen2")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(24)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(N_TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    letters = [chr(ord("a") + i) for i in range(N_TOKENS - 1)]
    writer.add_token_list([*letters, "ab"])
    writer.add_token_types([1] * N_TOKENS)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_pad_token_id(1)
    writer.add_eos_token_id(2)
    names = library.get_tensor_name_map(library.MODEL_ARCH.QWEN2, N_LAYERS)
    for name, tensor in model.state_dict().items():
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(theirs, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _sizes() -> dict[str, Any]:
    return {
        "vocab_size": N_TOKENS,
        "hidden_size": WIDTH,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }


def _bert() -> Any:
    return transformers.BertConfig(**_sizes())


def _llama() -> Any:
    return transformers.LlamaConfig(**_sizes(), num_key_value_heads=2)


def _drawn(model: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return model.eval()


def _saved(model: Any, folder: Path, **options: Any) -> None:
    _drawn(model).save_pretrained(folder, **options)
    vocabulary = {word: i for i, word in enumerate((*_SPECIALS, *WORDS))}
    rust = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    rust.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=rust,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
