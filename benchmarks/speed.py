"""How close skraee comes to the time that the layers themselves take.

    python benchmarks/speed.py                 every figure, on the CPU
    python benchmarks/speed.py --only mixed sweep --dtype bfloat16
    python benchmarks/speed.py --device cuda   the same on a GPU, real shapes

Every ratio comes from one run: the two sides alternate, and the figure is the median
of the rounds' ratios. Weights of the shapes are random, since speed does not depend on
them. Gemma and the real texts need $SKRAEE_BACKBONES and $SKRAEE_DATA. Writes
results/speed.jsonl.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from common import backbone_folder, read_task, record, sample
from torch import Tensor

from skraee import Backbone, RAEEClassifier, templates, toy
from skraee.backbone.engine import Engine
from skraee.backbone.families import family_of
from skraee.backbone.fingerprint import fingerprint_of
from skraee.backbone.handle import LoadedBackbone
from skraee.text.prompt import Prompt

SHAPES = ("roberta-large", "llama", "gemma3-270m")
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=list(FIGURES), default=None)
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES))
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in args.only or FIGURES:
        FIGURES[name](args)


# The engine against the library's own forward, on the same batches


def all_rows_at_full_depth(args: argparse.Namespace) -> None:
    """Bar: at most 1.05 of the plain forward."""
    for bench in benches(args):
        engine, head = bench.engine(), bench.head()
        depths = np.full(len(bench.prompts), engine.n_layers)
        ours = lambda: engine.run_to(bench.prompts, depths, head)
        report("full depth / plain forward", bench, ours, bench.plain_forward)


def time_against_depth(args: argparse.Namespace) -> None:
    """Bar: linear, slope within 5 % of 1/m of the full pass."""
    for bench in benches(args):
        engine, head, m = bench.engine(), bench.head(), bench.n_layers
        at = [round(m * share) for share in (0, 0.25, 0.5, 0.75, 1)]
        runs = [
            lambda depth=depth: engine.run_to(
                bench.prompts,
                np.full(len(bench.prompts), depth),
                head,
            )
            for depth in at
        ]
        seconds = alternate(runs, bench.rounds)
        middle = [median(column) for column in zip(*seconds, strict=True)]
        slope = np.polyfit(at, middle, 1)[0]
        record(
            "speed.jsonl",
            figure="time against depth",
            **bench.name,
            depths=at,
            seconds=[round(s, 4) for s in middle],
            slope_times_m_over_full=round(float(slope * m / middle[-1]), 3),
        )


def mixed_depths(args: argparse.Namespace) -> None:
    """Bar: 0.97 of the ideal for batches of 64 and all, 0.90 for a batch of 8."""
    for bench in benches(args):
        head, m = bench.head(), bench.n_layers
        exits = real_exits(len(bench.prompts), m)
        full = np.full(len(bench.prompts), m)
        for size in (8, 64, len(bench.prompts)):
            engine = bench.engine()
            groups = bench.batches(size)

            def run(depths: np.ndarray) -> None:
                for rows in groups:
                    part = [bench.prompts[i] for i in rows]
                    engine.run_to(part, depths[rows], head)

            seconds = alternate([lambda: run(exits), lambda: run(full)], bench.rounds)
            ideal = exits.mean() / m
            record(
                "speed.jsonl",
                figure="mixed depths: share of the ideal speed-up",
                **bench.name,
                batch=size,
                mean_exit=round(float(exits.mean()), 2),
                share=round(median(ideal * f / s for s, f in seconds), 3),
            )


def sweep(args: argparse.Namespace) -> None:
    """Bar: at most 1.08 of one plain forward over the same texts."""
    for bench in benches(args):
        engine, head = bench.engine(), bench.head()
        ours = lambda: engine.sweep(
            bench.prompts,
            head,
            text_means=True,
        )
        report("sweep / plain forward", bench, ours, bench.plain_forward)


def usual_way(args: argparse.Namespace) -> None:
    """Bar: more than 40 times a program that pads to 512 and decodes everything."""
    bench = Bench("roberta-large", "float32", args, n_texts=8)
    engine, head = bench.engine(), bench.head()
    seconds = alternate(
        [
            lambda: engine.sweep(bench.prompts, head),
            lambda: pad_and_decode_all(bench),
        ],
        3,
    )
    record(
        "speed.jsonl",
        figure="sweep against padding to 512 and decoding all positions",
        **bench.name,
        texts=8,
        times=round(median(slow / fast for fast, slow in seconds), 1),
    )


def single_text(args: argparse.Namespace) -> None:
    """Bar: within 10 % of l/m of the full-depth latency plus 2 ms."""
    for bench in benches(args, n_texts=16):
        engine, head, m = bench.engine(), bench.head(), bench.n_layers
        depth = round(m * 0.43)

        def one_by_one(to: int) -> None:
            for prompt in bench.prompts:
                engine.run_to([prompt], np.array([to]), head)

        runs = [lambda: one_by_one(depth), lambda: one_by_one(m)]
        seconds = alternate(runs, bench.rounds)
        n = len(bench.prompts)
        early = median(s for s, _ in seconds) / n * 1000
        full = median(f for _, f in seconds) / n * 1000
        record(
            "speed.jsonl",
            figure="batch of one",
            **bench.name,
            exit=depth,
            milliseconds=round(early, 2),
            full_milliseconds=round(full, 2),
            bound_milliseconds=round(1.1 * (full * depth / m + 2), 2),
        )


# The estimator, on real texts


def predict_parts(args: argparse.Namespace) -> None:
    """Bar: key, search and rule at most 3 % of predict, 10,000 stored texts."""
    for task in ("sst2", "subj"):
        for dtype in args.dtype:
            clf, X = fitted_on_gemma(task, dtype, args)
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
    """Bar: at least 0.92 of full / mean exit over batches of 32 sorted by length."""
    for task in ("sst2", "subj"):
        for dtype in args.dtype:
            clf, X = fitted_on_gemma(task, dtype, args)
            exits = clf.exit_layers(X)
            plain = PlainForward(clf, X, dtype)
            runs: list[Callable[[], Any]] = [lambda: clf.predict(X), plain]
            seconds = alternate(runs, args.rounds)
            speed_up = median(slow / fast for fast, slow in seconds)
            ideal = clf.n_layers_ / exits.mean()
            record(
                "speed.jsonl",
                figure="predict against a full-depth forward, batches of 32",
                task=task,
                dtype=dtype,
                texts=len(X),
                mean_exit=round(float(exits.mean()), 2),
                times=round(speed_up, 2),
                share_of_ideal=round(speed_up / ideal, 3),
            )


def predict_against_pipeline(args: argparse.Namespace) -> None:
    """Bar: more than 8 times the library's pipeline with its defaults."""
    from transformers import pipeline

    clf, X = fitted_on_gemma("sst2", "auto", args, n_texts=100)
    loaded = clf._fitted.recipe.backbone.load("float32")
    folder = backbone_folder("gemma3-270m")
    pipe = pipeline("text-generation", model=str(folder), device=args.device)
    filled = [clf.template.replace("{text}", text) for text in X]
    del loaded
    seconds = alternate(
        [
            lambda: clf.predict(X),
            lambda: pipe(filled, max_new_tokens=1, do_sample=False),
        ],
        3,
    )
    record(
        "speed.jsonl",
        figure="predict against pipeline('text-generation'), its defaults",
        texts=len(X),
        times=round(median(slow / fast for fast, slow in seconds), 2),
    )


def memory(args: argparse.Namespace) -> None:
    """Bar: peak of predict beyond input and output equal within 5 %."""
    X, y = toy.reviews(200)
    clf = RAEEClassifier(
        toy.backbone(), toy.TEMPLATES["masked"], label_words=toy.LABEL_WORDS
    ).fit(X, y)
    peaks = {}
    for n_texts in (8_192, 100_000):
        texts = [
            f"{text} {i}" for i, text in enumerate(toy.reviews(n_texts, seed=2)[0])
        ]
        clf.predict(texts[:4096])
        tracemalloc.start()
        out = clf.predict(texts)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        peaks[n_texts] = round((peak - out.nbytes) / 2**20, 2)
    record("speed.jsonl", figure="peak of predict beyond output, MiB", mebibytes=peaks)


FIGURES: dict[str, Callable[[argparse.Namespace], None]] = {
    "full": all_rows_at_full_depth,
    "depth": time_against_depth,
    "mixed": mixed_depths,
    "sweep": sweep,
    "usual": usual_way,
    "single": single_text,
    "parts": predict_parts,
    "forward": predict_against_forward,
    "pipeline": predict_against_pipeline,
    "memory": memory,
}


class Bench:
    """A backbone of some shape, prompts, and the plain forward over them."""

    def __init__(
        self, shape: str, dtype: str, args: argparse.Namespace, n_texts: int = 64
    ) -> None:
        self.name = {"shape": shape, "dtype": dtype, "device": args.device}
        self.rounds = args.rounds
        model = make_model(shape).to(getattr(torch, dtype)).to(args.device).eval()
        self.backbone = LoadedBackbone(
            model=model,
            tokenizer=None,  # type: ignore[arg-type]
            family=family_of(model.config.model_type),
            dtype=model.dtype,
            device=model.device,
            fingerprint=fingerprint_of(model),
        )
        self.prompts = make_prompts(n_texts, self.backbone.family.kind)

    @property
    def n_layers(self) -> int:
        return self.engine().n_layers

    def engine(self) -> Engine:
        return Engine(self.backbone)

    def head(self) -> Any:
        return self.backbone.head([11, 13])

    def batches(self, size: int) -> list[np.ndarray]:
        order = np.argsort([-len(p.ids) for p in self.prompts], kind="stable")
        return [order[i : i + size] for i in range(0, len(order), size)]

    @torch.no_grad()
    def plain_forward(self) -> None:
        """Run the base model on the same batches, padded and masked alike."""
        base = self.backbone.model.base_model
        causal = self.backbone.family.kind == "causal"
        for rows in self.batches(len(self.prompts)):
            ids, mask = padded([self.prompts[i] for i in rows], self.backbone.device)
            options = {"use_cache": False} if causal else {"attention_mask": mask}
            base(input_ids=ids, **options)


def make_model(shape: str) -> Any:
    import transformers as tf

    torch.manual_seed(0)
    if shape == "gemma3-270m":
        folder = backbone_folder(shape)
        return tf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if shape == "roberta-large":
        return tf.RobertaForMaskedLM(
            tf.RobertaConfig(
                vocab_size=50265,
                hidden_size=1024,
                num_hidden_layers=24,
                num_attention_heads=16,
                intermediate_size=4096,
                max_position_embeddings=514,
                type_vocab_size=1,
            )
        )
    if shape == "llama":  # Llama-3-8B's proportions, a quarter as wide
        return tf.LlamaForCausalLM(
            tf.LlamaConfig(
                vocab_size=32064,
                hidden_size=1024,
                num_hidden_layers=32,
                num_attention_heads=8,
                num_key_value_heads=2,
                intermediate_size=3584,
                max_position_embeddings=8192,
            )
        )
    raise SystemExit(f"no shape {shape!r}; there are {', '.join(SHAPES)}")


def make_prompts(n_texts: int, kind: str) -> list[Prompt]:
    """Make prompts of random ids with the lengths of short reviews."""
    rng = np.random.default_rng(0)
    prompts = []
    for length in rng.integers(24, 56, size=n_texts):
        ids = tuple(int(i) for i in rng.integers(5, 30_000, size=length))
        read = int(length) - (3 if kind == "masked" else 1)
        prompts.append(Prompt(ids, read, ((9, int(length) - 12),)))
    return prompts


def real_exits(n_texts: int, n_layers: int) -> np.ndarray:
    """Draw exits like those of sst2 on Gemma 3 270M: mean 0.43 of the depth."""
    shares = np.random.default_rng(1).beta(0.9, 1.2, size=n_texts)
    return np.clip(np.round(shares * n_layers), 0, n_layers).astype(np.int64)


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


def fitted_on_gemma(
    task: str, dtype: str, args: argparse.Namespace, n_texts: int = 256
) -> tuple[RAEEClassifier, list[str]]:
    prompt = templates.CAUSAL[task]
    X, y = sample(*read_task(task, "train"), 500, seed=0)
    clf = RAEEClassifier(
        Backbone(backbone_folder("gemma3-270m")),
        prompt.template,
        label_words=prompt.label_words,
        dtype=dtype,
        device=args.device,
        memory=None,
    )
    return clf.fit(X, y), sample(*read_task(task, "test"), n_texts, seed=0)[0]


def grown_to(fitted: Any, size: int) -> Any:
    """Fill a database up with noisy copies of its keys, for the search's time."""
    from dataclasses import replace

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


def report(
    figure: str, bench: Bench, ours: Callable[[], Any], theirs: Callable[[], Any]
) -> None:
    seconds = alternate([ours, theirs], bench.rounds)
    record(
        "speed.jsonl",
        figure=figure,
        **bench.name,
        ratio=round(median(a / b for a, b in seconds), 3),
        seconds=[round(median(column), 4) for column in zip(*seconds, strict=True)],
    )


def alternate(runs: list[Callable[[], Any]], rounds: int) -> list[tuple[float, ...]]:
    """Run all of them once to warm up, then in turns; return seconds per round."""
    for run in runs:
        run()
    return [tuple(seconds_of(run) for run in runs) for _ in range(rounds)]


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
