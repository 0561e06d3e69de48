"""The answers to a long table, part after part, with one bar for all of them.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from skraee.cli.streams import tell
from skraee.text.long_tables import LongTable
from skraee.text.tables import Table

if TYPE_CHECKING:
    from skraee.cli.model_files import AnyClassifier

# Texts that are read at a time. A multiple of what the classifiers work on at a time,
# so that the batches are those of one call, and so many that lengths go well together.
PART = 8_192

Row = list[Any]


class Answers:
    """What a classifier makes of the texts of a table.

    Parameters
    ----------
    clf : classifier
        Fitted.
    table : LongTable
    fields : sequence of str
        Of its template.
    columns : sequence of str or None
        As `Table.texts` takes them.
    """

    def __init__(
        self,
        clf: AnyClassifier,
        table: LongTable,
        fields: Sequence[str],
        columns: Sequence[str] | None,
    ) -> None:
        self._clf = clf
        self._table = table
        self._fields = fields
        self._columns = columns
        self._layers_run = 0

    def check_texts(self) -> None:
        """Refuse a table that lacks a column or a text, before any is answered.

        Raises
        ------
        ValueError
            With the line, where a cell is no text.
        """
        self._texts(self._table.head)
        if self._table.head.format not in ("csv", "tsv"):  # of these all cells are text
            for part in self._table.parts(PART):
                self._texts(part)

    @contextmanager
    def rows(self, verbose: int, *, at_once: bool) -> Iterator[Iterable[Row]]:
        """Give the rows of the table with label, exit and probability behind them.

        Parameters
        ----------
        verbose : int
            0 shows no bar.
        at_once : bool
            Whether the rows are printed where the bar is: they then come behind it, if
            they are few, or for a terminal.

        Yields
        ------
        iterable of list
        """
        from skraee.estimator.progress import joint_progress

        n_rows = self._table.n_rows
        bar = joint_progress("predict", n_rows, verbose if n_rows else 0)
        if at_once and (n_rows <= PART or sys.stdout.isatty()):
            with bar:
                answered = list(self._answered())
            yield answered
        else:
            with bar:
                yield self._answered()

    def mean_exit(self) -> str:
        """Say at which layer texts stopped in the mean; nothing of no texts."""
        if not self._table.n_rows:
            return ""
        mean = self._layers_run / self._table.n_rows
        return f", mean exit layer {mean:.1f} of {self._clf.n_layers_}"

    def _texts(self, part: Table) -> Any:
        return part.texts(self._fields, self._columns)

    def _answered(self) -> Iterator[Row]:
        with _one_warning_of_each_kind() as told_of:
            for part in self._table.parts(PART):
                if self._table.n_rows > PART:
                    told_of(f"lines {part.lines[0]} to {part.lines[-1]}: ")
                for cells, more in zip(part.rows, self._of(part), strict=True):
                    yield [*cells, *more]

    def _of(self, part: Table) -> list[tuple[Any, ...]]:
        """Return label, exit and probability for each text."""
        texts, clf = self._texts(part), self._clf
        proba, exits = clf.predict_proba(texts, return_exit_layers=True)
        self._layers_run += int(exits.sum())
        labels = clf.classes_[proba.argmax(axis=1)].tolist()
        best = [round(p, 4) for p in proba.max(axis=1).astype(float).tolist()]
        return list(zip(labels, exits.tolist(), best, strict=True))


class _Told:
    """Shows the first warning of each kind, with the part that it is of."""

    def __init__(self) -> None:
        self.counts: Counter[type[Warning]] = Counter()
        self._show = warnings.showwarning
        self._part = ""

    def __call__(self, part: str) -> None:
        self._part = part

    def show(
        self, message: Any, category: type[Warning], *place: Any, **more: Any
    ) -> None:
        self.counts[category] += 1
        if self.counts[category] == 1:
            self._show(f"{self._part}{message}", category, *place, **more)


@contextmanager
def _one_warning_of_each_kind() -> Iterator[_Told]:
    """Show no more than one warning of each kind, and count the others.

    Yields
    ------
    callable
        To be told which part the next warnings are of.
    """
    told, before = _Told(), warnings.showwarning
    warnings.showwarning = told.show
    try:
        yield told
    finally:
        warnings.showwarning = before
    for category, count in told.counts.items():
        if count > 1:
            tell(f"warning: {count - 1} more like that ({category.__name__}) later on")
