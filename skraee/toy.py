"""Tiny seeded backbones and texts: offline, in milliseconds, for tests and examples.

The models are real transformers models with a real tokenizer. Their weights are
drawn from a seed and then bent a little, so that the words of a class lie near its
label word and attention carries them to the read position: with the texts of
:func:`reviews` they answer better than chance at some layers, as a trained model does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from skraee.backbone.families import Family, family_of
from skraee.backbone.handle import Backbone

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Kind = Literal["masked", "causal", "seq2seq"]

#: A template for each kind of toy backbone.
TEMPLATES: dict[Kind, str] = {
    "masked": "{text} it was {mask}.",
    "causal": "{text} it was",
    "seq2seq": "{text} it was",
}

#: Label words for the classes of :func:`reviews`.
LABEL_WORDS = {"negative": "terrible", "positive": "great"}

_WORDS = {
    "positive": tuple("great good lovely clever warm bright funny moving".split()),
    "negative": tuple("terrible bad dull cold slow clumsy empty tedious".split()),
}
_THINGS = tuple("film story meal hotel phone room camera journey waiter plot".split())
_GLUE = tuple("the a it was is and but very quite not so this my i found".split())
_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>"]
# Layers through which attention, and BERT's head, pass a state on.
_CARRIERS = (
    *("attention.self.value", "attention.output.dense", "transform.dense"),
    *("v_proj", "o_proj", "Attention.v", "Attention.o"),
)
_SIZES = {"hidden": 32, "layers": 4, "heads": 2, "inner": 64, "positions": 128}


def backbone(kind: Kind = "masked", seed: int = 0) -> Backbone:
    """Return a tiny float32 backbone with random but useful weights.

    Parameters
    ----------
    kind : {"masked", "causal", "seq2seq"}, default="masked"
        BERT, Llama or T5 with 4 layers (T5: 4 and 4) of width 32.
    seed : int, default=0
        Of its weights. The same seed gives the same model.

    Returns
    -------
    Backbone
        Pickled as its recipe (kind and seed).

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> from skraee import RAEEClassifier, toy
    >>> X, y = toy.reviews(40)
    >>> clf = RAEEClassifier(toy.backbone(), toy.TEMPLATES["masked"],
    ...                      label_words=toy.LABEL_WORDS)
    >>> clf.fit(X, y).predict(["a lovely film"])
    array(['positive'], dtype='<U8')
    """
    if kind not in TEMPLATES:
        raise ValueError(f"kind must be 'masked', 'causal' or 'seq2seq', got {kind!r}.")
    return _ToyBackbone(kind, seed)


def reviews(n_texts: int = 100, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Make short reviews, half of them positive.

    Parameters
    ----------
    n_texts : int, default=100
        How many.
    seed : int, default=0
        Of the draw.

    Returns
    -------
    texts : list of str
    labels : ndarray of str, "negative" or "positive"

    Examples
    --------
    >>> from skraee import toy
    >>> texts, labels = toy.reviews(2)
    >>> len(texts), sorted(labels.tolist())
    (2, ['negative', 'positive'])
    """
    rng = np.random.default_rng(seed)
    labels = np.array(["negative", "positive"])[np.arange(n_texts) % 2]
    return [_review(rng, label) for label in labels], labels


def _review(rng: np.random.Generator, label: str) -> str:
    other = "negative" if label == "positive" else "positive"
    first, second = rng.choice(_WORDS[label], size=2, replace=False)
    thing, whose = rng.choice(_THINGS), rng.choice(["the", "a", "my", "this"])
    forms = [
        f"{whose} {thing} was {first} and {second}",
        f"{whose} {first} {thing}",
        f"i found the {thing} very {first} and so {second}",
        f"{whose} {thing} is quite {rng.choice(_WORDS[other])} but {first}, {second}",
    ]
    return str(rng.choice(forms))


class _ToyBackbone(Backbone):
    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(f"toy-{kind}-{seed}")
        self.kind: Kind = kind
        self.seed = seed

    def _resolve_dtype(
        self, dtype: str | torch.dtype, device: torch.device
    ) -> torch.dtype:
        auto = isinstance(dtype, str) and dtype == "auto"
        return super()._resolve_dtype("float32" if auto else dtype, device)

    def _read(
        self, dtype: torch.dtype
    ) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, Family]:
        tokenizer = _tokenizer(self.kind)
        model = _model(self.kind, self.seed, tokenizer)
        return model.to(dtype), tokenizer, family_of(model.config.model_type)

    def description(self) -> dict[str, Any]:
        return {"toy": self.kind, "seed": int(self.seed)}

    def __reduce__(self) -> tuple[Any, ...]:
        return backbone, (self.kind, self.seed)

    def __repr__(self) -> str:
        return f"toy.backbone({self.kind!r}, seed={self.seed})"


def _tokenizer(kind: Kind) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*_WORDS["positive"], *_WORDS["negative"], *_THINGS, *_GLUE]
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*_SPECIALS, *words, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    rust = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    rust.normalizer = normalizers.BertNormalizer(lowercase=True)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    around = {
        "masked": ("[CLS] $A [SEP]", ["[CLS]", "[SEP]"]),
        "causal": ("<s> $A", ["<s>"]),
        "seq2seq": ("$A </s>", ["</s>"]),
    }
    single, specials = around[kind]
    rust.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[(name, vocabulary[name]) for name in specials]
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

    sizes = _SIZES
    common = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    decoder_like = {
        "hidden_size": sizes["hidden"],
        "num_hidden_layers": sizes["layers"],
        "num_attention_heads": sizes["heads"],
        "intermediate_size": sizes["inner"],
        "max_position_embeddings": sizes["positions"],
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "masked":
            config = transformers.BertConfig(**common, **decoder_like)
            model = transformers.BertForMaskedLM(config)
        elif kind == "causal":
            config = transformers.LlamaConfig(
                **common, **decoder_like, tie_word_embeddings=True
            )
            model = transformers.LlamaForCausalLM(config)
        else:
            config = transformers.T5Config(
                **common,
                d_model=sizes["hidden"],
                d_kv=sizes["hidden"] // sizes["heads"],
                d_ff=sizes["inner"],
                num_layers=sizes["layers"],
                num_heads=sizes["heads"],
                decoder_start_token_id=tokenizer.pad_token_id,
            )
            model = transformers.T5ForConditionalGeneration(config)
        _bend(model, tokenizer)
    return model.eval()


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
    label_ids = tokenizer.convert_tokens_to_ids(list(LABEL_WORDS.values()))
    embeddings[label_ids] = embeddings[label_ids[0]].clone()  # no class is preferred
    for sign, words in zip((1.0, -1.0), _WORDS.values(), strict=True):
        for word in words:
            strength = sign * (1.5 + torch.rand(1))
            embeddings[tokenizer.convert_tokens_to_ids(word)] += strength * direction
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.endswith(_CARRIERS):
            module.weight.normal_(std=0.03).diagonal().add_(1.0)
