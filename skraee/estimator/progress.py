"""Progress of long work: a bar for `verbose`, and scikit-learn's callbacks in fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from skraee.engine.batching import OnProgress
from skraee.threads.locks import fork_safe_lock

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # before scikit-learn 1.9, where searches have no callbacks either
    CallbackSupportMixin = type("CallbackSupportMixin", (), {})
    _with_callbacks = None

Method = TypeVar("Method", bound=Callable[..., Any])

# Steps that callbacks are told of. One for each batch would be no share of the whole:
# how many batches there will be is known only in the end.
_STEPS = 100

# What the bar of several calls is told of, while there is one.
_JOINT: ContextVar[OnProgress | None] = ContextVar("joint progress", default=None)


@contextmanager
def progress(title: str, total: int, verbose: int) -> Iterator[OnProgress | None]:
    """Show a bar while texts are worked on.

    Parameters
    ----------
    title : str
        What is going on.
    total : int
        Number of texts.
    verbose : int
        0 shows nothing.

    Yields
    ------
    on_progress : callable or None
        To be told how many more texts are done.
    """
    joint = _JOINT.get()
    if joint is not None or not verbose:
        yield joint
        return
    from tqdm.auto import tqdm  # comes along with transformers

    class Bar(tqdm):
        # tqdm's own lock spans processes: to make it settles for good how this process
        # starts others. Its monitor is a thread that stays.
        _lock = fork_safe_lock()
        monitor_interval = 0

    with Bar(total=total, desc=title, unit="text") as bar:
        yield bar.update


@contextmanager
def joint_progress(title: str, total: int, verbose: int) -> Iterator[None]:
    """Show one bar for all calls in this block, in place of one for each.

    Parameters
    ----------
    title : str
        What is going on.
    total : int
        Number of texts of all calls.
    verbose : int
        0 shows nothing.

    Examples
    --------
    >>> with joint_progress("predict", 3, verbose=0):
    ...     with progress("predict", 2, verbose=0) as on_progress:
    ...         print(on_progress)
    None
    """
    with progress(title, total, verbose) as on_progress:
        token = _JOINT.set(on_progress)
        try:
            yield
        finally:
            _JOINT.reset(token)


def with_callbacks(method: Method) -> Method:
    """Let a method that uses `fit_progress` take down its callbacks, come what may.

    Parameters
    ----------
    method : callable
        ``fit`` or ``partial_fit`` of a `CallbackSupportMixin`.

    Returns
    -------
    callable
    """
    managed: Method = method if _with_callbacks is None else _with_callbacks(method)
    return managed


@contextmanager
def fit_progress(estimator: Any, X: Any, y: Any, total: int) -> Iterator[OnProgress]:
    """Show a bar and tell scikit-learn's callbacks while an estimator is fitted.

    The callbacks see one task, nested in that of a search, with up to 100 equal steps;
    each batch of the sweep ends the steps that its texts complete. A callback's wish
    to stop early is not heard: half a sweep is no database.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        With `verbose`; its attributes must be set when the block ends.
    X, y : object
        As fit was given them; callbacks may ask for them.
    total : int
        Number of texts to sweep.

    Yields
    ------
    on_progress : callable
        To be told how many more texts are done.
    """
    with progress("sweep", total, estimator.verbose) as show:
        steps = _Steps(estimator, X, y, total)

        def on_progress(n_texts: int) -> None:
            if show is not None:
                show(n_texts)
            steps.advance(n_texts)

        steps.begin()
        yield on_progress
        steps.end()


class _Steps:
    """Tells an estimator's callbacks, if it has any, of work in equal steps."""

    def __init__(self, estimator: Any, X: Any, y: Any, total: int) -> None:
        self._told = {"estimator": estimator, "X": X, "y": y}
        self._total = total
        self._n_steps = min(total, _STEPS)
        self._n_texts_done = self._n_steps_done = 0
        self._task: Any = None
        # Without callbacks nothing is written to the estimator, not even for a while.
        if hasattr(estimator, "_skl_callbacks"):
            self._task = estimator._init_callback_context(max_subtasks=self._n_steps)

    def begin(self) -> None:
        if self._task is not None:
            self._task.call_on_fit_task_begin(**self._told)

    def advance(self, n_texts: int) -> None:
        if self._task is None:
            return
        self._n_texts_done += n_texts
        while self._n_steps_done < self._n_steps * self._n_texts_done // self._total:
            step = self._task.subcontext(task_name="sweep")
            step.call_on_fit_task_begin(**self._told)
            step.call_on_fit_task_end(**self._told)
            self._n_steps_done += 1

    def end(self) -> None:
        if self._task is not None:
            self._task.call_on_fit_task_end(**self._told, reconstruction_attributes={})
