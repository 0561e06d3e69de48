"""Six toy tokenizers, one per way of treating spaces and special tokens."""

import random
from collections.abc import Callable

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

WORDS = (
    "the a film movie plot sentence text it was is this what of and or not premise "
    "hypothesis terrible bad okay good great negative positive sentiment print answer "
    "subjective objective gripping clever dull slow warm cold funny sad actor scene "
    "story music grammatically acceptable no yes category for"
).split()
PROMPTS = (
    "It was great. This is terrible: What is the sentiment of the sentence ? Print "
    "negative or positive. The answer is negative . Description, Entity, Human ."
)


def sentences(n: int = 400, seed: int = 0) -> list[str]:
    """Return sentences of words, numbers and punctuation."""
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        words = rng.choices(WORDS, k=rng.randint(3, 12))
        if rng.random() < 0.3:
            words.insert(rng.randrange(len(words)), str(rng.randint(0, 99)))
        made.append(" ".join(words) + rng.choice(["", ".", " .", "!", "?", ", yes."]))
    return made


def _corpus() -> list[str]:
    return [*sentences(), *[PROMPTS] * 40, "(x, 1) x-y; a:b"]


def _special(*tokens: str) -> list[AddedToken]:
    return [AddedToken(token, normalized=False, special=True) for token in tokens]


def _around(rust: Tokenizer, before: str = "", after: str = "") -> None:
    named = [token for token in (before, after) if token]
    rust.post_processor = processors.TemplateProcessing(
        single=" ".join([*([before] if before else []), "$A", *([after] if after else [])]),
        special_tokens=[(token, rust.token_to_id(token)) for token in named],
    )


def wordpiece() -> PreTrainedTokenizerFast:
    """BERT: lower case, words split at punctuation."""
    rust = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    rust.normalizer = normalizers.BertNormalizer()
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = _special("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    rust.train_from_iterator(
        _corpus(),
        trainers.WordPieceTrainer(
            vocab_size=400, special_tokens=special, show_progress=False
        ),
    )
    _around(rust, "[CLS]", "[SEP]")
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def byte_level(*, add_prefix_space: bool = False) -> PreTrainedTokenizerFast:
    """RoBERTa: byte-level BPE, and a mask that swallows the space before it."""
    rust = Tokenizer(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    rust.decoder = decoders.ByteLevel()
    mask = AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    rust.train_from_iterator(
        _corpus(),
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=[*_special("<s>", "<pad>", "</s>", "<unk>"), mask],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    rust.post_processor = processors.RobertaProcessing(
        ("</s>", rust.token_to_id("</s>")),
        ("<s>", rust.token_to_id("<s>")),
        add_prefix_space=add_prefix_space,
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token=mask,
    )


def _trained_sentencepiece(byte_tokens: list[str]) -> Tokenizer:
    """Train a BPE with ▁ for spaces, whose tokens stay within words."""
    rust = Tokenizer(
        models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=bool(byte_tokens))
    )
    rust.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="never"),
            pre_tokenizers.Split(Regex(r"[.,:;?!()-]"), "isolated"),
        ]
    )
    special = _special("<unk>", "<s>", "</s>", "<pad>", "<mask>")
    rust.train_from_iterator(
        _corpus(),
        trainers.BpeTrainer(
            vocab_size=800,
            special_tokens=[*special, *byte_tokens],
            show_progress=False,
        ),
    )
    return rust
