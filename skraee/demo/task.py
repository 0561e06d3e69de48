"""What the demo works on: texts to fit and to test, and a prompt for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from skraee import templates
from skraee.templates import TaskPrompt
from skraee.text.tables import Table, read_table
from skraee.text.template import Template

REVIEWS = Path(__file__).parent / "data" / "reviews.csv"

_SEED = 0


@dataclass(frozen=True)
class Labelled:
    """Texts with their labels.

    Attributes
    ----------
    texts : list of n str
    labels : ndarray of shape (n,), str
    groups : ndarray of shape (n,), str
        What accuracy is also shown by.
    """

    texts: list[str]
    labels: npt.NDArray[Any]
    groups: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: npt.NDArray[np.integer]) -> Self:
        """Return some of the texts.

        Parameters
        ----------
        rows : ndarray of int
        """
        texts = [self.texts[i] for i in rows]
        return type(self)(texts, self.labels[rows], self.groups[rows])


@dataclass(frozen=True)
class Task:
    """Texts to fit and to test, and a prompt.

    Attributes
    ----------
    title : str
        What the texts are.
    prompt : TaskPrompt
    fit, test : Labelled
    grouped_by : str
        What the groups are.
    """

    title: str
    prompt: TaskPrompt
    fit: Labelled
    test: Labelled
    grouped_by: str


def shipped_task() -> Task:
    """Return the synthetic reviews written for this project, with their own split.

    Returns
    -------
    Task
        400 texts to fit and 200 to test, in four domains.

    Examples
    --------
    >>> from skraee import demo
    >>> task = demo.shipped_task()
    >>> len(task.fit), len(task.test)
    (400, 200)
    """
    table = read_table(REVIEWS)
    whole = Labelled(
        table.column("text"),
        np.array(table.column("label")),
        np.array(table.column("domain")),
    )
    is_test = np.array(table.column("split")) == "test"
    return Task(
        "synthetic reviews written for this project",
        templates.CAUSAL["sst2"],
        whole.take(np.flatnonzero(~is_test)),
        whole.take(np.flatnonzero(is_test)),
        grouped_by="domain",
    )


def task_from(
    table: Table,
    *,
    text_column: str | None = None,
    label_column: str = "label",
    label_words: Mapping[str, str] | None = None,
    template: str | None = None,
) -> Task:
    """Make a task of a user's table: a fifth of it, stratified, is kept for testing.

    Parameters
    ----------
    table : Table
    text_column : str, optional
        By default the one that the template's field is named after.
    label_column : str, default="label"
    label_words : dict, optional
        Class -> word; the class names by default.
    template : str, optional
        By default a question that names the words.

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        If a column is missing, a row has no label, a class has too few texts to be
        split, or the template has several fields.
    """
    names = table.labels(label_column)
    words = dict(label_words or {name: name for name in sorted(set(names))})
    prompt = TaskPrompt(template or _question(list(words.values())), words)
    field = _only_field(prompt.template)
    texts = table.column(text_column or field, "name the right one with --text-column")
    labels = np.array(names)
    whole = Labelled(texts, labels, labels)
    try:
        fit, test = train_test_split(
            np.arange(len(whole)), test_size=0.2, stratify=labels, random_state=_SEED
        )
    except ValueError as error:
        raise ValueError(
            f"{table.path} cannot be split into texts to fit and to test ({error}); "
            "give at least two texts of each class, and more than a few in all."
        ) from error
    title = f"texts of {table.path}"
    return Task(title, prompt, whole.take(fit), whole.take(test), grouped_by="class")


def _only_field(template: str) -> str:
    fields = Template(template).fields
    if len(fields) > 1:
        raise ValueError(
            f"the demo takes a template with one field, got {list(fields)}; for "
            "several there is skraee fit."
        )
    return fields[0]


def _question(words: Sequence[str]) -> str:
    """Ask for one of the words, as the paper's prompts do."""
    named = " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    named = named.replace("{", "{{").replace("}", "}}")
    return f"What is the category of the text {{text}} ? Print {named}. The answer is"
