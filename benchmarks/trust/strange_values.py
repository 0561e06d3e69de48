"""Values that somebody who knows the file format might put into a file."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

Json = Any

_MILLION = 10**6


class Raw(str):
    """JSON that stands in the file as it is."""


def strange_value(rng: random.Random) -> Json:
    """Draw a value of some kind; one in a hundred takes a megabyte."""
    pool = _LARGE if rng.random() < 0.01 else _SMALL
    return rng.choice(pool)()


def _nested(depth: int) -> Json:
    """Return lists in lists, as text, since json.dumps would not write them."""
    return Raw("[" * depth + "]" * depth)


_PLAIN: list[Json] = [
    *(None, True, False, 0, 1, -1, 2, 7, 10**9, 2**31, 2**32, 2**63, 10**30, 10**400),
    *(-(10**9), -(10**400), 0.5, -0.5, 1.5, 1e308, -1e308, 1e-320),
    *(float("nan"), float("inf"), float("-inf")),
    *("", " ", "x", "auto", "none", "\0", "a\0b", "\ud800", "\U0001f4a5", "é" * 40),
    *("../../etc/passwd", "/dev/zero", "~nobody-here/x", "org/name@x", "org//name"),
    *("toy:masked:1", "toy:causal:0", "toy:masked:" + "9" * 30, "toy:x:0", "toy:"),
    *("cuda", "cuda:99", "meta", "xla", "mps", "cpu:3", "cpu\0"),
    *("{text}", "{mask}", "{text} {mask} {mask}", "{text}{text}", "{0}", "{", "{a.b}"),
    *("float16", "bfloat16", "float64", "int8", "ridge", "lm_head", "cosine", "exact"),
    *("mean", "head_tail", "skip", "balanced", "roc_auc", "neg_log_loss", "predict"),
    *([], {}, [[]], [None], [0, 1], ["a", "b"], [0.5, float("nan")], {"x": 1}),
    *({"": {}}, {"0": 0, "1": 1}, [{}], [[], {}]),
    {"array": ["U500000000", ["a"]]},
    {"array": ["<U500000000", ["a"]]},
    {"array": ["<U9", ["a", "b"]]},
    {"array": ["|O", ["a", None, 3]]},
    {"array": ["|O", ["a", {"x": 1}]]},
    {"array": ["<i8", [10**30]]},
    {"array": ["<f8", [[1, 2], [3]]]},
    {"array": ["<f8", [1e308, float("nan")]]},
    {"array": ["<f8", "x"]},
    {"array": ["V9", [1]]},
    {"array": ["<M8[ns]", [1]]},
    {"array": ["i4,f8", [1]]},
    {"array": [{"names": ["a"], "formats": ["<i8"]}, [1]]},
    {"array": []},
    {"masked": [{"array": ["<f8", [1, 2]]}, {"array": ["|b1", [True]]}]},
    {"masked": [[1, 2], [True, False]]},
    {"masked": {}},
    {"pairs": [[[], 1]]},
    {"pairs": [["a", 1], ["a", 2]]},
    {"pairs": [["a"]]},
    {"pairs": [[{"array": ["<f8", [1]]}, 1]]},
    {"pairs": {"a": 1}},
    {"tuple": 3},
    {"tuple": [1, {"tuple": [2]}]},
    {"template": "{text} {mask}"},
    {"template": 3},
    {"backbone": {"toy": "masked", "seed": 10**30}},
    {"backbone": {"name": "toy:masked:0", "revision": 3, "local_files_only": "x"}},
    {"backbone": {"name": 3, "revision": None, "local_files_only": False}},
    {"encoder": {"name": "x", "revision": None, "device": "cpu"}},
    {"encoder": {"name": "", "revision": [], "device": {}}},
    {"no_such_kind": 1},
    {"array": ["<f8", [1]], "tuple": [1]},
    _nested(90),
    _nested(5_000),
]
_SMALL: list[Callable[[], Json]] = [partial(deepcopy, value) for value in _PLAIN]
_LARGE: list[Callable[[], Json]] = [
    lambda: "a" * _MILLION,
    lambda: "\U0001f4a5" * (_MILLION // 4),
    lambda: "{a}" * 100_000,
    lambda: "".join(f"{{a{i}}}" for i in range(100_000)),
    lambda: [0] * (_MILLION // 3),
    lambda: [[]] * (_MILLION // 4),
    lambda: [{}] * (_MILLION // 4),
    lambda: [{"": {}}] * (_MILLION // 10),
    lambda: ["a"] * (_MILLION // 5),
    lambda: {"array": ["<U64", ["a"] * (_MILLION // 5)]},
    lambda: {"array": ["<U100000", ["a" * 100_000, *[""] * (_MILLION // 5)]]},
    lambda: [{"array": ["<U60", ["a"]]}] * (_MILLION // 30),
    lambda: {"array": ["<c16", [0] * (_MILLION // 3)]},
    lambda: {"array": ["|O", [0] * (_MILLION // 3)]},
    lambda: {"pairs": [[i, 0] for i in range(_MILLION // 12)]},
    lambda: {f"{i}": 0 for i in range(_MILLION // 12)},
    lambda: _nested(_MILLION // 2),
    lambda: 10**4_000,
]
