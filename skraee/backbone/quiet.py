"""Keeps what transformers prints while it loads away from the user's terminal."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skraee.threads.locks import fork_safe_lock

_one_at_a_time = fork_safe_lock()

# What is lacking, and that a head is (every checkpoint of a sentence encoder).
_REPORTS = ("LOAD REPORT", "This checkpoint seem corrupted. The tied weights mapping")


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Drop this thread's loading bars and loading reports, and nothing else.

    What a report says of missing weights becomes an error elsewhere. Verbosity and
    progress bars of transformers stay as the user has set them, and other threads
    go on printing.
    """
    from transformers.utils import logging as library

    thread = threading.get_ident()

    def is_wanted(record: logging.LogRecord) -> bool:
        said = record.getMessage()
        return record.thread != thread or not any(part in said for part in _REPORTS)

    def make_bar(
        factory: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if threading.get_ident() == thread:
            # Even a bar of tqdm that is disabled makes a lock, which settles how this
            # process starts others.
            return library.EmptyTqdm(*args, **options)
        if previous is not None:
            return previous(factory, args, options)
        return factory(*args, **options)

    previous: Any = None
    logger = logging.getLogger("transformers.modeling_utils")
    with _one_at_a_time:
        try:
            previous = library.set_tqdm_hook(make_bar)
            logger.addFilter(is_wanted)
            yield
        finally:
            logger.removeFilter(is_wanted)
            library.set_tqdm_hook(previous)
