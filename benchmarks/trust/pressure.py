"""Threads, interrupts and lack of memory, at any moment of fit and predict."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.trust.trial import Count, Trial
from skraee import EarlyExitClassifier, RAEEClassifier, toy
from skraee.sweep.memory_store import MemoryStore

ERRORS = "errors"
WRONG = "answers other than the serial ones"
CHANGED = "estimators that were changed by a call that failed"
AMBIENT = "settings of torch that were left changed"
STUCK = "locks that were left taken"
STOPPED = "calls that were stopped"
PLACES = "places, each of one batch"
WARNED = "folders that were left damaged"

X, Y = toy.reviews(48)
X_NEW, _ = toy.reviews(24, seed=1)
CLASSES = sorted(set(Y))
_FIRST = 32

Call = Callable[[Any], Any]


def _classifiers(memory: Any = "process") -> list[Any]:
    words: dict[str, Any] = {"k": 5, "label_words": toy.LABEL_WORDS, "memory": memory}
    template = toy.TEMPLATES["masked"]
    causal = toy.backbone("causal")
    return [
        EarlyExitClassifier(toy.backbone(), budget=0.5, memory=memory, batch_tokens=80),
        RAEEClassifier(toy.backbone(), template, batch_tokens=80, **words),
        RAEEClassifier(causal, toy.TEMPLATES["causal"], readout="ridge", **words),
    ]


def _begun(clf: Any, memory: Any = "process") -> Any:
    """Return a classifier that has seen the first texts."""
    begun = clone(clf).set_params(memory=memory)
    return begun.partial_fit(X[:_FIRST], Y[:_FIRST], classes=CLASSES)


def _goes_on(clf: Any) -> Any:
    return clf.partial_fit(X[_FIRST:], Y[_FIRST:])


def _refits(clf: Any) -> Any:
    return clf.fit(X, Y)


def _predicts(clf: Any) -> Any:
    return clf.predict_proba(X_NEW)


_CALLS = _refits, _goes_on, _predicts


def _is_same(found: Any, expected: Any) -> bool:
    return bool(np.allclose(found, expected, atol=1e-5))


def run_threads(tries: int, seed: int) -> dict[str, Count]:
    """Let 16 threads fit, fit on and predict with shared classifiers."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter({ERRORS: 0, WRONG: 0})
    began = time.monotonic()
    serial = []
    for clf in _classifiers():
        first = _begun(clf)
        before = _predicts(first)
        serial.append((clf, before, _predicts(_goes_on(first))))
    for _ in range(tries):
        clf, before, after = rng.choice(serial)
        shared, start = _begun(clf), threading.Barrier(16)
        with ThreadPoolExecutor(16) as pool:
            done = [
                pool.submit(_in_a_thread, n, start, shared, before, after)
                for n in range(16)
            ]
        for one in done:
            counts[ERRORS] += one.exception() is not None
            counts[WRONG] += one.exception() is None and not one.result()
        counts[WRONG] += not _is_same(_predicts(shared), after)
    return {**counts, "seconds": round(time.monotonic() - began)}


def _in_a_thread(
    n: int, start: threading.Barrier, shared: Any, before: Any, after: Any
) -> bool:
    """Do what the n-th thread does; say whether that is what it is in one thread."""
    start.wait()
    if n == 0:
        return _goes_on(shared) is shared
    if n % 4 == 1:
        return _is_same(_predicts(clone(shared).fit(X[:_FIRST], Y[:_FIRST])), before)
    found = _predicts(shared)
    return _is_same(found, before) or _is_same(found, after)


class _NoMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets memory run out at the operation of this number, or at all from there on.

    Parameters
    ----------
    number : int
    for_good : bool
    kind : callable, optional
        The operation that is counted; all are by default.
    """

    def __init__(self, number: int, for_good: bool, kind: Any = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_left = number
        self.for_good = for_good
        self.kind = kind

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        is_counted = self.kind is None or func is self.kind
        self.n_left -= is_counted
        is_now = self.n_left == 0 and is_counted
        if is_now or (self.for_good and self.n_left <= 0):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate.")
        return func(*args, **(kwargs or {}))


@contextmanager
def _interrupted_at_a_line(number: int, error: type[BaseException]) -> Iterator[None]:
    """Raise an error where so many lines of skraee have run in this thread."""
    left = number

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_globals.get("__name__", "").startswith("skraee"):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise error("injected")
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Press Ctrl-C after so many seconds."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Stopped:
    """Calls that are stopped on their way, and what they leave.

    Parameters
    ----------
    rng : Random
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        names = (ERRORS, WRONG, CHANGED, AMBIENT, STUCK, STOPPED)
        self.counts: Counter[str] = Counter(dict.fromkeys(names, 0))
        self.known = []
        for clf in _classifiers(None):
            first = _begun(clf, MemoryStore())
            before = _predicts(first)
            self.known.append((clf, before, _predicts(_goes_on(first))))

    def try_any(self, stop: Callable[[Any, Call], Any]) -> None:
        """Draw a classifier and a call, and stop it."""
        self.try_one(self.rng.choice(self.known), self.rng.choice(_CALLS), stop)

    def try_one(self, known: Any, call: Call, stop: Callable[[Any, Call], Any]) -> None:
        """Stop a call, look at what it left, and do it again."""
        clf, before, after = known
        clf = _begun(clf, MemoryStore())
        fitted, ambient = clf._fitted, _ambient()
        try:
            with stop(clf, call):
                call(clf)
        except (KeyboardInterrupt, MemoryError, RuntimeError) as error:
            self.counts[STOPPED] += 1
            # Otherwise it was stopped behind its last step.
            expected = before if clf._fitted is fitted else after
            self.counts[CHANGED] += not self._answers(clf, expected)
            if isinstance(error, RuntimeError) and "out of memory" not in str(error):
                self._tell(error)
        except BaseException as error:
            self._tell(error)
        if _ambient() != ambient:
            self.counts[AMBIENT] += 1
            torch.set_grad_enabled(True)
        self._do_again(clf, call, fitted, before, after)

    def _answers(self, clf: Any, expected: Any) -> bool:
        """Whether a classifier answers as expected, and does answer."""
        try:
            return _is_same(_predicts(clf), expected)
        except Exception as error:
            self._tell(error)
            return False

    def _do_again(
        self, clf: Any, call: Call, fitted: Any, before: Any, after: Any
    ) -> None:
        """In another thread, for which locks have to be free."""
        if call is _goes_on and clf._fitted is not fitted:
            call = _predicts  # it has gone on
        found: list[Any] = []

        def again() -> None:
            call(clf)
            found.append(_predicts(clf))

        thread = threading.Thread(target=again, daemon=True)
        thread.start()
        thread.join(120)
        self.counts[STUCK] += thread.is_alive()
        is_before = call is _predicts and clf._fitted is fitted
        if not thread.is_alive():
            expected = before if is_before else after
            self.counts[WRONG] += not (found and _is_same(found[0], expected))

    def _tell(self, error: BaseException) -> None:
        self.counts[ERRORS] += 1
        sys.stderr.write(f"{error!r}\n")


def _ambient() -> tuple[Any, ...]:
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
    )


def lack_memory(tries: int, seed: int) -> dict[str, Count]:
    """Let torch run out of memory at any operation, once or for good."""
    rng = random.Random(seed)
    return _stop_calls(tries, rng, lambda clf, call: _lack(rng, clf, call))


def _lack(rng: random.Random, clf: Any, call: Call) -> Any:
    return _NoMemory(rng.randint(1, _count(clf, call)), rng.random() < 0.5)


def _count(clf: Any, call: Call, kind: Any = None) -> int:
    """Count the operations of a call, or those of a kind."""
    twin = _begun(_without_memory(clf), MemoryStore())
    with _NoMemory(0, for_good=False, kind=kind) as counting:
        call(twin)
    return -int(counting.n_left)


def lack_memory_in_batches(tries: int, seed: int) -> dict[str, Count]:
    """Let torch run out of memory at each look-up of tokens, once and for good."""
    began = time.monotonic()
    look_up = torch.ops.aten.embedding.default
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stopped = _Stopped(random.Random(seed))
        every = [
            (known, call, number, for_good)
            for known in stopped.known
            for call in _CALLS
            for number in range(1, _count(known[0], call, look_up) + 1)
            for for_good in (False, True)
        ]
        stopped.rng.shuffle(every)
        for known, call, number, for_good in every[:tries]:
            lack = _NoMemory(number, for_good, look_up)
            stopped.try_one(known, call, lambda *_, lack=lack: lack)
    counts = {PLACES: min(tries, len(every)), **stopped.counts}
    return {**counts, "seconds": round(time.monotonic() - began)}


def _without_memory(clf: Any) -> Any:
    """Return the same, unfitted, without a store that cannot be cloned."""
    return type(clf)(**clf.get_params(deep=False) | {"memory": None})


def interrupt(tries: int, seed: int) -> dict[str, Count]:
    """Interrupt calls at any line of skraee, or at any moment."""
    rng = random.Random(seed)
    seconds: dict[Any, float] = {}

    def stop(clf: Any, call: Call) -> Any:
        if rng.random() < 0.5:
            error = rng.choice((KeyboardInterrupt, MemoryError))
            return _interrupted_at_a_line(int(10 ** rng.uniform(0.0, 4.3)), error)
        key = type(clf), call
        if key not in seconds:
            twin = _begun(_without_memory(clf), MemoryStore())
            began = time.monotonic()
            call(twin)
            seconds[key] = time.monotonic() - began
        return _interrupted_after(rng.uniform(0.001, seconds[key]))

    return _stop_calls(tries, rng, stop)


def _stop_calls(
    tries: int, rng: random.Random, stop: Callable[[Any, Call], Any]
) -> dict[str, Count]:
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stopped = _Stopped(rng)
        for _ in range(tries):
            stopped.try_any(stop)
    return {**stopped.counts, "seconds": round(time.monotonic() - began)}


# Fits with the store of a folder until it is ended.
_FITS = """
import sys
from benchmarks.trust.pressure import X, Y, _classifiers
print("ready", flush=True)
for clf in _classifiers(sys.argv[1]):
    clf.fit(X, Y)
    print("fitted", flush=True)
"""


def end_fits(tries: int, seed: int) -> dict[str, Count]:
    """End processes that fit with a folder, at any moment; fit with what they left."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter({ERRORS: 0, WRONG: 0, WARNED: 0})
    began = time.monotonic()
    expected = [_predicts(clf.fit(X, Y)) for clf in _classifiers(None)]
    with tempfile.TemporaryDirectory() as folder:
        for n in range(tries):
            kept = Path(folder, str(n))
            _ended(rng, kept)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                for clf, answers in zip(_classifiers(kept), expected, strict=True):
                    try:
                        found = _predicts(clf.fit(X, Y))
                        counts[WRONG] += not _is_same(found, answers)
                    except Exception as error:
                        counts[ERRORS] += 1
                        sys.stderr.write(f"{error!r}\n")
            counts[WARNED] += any("store" in str(w.message) for w in caught)
    return {**counts, "seconds": round(time.monotonic() - began)}


def _ended(rng: random.Random, folder: Path) -> None:
    command = [sys.executable, "-c", _FITS, str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    for _ in range(rng.randint(1, 3)):
        process.stdout.readline()
    time.sleep(rng.uniform(0.0, 1.0))
    process.send_signal(rng.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL]))
    process.wait()
    process.stdout.close()


TRIALS = (
    Trial(
        "threads",
        "16 threads fit and predict while one of them fits on with partial_fit",
        run_threads,
        100,
        none_of=(ERRORS, WRONG),
    ),
    Trial(
        "lack-of-memory",
        "Memory runs out at an operation of fit, partial_fit or predict, once or for "
        "good",
        lack_memory,
        300,
        none_of=(ERRORS, WRONG, CHANGED, AMBIENT, STUCK),
    ),
    Trial(
        "lack-of-memory-in-batches",
        "Memory runs out where a batch of fit, partial_fit or predict looks up its "
        "tokens, in each batch, once and for good",
        lack_memory_in_batches,
        200,  # as many as there are
        none_of=(ERRORS, WRONG, CHANGED, AMBIENT, STUCK),
    ),
    Trial(
        "interrupts",
        "Ctrl-C or a lack of memory at a line of fit, partial_fit or predict; Ctrl-C "
        "at a moment",
        interrupt,
        500,
        none_of=(ERRORS, WRONG, CHANGED, AMBIENT, STUCK),
    ),
    Trial(
        "ended-fits",
        "A process that fits with a folder of `memory` is ended (SIGTERM, SIGINT, "
        "SIGKILL) at a random moment",
        end_fits,
        30,
        none_of=(ERRORS, WRONG, WARNED),
    ),
)
