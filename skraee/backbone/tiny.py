"""Tiny seeded models, made where they are asked for: offline, in milliseconds.

They have names as other models do: ``toy:masked:0`` is a masked one, of seed 0. They
are real transformers models with a real tokenizer. Their weights are drawn from the
seed and then bent a little, so that the words of a class lie near its label word and
attention carries them to the read position, as in a trained model.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast, get_args

import torch

from skraee.backbone.families import FAMILIES, Family, Kind

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_PREFIX = "toy:"

#: What is said of a thing in a text of each class; a class's label word comes first.
PRAISE = tuple("great good lovely clever warm bright funny moving".split())
BLAME = tuple("terrible bad dull cold slow clumsy empty tedious".split())
THINGS = tuple("film story meal hotel phone room camera journey waiter plot".split())

_GLUE = tuple("the a it was is and but very quite not so this my i found".split())
_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>"]
# Layers through which attention, and BERT's head, pass a state on.
_CARRIERS = (
    *("attention.self.value", "attention.output.dense", "transform.dense"),
    *("v_proj", "o_proj", "Attention.v", "Attention.o"),
)
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
_T5_SIZES = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 4, "num_heads": 2}
# What a tokenizer puts around a text.
_AROUND: dict[Kind, str] = {
    "masked": "[CLS] $A [SEP]",
    "causal": "<s> $A",
    "seq2seq": "$A </s>",
}


def is_tiny(name: Any) -> bool:
    """Whether a model's name is that of a tiny one."""
    return isinstance(name, str) and name.startswith(_PREFIX)


def name_of(kind: str, seed: int) -> str:
    """Return the name of a tiny model."""
    return f"{_PREFIX}{kind}:{int(seed)}"


def parse_name(
    name: str | os.PathLike[str], revision: str | None
) -> tuple[str, str | None]:
    """Return a tiny model's name as `name_of` writes it, and no revision.

    Raises
    ------
    ValueError
        If there is no such kind, no seed, or a revision beside it.
    """
    text = os.fspath(name)
    if revision is not None:
        raise ValueError(
            f"{text!r} is a toy backbone, which has no revision {revision!r}; leave "
            "revision out."
        )
    return name_of(*_kind_and_seed(text)), None


def read(
    name: str, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, Family]:
    """Make a tiny model, its tokenizer and its family's row.

    Parameters
    ----------
    name : str
        As `name_of` returns it.
    dtype : torch.dtype
        What the weights become, which are drawn in float32.
    """
    kind, seed = _kind_and_seed(name)
    tokenizer = _tokenizer(kind)
    model = _model(kind, seed, tokenizer)
    return model.to(dtype), tokenizer, FAMILIES[model.config.model_type]


def _kind_and_seed(name: str) -> tuple[Kind, int]:
    kind, _, seed = name.removeprefix(_PREFIX).partition(":")
    if kind not in get_args(Kind):
        raise ValueError(
            f"kind must be 'masked', 'causal' or 'seq2seq', got {kind!r}; write one of "
            "these."
        )
    try:
        number = int(seed)
        if not -(2**63) <= number < 2**63:  # what torch takes
            raise ValueError(f"there is no seed {number}")
        return cast("Kind", kind), number
    except ValueError as error:
        raise ValueError(
            f"a toy backbone's name ends in its seed, a whole number, got {name!r}; "
            f"give {name_of(kind, 0)!r}."
        ) from error


def _tokenizer(kind: Kind) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(code) for code in range(33, 127)]
    words = [*PRAISE, *BLAME, *THINGS, *_GLUE, *letters]
    pieces = [*_SPECIALS, *words, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    rust = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    rust.normalizer = normalizers.BertNormalizer(lowercase=True)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    around = [name for name in _AROUND[kind].split() if name != "$A"]
    rust.post_processor = processors.TemplateProcessing(
        single=_AROUND[kind],
        special_tokens=[(name, vocabulary[name]) for name in around],
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if kind == "masked":
        names |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    else:
        names |= {"bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=rust, **names)


def _model(
    kind: Kind, seed: int, tokenizer: PreTrainedTokenizerFast
) -> PreTrainedModel:
    import transformers

    config = _configuration(kind, tokenizer)
    head = {
        "masked": transformers.BertForMaskedLM,
        "causal": transformers.LlamaForCausalLM,
        "seq2seq": transformers.T5ForConditionalGeneration,
    }[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = head(config)
        _bend(model, tokenizer)
    return model.eval()


def _configuration(kind: Kind, tokenizer: PreTrainedTokenizerFast) -> Any:
    import transformers

    common = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if kind == "masked":
        return transformers.BertConfig(**common, **_SIZES)
    if kind == "causal":
        return transformers.LlamaConfig(**common, **_SIZES, tie_word_embeddings=True)
    return transformers.T5Config(
        **common, **_T5_SIZES, decoder_start_token_id=tokenizer.pad_token_id
    )


@torch.no_grad()
def _bend(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Let the words of a class share a direction, and attention carry them on."""
    width = model.get_input_embeddings().weight.shape[1]
    direction = torch.randn(width)
    direction = torch.nn.functional.normalize(direction - direction.mean(), dim=0)
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding) and module.weight.shape[1] == width:
            module.weight.normal_(std=0.3)
            module.weight -= (module.weight @ direction)[:, None] * direction
    embeddings = model.get_input_embeddings().weight
    label_ids = tokenizer.convert_tokens_to_ids([BLAME[0], PRAISE[0]])
    embeddings[label_ids] = embeddings[label_ids[0]].clone()  # no class is preferred
    for sign, words in ((1.0, PRAISE), (-1.0, BLAME)):
        for word in words:
            strength = sign * (1.5 + torch.rand(1))
            embeddings[tokenizer.convert_tokens_to_ids(word)] += strength * direction
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.endswith(_CARRIERS):
            module.weight.normal_(std=0.03).diagonal().add_(1.0)
