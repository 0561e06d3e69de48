"""Progress of long work, shown when the user asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(
    title: str, total: int, verbose: int
) -> Iterator[Callable[[int], None] | None]:
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
    advance : callable or None
        To be told how many more texts are done.
    """
    if not verbose:
        yield None
        return
    from tqdm.auto import tqdm  # comes along with transformers

    with tqdm(total=total, desc=title, unit="text") as bar:
        yield bar.update
