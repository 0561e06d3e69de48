"""Six toy tokenizers, one per way of treating spaces and special tokens."""

import json
import random
import string
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

_WORDS = (
    "the a film movie plot sentence text it was is this what of and or not premise "
    "hypothesis terrible bad okay good great negative positive sentiment print answer "
    "subjective objective gripping clever dull slow warm cold funny sad actor scene "
    "story music grammatically acceptable no yes category for"
)
_PROMPTS = (
    "It was great. This is terrible: What is the sentiment of the sentence ? Print "
    "negative or positive. The answer is negative . Description, Entity, Human ."
)


def sentences(n: int = 400, seed: int = 0) -> list[str]:
    """Return sentences of words, numbers and punctuation."""
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        words = rng.choices(_WORDS.split(), k=rng.randint(3, 12))
        if rng.random() < 0.3:
            words.insert(rng.randrange(len(words)), str(rng.randint(0, 99)))
        made.append(" ".join(words) + rng.choice(["", ".", " .", "!", "?", ", yes."]))
    return made


def _corpus() -> list[str]:
    return [*sentences(), *[_PROMPTS] * 40, "(x, 1) x-y; a:b\nc"]


def _special(*tokens: str) -> list[AddedToken]:
    return [AddedToken(token, normalized=False, special=True) for token in tokens]


def _around(rust: Tokenizer, before: str = "", after: str = "") -> None:
    """Put special tokens around every sequence."""
    rust.post_processor = processors.TemplateProcessing(
        single=f"{before} $A {after}".strip(),
        special_tokens=[(t, rust.token_to_id(t)) for t in (before, after) if t],
    )


def wordpiece() -> PreTrainedTokenizerFast:
    """BERT: lower case, words split at punctuation."""
    # Written down, since the trainer numbers the tokens otherwise in each process.
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = [*string.ascii_lowercase, *string.digits]
    tokens = [
        *special,
        *string.punctuation,
        *characters,
        *(f"##{character}" for character in characters),
        *(word for word in _WORDS.split() if len(word) > 1),
    ]
    vocab = {token: i for i, token in enumerate(tokens)}
    rust = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    rust.normalizer = normalizers.BertNormalizer()
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.add_special_tokens(_special(*special))
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


def _sentencepiece_bpe(*, byte_fallback: bool = False) -> Tokenizer:
    """Train a BPE in which ▁ stands for a space and no token crosses words."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="never"),
            pre_tokenizers.Split(Regex(r"[.,:;?!()\-]"), "isolated"),
        ]
    )
    special = _special("<unk>", "<s>", "</s>", "<pad>", "<mask>")
    trained.train_from_iterator(
        _corpus(),
        trainers.BpeTrainer(
            vocab_size=800, special_tokens=special, show_progress=False
        ),
    )
    model = json.loads(trained.to_str())["model"]
    vocab = model["vocab"]
    for byte in range(256 if byte_fallback else 0):
        vocab[f"<0x{byte:02X}>"] = len(vocab)
    rust = Tokenizer(
        models.BPE(
            vocab,
            [tuple(merge) for merge in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=byte_fallback,
        )
    )
    rust.add_special_tokens(special)
    return rust


def _wrapped(rust: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def llama2() -> PreTrainedTokenizerFast:
    """Llama 2: a normalizer that prepends ▁ to every string, bytes for the unknown."""
    rust = _sentencepiece_bpe(byte_fallback=True)
    rust.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    _around(rust, "<s>")
    return _wrapped(rust)


def gemma() -> PreTrainedTokenizerFast:
    """Gemma: ▁ for spaces and nothing prepended."""
    rust = _sentencepiece_bpe(byte_fallback=True)
    rust.normalizer = normalizers.Replace(" ", "▁")
    rust.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    _around(rust, "<s>")
    return _wrapped(rust)


def metaspace() -> PreTrainedTokenizerFast:
    """Mistral: a pre-tokenizer that writes ▁ before the first word only."""
    rust = _sentencepiece_bpe()
    rust.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    _around(rust, "<s>", "</s>")
    return _wrapped(rust)


def unigram() -> PreTrainedTokenizerFast:
    """T5: special tokens are pieces of the vocabulary, found in any text."""
    # Written down, since the trainer gives other scores in each process.
    special = ["<pad>", "</s>", "<unk>", "<s>", "<mask>"]
    words = dict.fromkeys(f"▁{word}" for word in _WORDS.split() if len(word) > 1)
    characters = sorted({*string.printable.strip()} - {"<", ">"})
    pieces = [
        *((token, 0.0) for token in special),
        *((word, -4.0 - 0.01 * i) for i, word in enumerate(words)),
        *((character, -7.0) for character in ["▁", *characters]),
    ]
    rust = Tokenizer(models.Unigram(pieces, unk_id=special.index("<unk>")))
    rust.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    rust.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    rust.add_special_tokens(_special(*special))
    _around(rust, after="</s>")
    return _wrapped(rust)


# Qwen 2's and Llama 3's way of cutting text into words, in which marks take the line
# breaks behind them.
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+"
    r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def qwen_chat() -> PreTrainedTokenizerFast:
    """Qwen 2.5: byte-level BPE, turns of a chat, nothing around a sequence."""
    rust = Tokenizer(models.BPE())
    rust.normalizer = normalizers.NFC()
    rust.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    rust.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    rust.train_from_iterator(
        [*_corpus(), *["user\nassistant\nsystem\n\n. \n"] * 20],
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=_special(*special),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=rust, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )


def gemma_chat() -> PreTrainedTokenizerFast:
    """Gemma 3: turns of a chat, behind a token that opens every sequence."""
    hf = gemma()
    turns = _special("<start_of_turn>", "<end_of_turn>")
    hf.add_tokens(turns, special_tokens=True)
    return hf


ZOO: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "wordpiece": wordpiece,
    "byte_level": byte_level,
    "byte_level_prefix": lambda: byte_level(add_prefix_space=True),
    "llama2": llama2,
    "gemma": gemma,
    "metaspace": metaspace,
    "unigram": unigram,
}
