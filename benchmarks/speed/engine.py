"""The engine against the library's own forward, on the same batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import numpy as np

from benchmarks.lines import Line
from benchmarks.speed.bench import Bench, measure_each
from benchmarks.speed.options import Options
from benchmarks.timing import alternate, ratio

STOPS = (0, 0.25, 0.5, 0.75, 1)  # shares of the depth
ROBERTA = "roberta-large"
N_ROUNDS = 3

Runs = dict[str, Callable[[], None]]
Seconds = dict[str, list[float]]


def engine(options: Options) -> None:
    """Run the same prompts to all depths, in the same rounds.

    Bars: full depth at most 1.05 of the plain forward, the sweep at most 1.08; time
    linear in depth, slope within 5 % of 1/m of the full pass; mixed depths 0.97 of
    the ideal for batches of 64 and the whole corpus, 0.90 for batches of 8.
    """
    measure_each(options, partial(engine_figures, options.n_rounds))


def engine_figures(n_rounds: int, bench: Bench) -> list[Line]:
    n, exits = len(bench.prompts), bench.exits()
    stops = [round(bench.n_layers * share) for share in STOPS]
    sizes = sorted({8, min(64, n), n})
    runs: Runs = {"plain": bench.plain_forward, "sweep": bench.sweep}
    for depth in stops:
        runs[f"to {depth}"] = partial(bench.run, np.full(n, depth))
    for size in sizes:
        runs[f"full, {size}"] = partial(bench.run, bench.full(), size)
        runs[f"mixed, {size}"] = partial(bench.run, exits, size)
    seconds = alternate(runs, n_rounds, n_warm=2)
    return [
        *against_plain(seconds, bench.n_layers),
        over_depth(seconds, stops),
        *(over_mixed(bench, seconds, exits, size) for size in sizes),
    ]


def against_plain(seconds: Seconds, n_layers: int) -> list[Line]:
    plain = seconds["plain"]
    return [
        {
            "figure": "full depth / plain forward",
            "ratio": ratio(seconds[f"to {n_layers}"], plain),
            "seconds": rounded(plain),
        },
        {
            "figure": "sweep / plain forward",
            "ratio": ratio(seconds["sweep"], plain),
        },
    ]


def over_depth(seconds: Seconds, stops: list[int]) -> Line:
    """Fit a line to the time over the depth."""
    middle = [median(seconds[f"to {depth}"]) for depth in stops]
    slope, start = np.polyfit(stops, middle, 1)
    off = np.abs(np.polyval([slope, start], stops) - middle).max() / middle[-1]
    return {
        "figure": "time against depth",
        "depths": stops,
        "seconds": rounded(middle),
        "slope_times_m_over_full": round(float(slope * stops[-1] / middle[-1]), 3),
        "furthest_from_the_line": round(float(off), 3),
    }


def over_mixed(bench: Bench, seconds: Seconds, exits: np.ndarray, size: int) -> Line:
    """Compare mixed depths with the time that their layers take of a full pass."""
    ideal = bench.cost(exits)
    whole, mixed = seconds[f"full, {size}"], seconds[f"mixed, {size}"]
    share = ratio(mixed, whole)
    return {
        "figure": "mixed depths: share of the ideal speed-up",
        "batch": size,
        "mean_exit": round(float(exits.mean()), 2),
        "share_of_full_time": share,
        "share": ratio([ideal * s for s in whole], mixed),
    }


def lengths(options: Options) -> None:
    """Compare batches of like length with batches of one length, which need no mask."""
    measure_each(replace(options, shapes=[ROBERTA]), length_figures, n_texts=256)


def length_figures(bench: Bench) -> list[Line]:
    widths = np.array([len(prompt.ids) for prompt in bench.prompts])
    groups = [np.flatnonzero(widths == width) for width in np.unique(widths)]
    full = bench.full()

    def apart() -> None:
        for rows in groups:
            bench.run_rows(rows, full[rows])

    runs: Runs = {"together": partial(bench.run, full), "apart": apart}
    seconds = alternate(runs, N_ROUNDS)
    return [
        {
            "figure": "batches of one length / batches of like length",
            "lengths": len(groups),
            "ratio": ratio(seconds["apart"], seconds["together"]),
        }
    ]


def usual(options: Options) -> None:
    """Bar: more than 40 times a program that pads to 512 and decodes everything."""
    one = replace(options, shapes=[ROBERTA], dtypes=options.dtypes[-1:])
    measure_each(one, usual_figures, n_texts=8)


def usual_figures(bench: Bench) -> list[Line]:
    seconds = alternate({"ours": bench.sweep, "usual": bench.decode_all}, N_ROUNDS)
    return [
        {
            "figure": "sweep against padding to 512 and decoding all positions",
            "times": ratio(seconds["usual"], seconds["ours"], 1),
        }
    ]


def single(options: Options) -> None:
    """Bar: within 10 % of l/m of the full-depth latency plus 2 ms."""
    measure_each(options, partial(single_figures, options.n_rounds), n_texts=16)


def single_figures(n_rounds: int, bench: Bench) -> list[Line]:
    m, n = bench.n_layers, len(bench.prompts)
    depth = round(m * 0.43)
    runs = {
        "early": partial(bench.run, np.full(n, depth), 1),
        "full": partial(bench.run, bench.full(), 1),
    }
    seconds = alternate(runs, n_rounds)
    early, full = (1000 * median(seconds[name]) / n for name in runs)
    return [
        {
            "figure": "batch of one",
            "exit": depth,
            "milliseconds": round(early, 2),
            "full_milliseconds": round(full, 2),
            "bound_milliseconds": round(1.1 * full * depth / m + 2, 2),
        }
    ]


def rounded(seconds: list[float]) -> list[float]:
    return [round(s, 4) for s in seconds]
