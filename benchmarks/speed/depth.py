"""Whether the depth that early exit saves is time saved: exit by confidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.data import (
    Labelled,
    backbone_folder,
    local_backbones,
    read_task,
    sample,
)
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


def depth(options: Options) -> None:
    """Bar: at most 1.3, 1.2, 1.15 of mean cost x the time of the plain full forward.

    Budgets 0.1, 0.2, 0.3 on 1,000 new texts of sst2, fitted on 600. The forward is the
    library's, in batches of 32 sorted by length. Beside it sentence-transformers'
    `encode`, and the rate of the machine's matrix product (10^9 operations a second).
    """
    for name, dtype in product(at_hand(), options.dtypes):
        _, new = texts()
        full = FullForward(name, dtype, options.device)
        predicts = {
            f"{budget:g}": fitted(name, dtype, options.device, budget)
            for budget in BUDGETS
        }
        runs: dict[str, Callable[[], Any]] = {"full": partial(full, new)}
        for budget, clf in predicts.items():
            runs[budget] = partial(clf.predict, new)
        if (encode := encoding(name, dtype, options.device)) is not None:
            runs["encode"] = partial(encode, new)
        rate = matrix_rate(dtype, options.device)
        seconds = alternate(runs, options.n_rounds)
        n_tokens = np.array(full.n_tokens(new))
        for budget, clf in predicts.items():
            costs = clf.cost_[clf.exit_layers(new)]
            by_token = float(costs @ n_tokens / n_tokens.sum())
            against = ratio(seconds[budget], seconds["full"])
            options.lines.add(
                figure="exit by confidence against the plain full forward",
                backbone=name,
                dtype=dtype,
                device=options.device,
                texts=len(new),
                budget=float(budget),
                cost=round(float(costs.mean()), 4),
                cost_by_token=round(by_token, 4),
                ms_a_text=milliseconds(seconds[budget], len(new)),
                ms_a_text_full=milliseconds(seconds["full"], len(new)),
                of_full=against,
                of_ideal=round(against / float(costs.mean()), 3),
                of_ideal_by_token=round(against / by_token, 3),
                **(
                    {"of_encode": ratio(seconds[budget], seconds["encode"])}
                    if encode is not None
                    else {}
                ),
                rate_of_products=round(rate / 1e9),
                share_of_rate_full=round(
                    full.operations(new) / median(seconds["full"]) / rate, 3
                ),
            )


def alone(options: Options) -> None:
    """Bar: within 15 % of depth x layer time plus 1 ms, one text a call, budget 0.1.

    A layer's time is that of the library's full forward of the text alone, by layers.
    """
    for name, dtype in product(at_hand(), options.dtypes):
        new = texts()[1][:N_ALONE]
        full = FullForward(name, dtype, options.device)
        clf = fitted(name, dtype, options.device, BUDGETS[0])
        rounds = []
        for text in new[:20]:
            clf.predict([text])
            full([text])
        exits = clf.exit_layers(new)
        for _ in range(options.n_rounds):
            ours = [seconds_of(partial(clf.predict, [text])) for text in new]
            theirs = [seconds_of(partial(full, [text])) for text in new]
            rounds.append((np.mean(ours) * 1e3, np.mean(theirs) * 1e3))
        own, whole = (median(found) for found in zip(*rounds, strict=True))
        ideal = whole * exits.mean() / clf.n_layers_ + 1.0
        options.lines.add(
            figure="one text a call",
            backbone=name,
            dtype=dtype,
            device=options.device,
            texts=len(new),
            mean_exit=round(float(exits.mean()), 3),
            ms_a_text=round(own, 2),
            ms_a_text_full=round(whole, 2),
            of_depth_x_layer_plus_1_ms=round(own / ideal, 3),
        )


def many(options: Options) -> None:
    """Bar: time linear within 5 %, resident memory flat within 5 %, in texts.

    Of made-up texts that are all new, by budget 0.1; the first call of a process pays
    for what torch prepares of every shape, and is left out.
    """
    name, dtype = at_hand()[0], options.dtypes[-1]
    clf = fitted(name, dtype, options.device, BUDGETS[0])
    clf.predict(list(made_up(500, seed=0)))
    for n_texts in SIZES:
        start = time.perf_counter()
        clf.predict(list(made_up(n_texts, seed=n_texts)))
        options.lines.add(
            figure="texts of one call",
            backbone=name,
            dtype=dtype,
            device=options.device,
            texts=n_texts,
            ms_a_text=round((time.perf_counter() - start) * 1e3 / n_texts, 3),
            resident_mib=round(resident("VmRSS")),
            peak_mib=round(resident("VmHWM")),
        )


def mixed(options: Options) -> None:
    """Bar: short texts beside long ones within 1.15 of the sum of their own times."""
    for name, dtype in product(at_hand(), options.dtypes):
        short = texts()[1][:400]
        long = [" ".join(short[i : i + 12]) for i in range(0, min(240, len(short)), 12)]
        clf = fitted(name, dtype, options.device, BUDGETS[0])
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
            backbone=name,
            dtype=dtype,
            device=options.device,
            texts=len(short) + len(long),
            of_their_own=ratio(seconds["both"], apart),
        )


def at_hand() -> list[str]:
    """Return which of the backbones there are."""
    return [name for name in BACKBONES if name in local_backbones()]


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


def fitted(name: str, dtype: str, device: str, budget: float) -> EarlyExitClassifier:
    (X, y), _ = texts()
    clf = EarlyExitClassifier(
        Backbone(backbone_folder(name)), budget=budget, dtype=dtype, device=device
    )
    clf.fit(X, y).set_params(memory=None)
    return clf


class FullForward:
    """What a user would write: tokenise, sort, batches of 32, the whole body."""

    def __init__(self, name: str, dtype: str, device: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = backbone_folder(name)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype))
        self.model = model.eval().to(device)

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


def encoding(name: str, dtype: str, device: str) -> Callable[[list[str]], Any] | None:
    """Return sentence-transformers' `encode`, where it is installed and reads that."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return None
    folder = backbone_folder(name)
    if not (folder / "modules.json").is_file():
        return None
    settings = {"dtype": getattr(torch, dtype)}
    model = SentenceTransformer(str(folder), device=device, model_kwargs=settings)
    return partial(model.encode, show_progress_bar=False)


def matrix_rate(dtype: str, device: str) -> float:
    """Return the operations a second of one large matrix product."""
    n_rows, n_in, n_out = PRODUCT
    x = torch.ones(n_rows, n_in, dtype=getattr(torch, dtype), device=device)
    w = torch.ones(n_in, n_out, dtype=getattr(torch, dtype), device=device)
    seconds_of(lambda: x @ w)
    fastest = min(seconds_of(lambda: x @ w) for _ in range(9))
    return 2.0 * n_rows * n_in * n_out / fastest


def milliseconds(seconds: list[float], n_texts: int) -> float:
    return round(median(seconds) * 1e3 / n_texts, 3)
