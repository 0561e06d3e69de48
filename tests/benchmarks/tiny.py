"""Tiny models and tasks, where the benchmarks look for them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from skraee import templates, toy
from tests.support.models import MODELS, toy_objects

TASKS = ("sst2", "cola", "subj", "mpqa")  # whose prompts have known words
AROUND = {"roberta": "<s> $A </s>", "t5": "$A </s>"}
SPLIT = r"\w+|[^\w\s]"


def write_task(
    folder: Path, task: str, part: str, texts: Iterable[str], labels: Iterable[str]
) -> None:
    """Write a train or test file."""
    file = folder / task / f"{part}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = zip(texts, labels, strict=True)
        csv.writer(out).writerows([("text", "label"), *rows])


def save_encoder(folder: Path) -> None:
    """Save a tiny encoder with its tokenizer."""
    model, tokenizer = toy_objects()
    model.bert.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_sentence_encoder(folder: Path) -> None:
    """Save a tiny encoder as sentence-transformers does, averaged and normalised."""
    save_encoder(folder)
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    written = [
        {
            "idx": i,
            "name": str(i),
            "path": path,
            "type": f"sentence_transformers.models.{name}",
        }
        for i, (name, path) in enumerate(paths.items())
    ]
    (folder / "modules.json").write_text(json.dumps(written))
    (folder / "1_Pooling").mkdir()
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    pooling = {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def save_tiny(name: str, folder: Path, n_layers: int | None = None) -> None:
    """Save a tiny model with a tokenizer that has the words of prompts and texts."""
    tokenizer = tokenizer_for(name)
    model_class, make_config = MODELS[name]
    config = make_config()
    config.vocab_size = len(tokenizer)
    if n_layers is not None:
        config.num_hidden_layers = n_layers
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config).eval()
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def tokenizer_for(name: str) -> PreTrainedTokenizerFast:
    prompts = [p[task] for p in (templates.MASKED, templates.CAUSAL) for task in TASKS]
    written = [p.template for p in prompts]
    written += [word for p in prompts for word in p.label_words.values()]
    written += toy.reviews(200)[0]
    split = pre_tokenizers.Split(Regex(SPLIT), "removed", invert=True)
    words = {word for text in written for word, _ in split.pre_tokenize_str(text)}
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {word: i for i, word in enumerate([*specials, *sorted(words)])}
    rust = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    rust.pre_tokenizer = split
    single = AROUND.get(name, "<s> $A")
    rust.post_processor = processors.TemplateProcessing(
        single=single,
        special_tokens=[(s, vocabulary[s]) for s in specials if s in single],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
