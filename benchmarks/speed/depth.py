"""Whether the depth that early exit saves is time saved: exit by confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from statistics import median
from typing import Any, TypedDict

import numpy as np
import torch

from benchmarks.data import (
    Labelled,
    backbone_folder,
    local_backbones,
    read_task,
    sample,
)
from benchmarks.lines import Line
from benchmarks.speed.memory import resident
from benchmarks.speed.options import Options
from benchmarks.timing import alternate, ratio, seconds_of
from skraee import Backbone, EarlyExitClassifier

BACKBONES = ("mpnet-base", "gemma3-270m")
BUDGETS = (0.1, 0.2, 0.3)
N_FIT, N_NEW, N_ALONE = 600, 1_000, 200
# Rows, inputs and outputs of the product by which a machine is judged.
PRODUCT = (4_096, 768, 3_072)
SIZES = (1_000, 10_000, 100_000)


class On(TypedDict):
    """On what is measured, as lines name it."""

    backbone: str
    dtype: str
    device: str


def depth(options: Options) -> None:
    """Bar: at most 1.3, 1.2, 1.15 of mean cost x the time of the plain full forward.

    Budgets 0.1, 0.2, 0.3 on 1,000 new texts of sst2, fitted on 600. The forward is the
    library's, in batches of 32 sorted by length. Beside it sentence-transformers'
    `encode`, and the rate of the machine's matrix product (10^9 operations a second).
    """
    new = texts()[1]
    for on in each(options):
        full, encode = FullForward(on), encoding(on)
        fits = {f"{budget:g}": fitted(on, budget) for budget in BUDGETS}
        runs: dict[str, Callable[[], Any]] = {"full": partial(full, new)}
        runs |= {budget: partial(clf.predict, new) for budget, clf in fits.items()}
        if encode is not None:
            runs["encode"] = partial(encode, new)
        rate = matrix_rate(on)
        seconds = alternate(runs, options.n_rounds)
        share = full.operations(new) / median(seconds["full"]) / rate
        shared = {
            "ms_a_text_full": milliseconds(seconds["full"], len(new)),
            "rate_of_products": round(rate / 1e9),
            "share_of_rate_full": round(share, 3),
        }
        for budget, clf in fits.items():
            found = against_full(clf, full, new, seconds[budget], seconds["full"])
            if encode is not None:
                found["of_encode"] = ratio(seconds[budget], seconds["encode"])
            options.lines.add(
                figure="exit by confidence against the plain full forward",
                **on,
                texts=len(new),
                budget=float(budget),
                **found,
                **shared,
            )


def against_full(
    clf: EarlyExitClassifier,
    full: FullForward,
    new: list[str],
    seconds: list[float],
    seconds_full: list[float],
) -> Line:
    """Return what depth cost, and what the ideal would be: cost x full forward.

    Where long texts stop later than short ones, the cost by tokens is the larger one.
    """
    costs = clf.cost_[clf.exit_layers(new)]
    n_tokens = np.array(full.n_tokens(new))
    cost, by_token = costs.mean(), costs @ n_tokens / n_tokens.sum()
    of_full = ratio(seconds, seconds_full)
    return {
        "cost": round(float(cost), 4),
        "cost_by_token": round(float(by_token), 4),
        "ms_a_text": milliseconds(seconds, len(new)),
        "of_full": of_full,
        "of_ideal": round(of_full / float(cost), 3),
        "of_ideal_by_token": round(of_full / float(by_token), 3),
    }


def alone(options: Options) -> None:
    """Bar: within 15 % of depth x layer time plus 1 ms, one text a call, budget 0.1.

    A layer's time is that of the library's full forward of the text alone, by layers.
    """
    new = texts()[1][:N_ALONE]
    for on in each(options):
        full, clf = FullForward(on), fitted(on, BUDGETS[0])
        depths = clf.exit_layers(new)
        runs: dict[str, Callable[[], Any]] = {
            "predict": partial(one_by_one, clf.predict, new),
            "full": partial(one_by_one, full, new),
        }
        seconds = alternate(runs, options.n_rounds)
        own, whole = (milliseconds(seconds[name], len(new)) for name in runs)
        ideal = whole * depths.mean() / clf.n_layers_ + 1.0
        options.lines.add(
            figure="one text a call",
            **on,
            texts=len(new),
            mean_exit=round(float(depths.mean()), 3),
            ms_a_text=own,
            ms_a_text_full=whole,
            of_depth_x_layer_plus_1_ms=round(own / ideal, 3),
        )


def many(options: Options) -> None:
    """Bar: time linear within 5 %, resident memory flat within 5 %, in texts.

    Of made-up texts that are all new, by budget 0.1; the first call of a process pays
    for what torch prepares of every shape, and is left out.
    """
    *_, on = each(options)
    clf = fitted(on, BUDGETS[0])
    clf.predict(list(made_up(500, seed=0)))
    for n_texts in SIZES:
        seconds = seconds_of(partial(clf.predict, list(made_up(n_texts, seed=n_texts))))
        options.lines.add(
            figure="texts of one call",
            **on,
            texts=n_texts,
            ms_a_text=milliseconds([seconds], n_texts),
            resident_mib=round(resident("VmRSS")),
            peak_mib=round(resident("VmHWM")),
        )


def mixed(options: Options) -> None:
    """Bar: short texts beside long ones within 1.15 of the sum of their own times."""
    short = texts()[1][:400]
    n_joined = min(240, len(short))
    long = [" ".join(short[i : i + 12]) for i in range(0, n_joined, 12)]
    for on in each(options):
        clf = fitted(on, BUDGETS[0])
        runs: dict[str, Callable[[], Any]] = {
            "short": partial(clf.predict, short),
            "long": partial(clf.predict, long),
            "both": partial(clf.predict, [*short[:200], *long, *short[200:]]),
        }
        seconds = alternate(runs, options.n_rounds)
        apart = [
            sum(two) for two in zip(seconds["short"], seconds["long"], strict=True)
        ]
        options.lines.add(
            figure="short texts beside long ones",
            **on,
            texts=len(short) + len(long),
            of_their_own=ratio(seconds["both"], apart),
        )


def each(options: Options) -> Iterator[On]:
    """Yield what is measured: each backbone that is at hand, in each number format."""
    names = [name for name in BACKBONES if name in local_backbones()]
    for name, dtype in product(names, options.dtypes):
        yield On(backbone=name, dtype=dtype, device=options.device)


@cache
def texts() -> tuple[Labelled, list[str]]:
    """Return labelled texts, and new ones."""
    X, y = sample(*read_task("sst2", "train"), N_FIT + N_NEW, seed=0)
    return (X[:N_FIT], y[:N_FIT]), X[N_FIT:]


def made_up(n_texts: int, seed: int) -> Iterator[str]:
    """Yield so many different texts of words of the real ones, as long as these."""
    rng = np.random.default_rng(seed)
    real = [text.split() for text in texts()[1]]
    words = np.array([word for text in real for word in text])
    for number in range(n_texts):
        n_words = len(real[int(rng.integers(len(real)))])
        yield " ".join([*rng.choice(words, n_words), str(number)])


def fitted(on: On, budget: float) -> EarlyExitClassifier:
    (X, y), _ = texts()
    clf = EarlyExitClassifier(
        Backbone(backbone_folder(on["backbone"])),
        budget=budget,
        dtype=on["dtype"],
        device=on["device"],
    )
    clf.fit(X, y).set_params(memory=None)
    return clf


def one_by_one(run: Callable[[list[str]], Any], new: list[str]) -> None:
    for text in new:
        run([text])


class FullForward:
    """What a user would write: tokenise, sort, batches of 32, the whole body."""

    def __init__(self, on: On) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = backbone_folder(on["backbone"])
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder, dtype=getattr(torch, on["dtype"]))
        self.model = model.eval().to(on["device"])

    @torch.inference_mode()
    def __call__(self, new: list[str]) -> None:
        ids = self.tokenizer(new)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        for start in range(0, len(order), 32):
            rows = [ids[i] for i in order[start : start + 32]]
            batch = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
            self.model(**batch.to(self.model.device))

    def n_tokens(self, new: list[str]) -> list[int]:
        return [len(ids) for ids in self.tokenizer(new)["input_ids"]]

    def operations(self, new: list[str]) -> float:
        """Return the operations of the layers' matrices on the texts, unpadded."""
        embeddings = [
            m for m in self.model.modules() if isinstance(m, torch.nn.Embedding)
        ]
        n_weights = sum(p.numel() for p in self.model.parameters() if p.ndim == 2)
        n_weights -= sum(e.weight.numel() for e in embeddings)
        return 2.0 * int(n_weights) * sum(self.n_tokens(new))


def encoding(on: On) -> Callable[[list[str]], Any] | None:
    """Return sentence-transformers' `encode`, where it is installed and reads that."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return None
    folder = backbone_folder(on["backbone"])
    if not (folder / "modules.json").is_file():
        return None
    settings = {"dtype": getattr(torch, on["dtype"])}
    model = SentenceTransformer(str(folder), device=on["device"], model_kwargs=settings)
    return partial(model.encode, show_progress_bar=False)


def matrix_rate(on: On) -> float:
    """Return the operations a second of one large matrix product."""
    n_rows, n_in, n_out = PRODUCT
    where: Any = {"dtype": getattr(torch, on["dtype"]), "device": on["device"]}
    x, w = torch.ones(n_rows, n_in, **where), torch.ones(n_in, n_out, **where)
    seconds_of(lambda: x @ w)
    fastest = min(seconds_of(lambda: x @ w) for _ in range(9))
    return 2.0 * n_rows * n_in * n_out / fastest


def milliseconds(seconds: list[float], n_texts: int) -> float:
    return round(median(seconds) * 1e3 / n_texts, 3)
