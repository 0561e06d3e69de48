"""How close skraee comes to the time that the layers themselves take.

    python benchmarks/speed.py                 every figure, on the CPU
    python benchmarks/speed.py --only mixed sweep --dtype bfloat16
    python benchmarks/speed.py --device cuda --dtype bfloat16
                                               the paper's shapes and mean exits

Every ratio comes from one run: the two sides alternate, and the figure is the median
of the rounds' ratios. Weights of the shapes are random, since speed does not depend on
them. Gemma and the real texts need $SKRAEE_BACKBONES and $SKRAEE_DATA. Writes
results/speed.jsonl.
"""

from __future__ import annotations

import argparse
import os
import time
import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from functools import cache, partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from common import backbone_folder, read_task, record, sample
from shapes import PAPER, SMALL, exits_with_mean, make_model
from torch import Tensor

from skraee import Backbone, RAEEClassifier, templates, toy
from skraee.backbone.batching import check_batch_tokens
from skraee.backbone.engine import Engine
from skraee.backbone.families import family_of
from skraee.backbone.fingerprint import fingerprint_of
from skraee.backbone.handle import LoadedBackbone
from skraee.text.prompt import Prompt

TASKS = ("sst2", "subj")
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=list(FIGURES), default=None)
    parser.add_argument("--shapes", nargs="*", choices=[*SMALL, *PAPER])
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    args.shapes = args.shapes or list(SMALL if args.device == "cpu" else PAPER)
    warnings.simplefilter("ignore")
    for name in args.only or FIGURES:
        FIGURES[name](args)


# The engine against the library's own forward, on the same batches


def engine_figures(args: argparse.Namespace) -> None:
    """All that runs the same prompts to some depth, in the same rounds.

    Bars: full depth at most 1.05 of the plain forward, the sweep at most 1.08; time
    linear in depth, slope within 5 % of 1/m of the full pass; mixed depths 0.97 of
    the ideal for batches of 64 and the whole corpus, 0.90 for batches of 8.
    """
    for bench in benches(args):
        head, m, n = bench.head(), bench.n_layers, len(bench.prompts)
        exits, full = bench.exits(args), np.full(n, m)
        stops = [round(m * share) for share in (0, 0.25, 0.5, 0.75, 1)]
        sizes = sorted({8, min(64, n), n})
        runs = {"plain": bench.plain_forward, "sweep": bench.sweep}
        for depth in stops:
            runs[f"to {depth}"] = partial(bench.run, np.full(n, depth), head)
        for size in sizes:
            runs[f"full, {size}"] = partial(bench.run, full, head, size)
            runs[f"mixed, {size}"] = partial(bench.run, exits, head, size)
        seconds = alternate(runs, bench.rounds)

        report = partial(record, "speed.jsonl", **bench.name, texts=n)
        deepest = f"to {m}"
        report(
            figure="full depth / plain forward",
            ratio=ratio(seconds[deepest], seconds["plain"]),
            seconds=rounded(seconds["plain"]),
        )
        report(
            figure="sweep / plain forward",
            ratio=ratio(seconds["sweep"], seconds["plain"]),
        )
        middle = [median(seconds[f"to {depth}"]) for depth in stops]
        slope, start = np.polyfit(stops, middle, 1)
        off = np.abs(np.polyval([slope, start], stops) - middle).max() / middle[-1]
        report(
            figure="time against depth",
            depths=stops,
            seconds=rounded(middle),
            slope_times_m_over_full=round(float(slope * m / middle[-1]), 3),
            furthest_from_the_line=round(float(off), 3),
        )
        ideal = float(bench.backbone.costs[exits].mean())
        for size in sizes:
            whole, mixed = seconds[f"full, {size}"], seconds[f"mixed, {size}"]
            pairs = list(zip(whole, mixed, strict=True))
            report(
                figure="mixed depths: share of the ideal speed-up",
                batch=size,
                mean_exit=round(float(exits.mean()), 2),
                share_of_full_time=round(median(s / f for f, s in pairs), 3),
                share=round(median(ideal * f / s for f, s in pairs), 3),
            )


def equal_lengths(args: argparse.Namespace) -> None:
    """Compare batches of like length with batches of one length, which need no mask."""
    for dtype in args.dtype:
        bench = Bench("roberta-large", dtype, args, n_texts=256)
        head, n = bench.head(), len(bench.prompts)
        lengths = np.array([len(prompt.ids) for prompt in bench.prompts])
        groups = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]

        def apart() -> None:
            for rows in groups:
                prompts = [bench.prompts[i] for i in rows]
                bench.engine().run_to(prompts, np.full(len(rows), bench.n_layers), head)

        together = partial(bench.run, np.full(n, bench.n_layers), head)
        seconds = alternate({"together": together, "apart": apart}, 3)
        record(
            "speed.jsonl",
            figure="batches of one length / batches of like length",
            **bench.name,
            texts=n,
            lengths=len(groups),
            ratio=ratio(seconds["apart"], seconds["together"]),
        )


def usual_way(args: argparse.Namespace) -> None:
    """Bar: more than 40 times a program that pads to 512 and decodes everything."""
    bench = Bench("roberta-large", args.dtype[-1], args, n_texts=8)
    runs = {"ours": bench.sweep, "usual": partial(pad_and_decode_all, bench)}
    seconds = alternate(runs, 3)
    record(
        "speed.jsonl",
        figure="sweep against padding to 512 and decoding all positions",
        **bench.name,
        texts=8,
        times=ratio(seconds["usual"], seconds["ours"], 1),
    )


def single_text(args: argparse.Namespace) -> None:
    """Bar: within 10 % of l/m of the full-depth latency plus 2 ms."""
    for bench in benches(args, n_texts=16):
        head, m, n = bench.head(), bench.n_layers, len(bench.prompts)
        depth = round(m * 0.43)
        runs = {
            "early": partial(bench.run, np.full(n, depth), head, 1),
            "full": partial(bench.run, np.full(n, m), head, 1),
        }
        seconds = alternate(runs, bench.rounds)
        early = median(seconds["early"]) / n * 1000
        full = median(seconds["full"]) / n * 1000
        record(
            "speed.jsonl",
            figure="batch of one",
            **bench.name,
            exit=depth,
            milliseconds=round(early, 2),
            full_milliseconds=round(full, 2),
            bound_milliseconds=round(1.1 * full * depth / m + 2, 2),
        )


# The estimator, on real texts


def predict_parts(args: argparse.Namespace) -> None:
    """Bar: key, search and rule at most 3 % of predict, 10,000 stored texts."""
    for task, dtype in product(TASKS, args.dtype):
        clf, X = stranger_to(fitted_for_exits(task, dtype, args.device)), texts_of(task)
        clf._fitted = grown_to(clf._fitted, 10_000)
        clf.timings(X[:64])
        told = [clf.timings(X) for _ in range(args.rounds)]
        shares = {k: median(t.shares[k] for t in told) for k in told[0].seconds}
        record(
            "speed.jsonl",
            figure="parts of predict, 10,000 stored texts",
            task=task,
            dtype=dtype,
            texts=len(X),
            shares={k: round(v, 4) for k, v in shares.items()},
            key_and_search=round(shares["key"] + shares["search"], 4),
        )


def predict_against_forward(args: argparse.Namespace) -> None:
    """Bar: at least 0.92 of full / mean exit over batches of 32 sorted by length.

    Beside it the library's pipeline with its defaults; bar: more than 8 times.
    """
    for task, dtype in product(TASKS, args.dtype):
        clf, X = stranger_to(fitted_for_exits(task, dtype, args.device)), texts_of(task)
        exits = clf.exit_layers(X)
        runs = {
            "predict": partial(clf.predict, X),
            "forward": PlainForward(clf, X, dtype),
        }
        if dtype != "float32":
            runs["forward in float32"] = PlainForward(clf, X, "float32")
        seconds = alternate(runs, args.rounds)
        ideal = clf.n_layers_ / exits.mean()
        times = {
            name: ratio(seconds[name], seconds["predict"], 2) for name in list(runs)[1:]
        }
        record(
            "speed.jsonl",
            figure="predict against a full-depth forward, batches of 32",
            task=task,
            dtype=dtype,
            texts=len(X),
            mean_exit=round(float(exits.mean()), 2),
            times=times,
            share_of_ideal=round(times["forward"] / ideal, 3),
        )


def predict_against_pipeline(args: argparse.Namespace) -> None:
    """Bar: more than 8 times the library's pipeline with its defaults."""
    text_generation(args)
    fill_mask(args)


def text_generation(args: argparse.Namespace) -> None:
    from transformers import pipeline

    clf = stranger_to(fitted_for_exits("sst2", "auto", args.device))
    X = texts_of("sst2")[:64]
    folder = backbone_folder("gemma3-270m")
    for dtype in ("auto", "bfloat16"):
        pipe = pipeline(
            "text-generation", model=str(folder), device=args.device, dtype=dtype
        )
        filled = [clf.template.replace("{text}", text) for text in X]
        runs = {
            "predict": partial(clf.predict, X),
            "pipeline": partial(pipe, filled, max_new_tokens=1, do_sample=False),
        }
        seconds = alternate(runs, 3)
        record(
            "speed.jsonl",
            figure="predict against pipeline('text-generation')",
            shape="gemma3-270m",
            dtype=str(clf._fitted.recipe.dtype),
            pipeline_dtype=str(pipe.model.dtype).removeprefix("torch."),
            texts=len(X),
            times=ratio(seconds["pipeline"], seconds["predict"], 2),
        )


def fill_mask(args: argparse.Namespace) -> None:
    """Compare on RoBERTa-large's shape, on the same texts and exits."""
    prompt = templates.MASKED["sst2"]
    train = read_task("sst2", "train")
    tokenizer = trained_tokenizer(train[0])
    model = make_model("roberta-large", torch.float32, "cpu")
    for dtype in ("bfloat16", "float32"):
        clf = RAEEClassifier(
            Backbone(model, tokenizer),
            prompt.template,
            label_words=prompt.label_words,
            device=args.device,
            dtype=dtype,
            memory=None,
        ).fit(*sample(*train, 32, seed=0))
        fill_mask_with(clf, model, tokenizer, args)


def fill_mask_with(
    clf: RAEEClassifier, model: Any, tokenizer: Any, args: argparse.Namespace
) -> None:
    from transformers import pipeline

    X = real_texts("sst2", 32)
    # Exits come from real texts: a model of random weights has none worth timing.
    of_gemma = fitted_for_exits("sst2", "auto", args.device)
    shares = of_gemma.exit_layers(X) / of_gemma.n_layers_
    exits = np.round(shares * clf.n_layers_).astype(np.int64)
    reader = clf._fitted.recipe.open(args.device, "auto")

    def ours() -> None:
        part = next(iter(reader.parts([(text,) for text in X])))
        prompts = reader.prompts_of(part, np.arange(len(part.samples)))
        keys = reader.keys(part, prompts=prompts)
        clf._fitted.database.exits(keys, k=clf.k, tau=clf.tau)
        head = reader.backbone.head(clf._fitted.token_ids)
        reader.engine.run_to(prompts, exits, head)

    pipe = pipeline("fill-mask", model=model, tokenizer=tokenizer, device=args.device)
    mask = tokenizer.mask_token
    filled = [
        clf.template.replace("{text}", text).replace("{mask}", mask) for text in X
    ]
    seconds = alternate({"ours": ours, "pipeline": partial(pipe, filled)}, 3)
    record(
        "speed.jsonl",
        figure="predict against pipeline('fill-mask')",
        shape="roberta-large",
        dtype=clf._fitted.recipe.dtype,
        pipeline_dtype=str(model.dtype).removeprefix("torch."),
        texts=len(X),
        mean_exit=round(float(exits.mean()), 2),
        times=ratio(seconds["pipeline"], seconds["ours"], 2),
    )


def agreement(args: argparse.Namespace) -> None:
    """Bar: exits and labels of bfloat16 are those of float32 on 98 % of 872 texts."""
    X = read_task("sst2", "test")[0]
    fits = {
        dtype: fitted_for_exits("sst2", dtype, args.device, min_exit=0, size=1_000)
        for dtype in ("float32", "bfloat16")
    }
    exact = fits["float32"]
    halved = copy(exact)  # fitted in float32, predicts in bfloat16
    recipe = replace(exact._fitted.recipe, dtype="bfloat16")
    halved._fitted = replace(exact._fitted, recipe=recipe)
    compared = {"fitted and run": fits["bfloat16"], "run": halved}
    full = {clf: clf.layer_proba(X)[:, -1].argmax(axis=1) for clf in (exact, halved)}
    for tau in (0.9, 0.0):
        exact.set_params(tau=tau)
        labels, exits = exact.predict(X, return_exit_layers=True)
        for what, clf in compared.items():
            found, stops = clf.set_params(tau=tau).predict(X, return_exit_layers=True)
            record(
                "speed.jsonl",
                figure=f"{what} in bfloat16 against float32",
                task="sst2",
                tau=tau,
                texts=len(X),
                same_exit=round(float((stops == exits).mean()), 4),
                same_label=round(float((found == labels).mean()), 4),
                same_both=round(
                    float(((stops == exits) & (found == labels)).mean()), 4
                ),
                same_label_at_full_depth=round(
                    float((full[exact] == full[halved]).mean()), 4
                ),
            )


def memory(args: argparse.Namespace) -> None:
    """Bar: peak of predict beyond input and output equal within 5 %.

    In processes of their own (Linux), with the MiB that are still held afterwards:

    arrays and objects  what Python and numpy hold (tracemalloc)
    resident, lean      of a process that keeps nothing for later, see `LEAN`
    resident            of a process as it is
    """
    sizes = (1_000, 100_000)
    for what, environment, peak in (
        ("arrays and objects", {}, peak_of_objects),
        ("resident, lean", LEAN, peak_of_process),
        ("resident", {}, peak_of_process),
    ):
        found: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
        for size in sizes * 3:
            with (
                patch.dict(os.environ, environment),
                get_context("spawn").Pool(1) as pool,
            ):
                found[size].append(pool.apply(peak, (size,)))
        peaks = {n: round(median(peak for peak, _ in found[n]), 2) for n in sizes}
        kept = {n: round(median(after for _, after in found[n]), 2) for n in sizes}
        few, many = (peaks[n] - kept[n] for n in sizes)
        record(
            "speed.jsonl",
            figure="peak of predict beyond input and output, MiB",
            memory=what,
            peak=peaks,
            kept_afterwards=kept,
            ratio=round(peaks[sizes[1]] / peaks[sizes[0]], 3),
            ratio_without_what_is_kept=round(many / few, 3) if few else None,
        )


# Without what torch and malloc keep for later. Both is bounded: oneDNN keeps up to
# 1,024 kernels, one for each shape of a batch, and these lie in the heap among what is
# free again and hinder malloc from giving it back.
LEAN = {
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "0",
    "MALLOC_MMAP_THRESHOLD_": "16384",
    "MALLOC_TRIM_THRESHOLD_": "16384",
}


def peak_of_process(size: int) -> tuple[float, float]:
    """Return MiB of resident memory in predict at its highest, and afterwards."""
    predict, texts = toy_predict(size)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    out = predict(texts)
    before += out.nbytes / 2**20
    return resident("VmHWM") - before, resident("VmRSS") - before


def peak_of_objects(size: int) -> tuple[float, float]:
    """Return MiB that Python and numpy hold in predict at their highest, and after."""
    predict, texts = toy_predict(size)
    tracemalloc.start()
    out = predict(texts)
    after, peak = tracemalloc.get_traced_memory()
    return (peak - out.nbytes) / 2**20, (after - out.nbytes) / 2**20


def toy_predict(size: int) -> tuple[Callable[[list[str]], np.ndarray], list[str]]:
    """Fit on toy texts; return predict, which has run before, and new texts."""
    X, y = toy.reviews(200)
    clf = RAEEClassifier(
        toy.backbone(),
        toy.TEMPLATES["masked"],
        label_words=toy.LABEL_WORDS,
        memory=None,
    ).fit(X, y)
    reviews = toy.reviews(size, seed=2)[0]
    # All are new, and of like length whatever the size.
    texts = [f"{text} {i:06}" for i, text in enumerate(reviews)]
    clf.predict([f"{text} again" for text in texts[:100]])
    return clf.predict, texts


def resident(what: str) -> float:
    """Return resident memory in MiB: VmRSS now, VmHWM at its highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(what)]
    return int(line.split()[1]) / 2**10


FIGURES: dict[str, Callable[[argparse.Namespace], None]] = {
    "engine": engine_figures,
    "lengths": equal_lengths,
    "usual": usual_way,
    "single": single_text,
    "parts": predict_parts,
    "forward": predict_against_forward,
    "pipeline": predict_against_pipeline,
    "memory": memory,
    "agreement": agreement,
}


class Bench:
    """A backbone of some shape, prompts, and the plain forward over them."""

    def __init__(
        self,
        shape: str,
        dtype: str,
        args: argparse.Namespace,
        n_texts: int | None = None,
    ) -> None:
        n_texts = n_texts or args.texts
        self.name = {"shape": shape, "dtype": dtype, "device": args.device}
        self.rounds = args.rounds
        model = make_model(shape, getattr(torch, dtype), args.device)
        self.backbone = LoadedBackbone(
            model=model,
            tokenizer=None,  # type: ignore[arg-type]
            family=family_of(model.config.model_type),
            dtype=model.dtype,
            device=model.device,
            fingerprint=fingerprint_of(model),
        )
        if shape == "gemma3-270m":
            self.prompts = real_prompts(n_texts, args)
        else:
            self.prompts = make_prompts(n_texts, self.backbone.family.kind)

    @property
    def n_layers(self) -> int:
        return self.engine().n_layers

    def exits(self, args: argparse.Namespace) -> np.ndarray:
        """Return real exits, or for a shape of the paper exits of the paper's mean."""
        if (paper := PAPER.get(self.name["shape"])) is None:
            return real_exits(len(self.prompts), self.n_layers, args)
        return exits_with_mean(paper.mean_exit, len(self.prompts), self.n_layers)

    def engine(self) -> Engine:
        return Engine(self.backbone)

    def run(self, depths: np.ndarray, head: Any, size: int | None = None) -> None:
        """Run the prompts to these depths, in batches of a size or of the engine's."""
        engine = self.engine()
        if size is None:
            engine.run_to(self.prompts, depths, head)
            return
        for rows in self.batches(size):
            engine.run_to([self.prompts[i] for i in rows], depths[rows], head)

    def sweep(self) -> None:
        self.engine().sweep(self.prompts, self.head(), text_means=True)

    def head(self) -> Any:
        return self.backbone.head([11, 13])

    def batches(self, size: int) -> list[np.ndarray]:
        order = np.argsort([-len(p.ids) for p in self.prompts], kind="stable")
        return [order[i : i + size] for i in range(0, len(order), size)]

    @torch.no_grad()
    def plain_forward(self) -> None:
        """Run the base model on the same batches, padded and masked alike."""
        base = self.backbone.model.base_model
        kind = self.backbone.family.kind
        width = max(len(prompt.ids) for prompt in self.prompts)
        for rows in self.batches(
            check_batch_tokens("auto", self.backbone.device) // width
        ):
            ids, mask = padded([self.prompts[i] for i in rows], self.backbone.device)
            options = {} if kind == "causal" else {"attention_mask": mask}
            if kind == "seq2seq":
                options["decoder_input_ids"] = torch.zeros_like(ids[:, :1])
            if kind != "masked":
                options["use_cache"] = False
            base(input_ids=ids, **options)


def make_prompts(n_texts: int, kind: str) -> list[Prompt]:
    """Make prompts of random ids with the lengths of short reviews."""
    rng = np.random.default_rng(0)
    prompts = []
    for length in rng.integers(24, 56, size=n_texts):
        ids = tuple(int(i) for i in rng.integers(5, 30_000, size=length))
        read = int(length) - (3 if kind == "masked" else 1)
        prompts.append(Prompt(ids, read, ((9, int(length) - 12),)))
    return prompts


@cache
def fitted_for_exits(
    task: str, dtype: str, device: str, min_exit: int = 1, size: int = 500
) -> RAEEClassifier:
    """Fit on real texts: depth-0 keys, the paper's k and tau."""
    prompt = templates.CAUSAL[task]
    clf = RAEEClassifier(
        Backbone(backbone_folder("gemma3-270m")),
        prompt.template,
        label_words=prompt.label_words,
        min_exit=min_exit,
        dtype=dtype,
        device=device,
    )
    return clf.fit(*sample(*read_task(task, "train"), size, seed=0))


def real_texts(task: str, n_texts: int) -> list[str]:
    return sample(*read_task(task, "test"), n_texts, seed=0)[0]


def real_prompts(n_texts: int, args: argparse.Namespace) -> list[Prompt]:
    """Take half of the texts from sst2, half from subj, all with one template."""
    recipe = fitted_for_exits(TASKS[0], "auto", args.device)._fitted.recipe
    texts = [t for task in TASKS for t in real_texts(task, n_texts // len(TASKS))]
    reader = recipe.open(args.device, "auto")
    return reader.prompts.encode([(text,) for text in texts])


def real_exits(n_texts: int, n_layers: int, args: argparse.Namespace) -> np.ndarray:
    """Return exits of real texts on Gemma 3 270M, stretched to another depth."""
    found = [fitted_for_exits(task, "auto", args.device) for task in TASKS]
    exits = [
        clf.exit_layers(real_texts(task, n_texts // len(TASKS))) / clf.n_layers_
        for task, clf in zip(TASKS, found, strict=True)
    ]
    return np.round(np.concatenate(exits) * n_layers).astype(np.int64)


def padded(prompts: list[Prompt], device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(len(p.ids) for p in prompts)
    ids = [p.ids + p.ids[-1:] * (width - len(p.ids)) for p in prompts]
    lengths = torch.tensor([len(p.ids) for p in prompts])
    mask = (torch.arange(width) < lengths[:, None]).long()
    return torch.tensor(ids, device=device), mask.to(device)


@torch.no_grad()
def pad_and_decode_all(bench: Bench) -> None:
    """Read every depth the usual way: all positions, the whole vocabulary."""
    model = bench.backbone.model
    for prompt in bench.prompts:
        ids = prompt.ids + (1,) * (512 - len(prompt.ids))
        mask = torch.tensor([[1] * len(prompt.ids) + [0] * (512 - len(prompt.ids))])
        out = model.roberta(
            torch.tensor([ids]), attention_mask=mask, output_hidden_states=True
        )
        for hidden in out.hidden_states:
            model.lm_head(hidden)


class PlainForward:
    """What a user would write: tokenise, sort, batches of 32, the whole model."""

    def __init__(self, clf: RAEEClassifier, X: list[str], dtype: str) -> None:
        from transformers import AutoTokenizer

        self.loaded = clf._fitted.recipe.backbone.load(dtype)
        self.tokenizer = AutoTokenizer.from_pretrained(backbone_folder("gemma3-270m"))
        self.texts = [clf.template.replace("{text}", text) for text in X]

    @torch.no_grad()
    def __call__(self) -> None:
        ids = self.tokenizer(self.texts)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        for start in range(0, len(order), 32):
            rows = [ids[i] for i in order[start : start + 32]]
            batch = self.tokenizer.pad(
                {"input_ids": rows}, padding_side="left", return_tensors="pt"
            ).to(self.loaded.device)
            self.loaded.model(**batch, use_cache=False, logits_to_keep=1)


def trained_tokenizer(texts: list[str]) -> Any:
    """Learn a byte-pair tokenizer of RoBERTa's kind and size limit from texts."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator(texts, vocab_size=30_000, special_tokens=specials)
    with TemporaryDirectory() as folder:
        learner.save_model(folder)
        return RobertaTokenizerFast.from_pretrained(folder)


def texts_of(task: str) -> list[str]:
    return real_texts(task, 256)


def stranger_to(clf: RAEEClassifier) -> RAEEClassifier:
    """Return the fitted estimator without a store: every text is new to it."""
    twin = copy(clf)
    twin.memory = None
    return twin


def grown_to(fitted: Any, size: int) -> Any:
    """Fill a database up with noisy copies of its keys, for the search's time."""
    database = fitted.database
    rows = np.random.default_rng(0).integers(len(database), size=size)
    noise = np.random.default_rng(1).normal(size=(size, database.keys.shape[1]))
    keys = database.keys[rows] + 0.05 * database.keys.std() * noise
    larger = replace(
        database,
        keys=np.ascontiguousarray(keys, dtype=np.float32),
        proba=database.proba[rows],
        labels=database.labels[rows],
    )
    return replace(fitted, database=larger.build_index(12))


def benches(args: argparse.Namespace, **options: Any) -> Any:
    for shape in args.shapes:
        for dtype in args.dtype:
            yield Bench(shape, dtype, args, **options)


def alternate(
    runs: Mapping[str, Callable[[], Any]], rounds: int
) -> dict[str, list[float]]:
    """Warm up with the first two, then run all in turns; seconds of every round."""
    for run in list(runs.values())[:2]:
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(seconds_of(run))
    return seconds


def ratio(ours: list[float], theirs: list[float], digits: int = 3) -> float:
    """Return the median of the rounds' ratios."""
    return round(median(a / b for a, b in zip(ours, theirs, strict=True)), digits)


def rounded(seconds: list[float]) -> list[float]:
    return [round(s, 4) for s in seconds]


def seconds_of(run: Callable[[], Any]) -> float:
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
