"""The prompts of the RAEE paper for its eight tasks.

Each task has a template and label words for masked models and another pair for causal
and sequence-to-sequence models (arXiv 2405.15198, appendix). Two of the masked ones,
of Subj and CoLA, stand here with "This is" as in LM-BFF, whose prompts they are; the
paper's table prints "It was". The label words are dicts from the class names of the
public data sets to words.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class TaskPrompt:
    """A template and its label words.

    Attributes
    ----------
    template : str
        The prompt, with its fields.
    label_words : dict of class name to word
        What the model says for each class.
    """

    template: str
    label_words: dict[str, str]


_QUESTION = "What is the sentiment of the sentence {text} ? Print"
_SENTIMENT = "{text} It was {mask}."
_SUBJECTIVITY = {"subjective": "subjective", "objective": "objective"}


def _binary(negative: str, positive: str) -> dict[str, str]:
    return {"negative": negative, "positive": positive}


def _five(words: str) -> dict[str, str]:
    names = ["very negative", "negative", "neutral", "positive", "very positive"]
    return dict(zip(names, words.split(), strict=True))


_MASKED_BINARY = TaskPrompt(_SENTIMENT, _binary("terrible", "great"))
_CAUSAL_BINARY = TaskPrompt(
    f"{_QUESTION} negative or positive. The answer is",
    _binary("negative", "positive"),
)
_FIVE = _five("terrible bad okay good great")

#: Task -> prompt for masked models.
MASKED = MappingProxyType(
    {
        **dict.fromkeys(("sst2", "mr", "cr", "mpqa"), _MASKED_BINARY),
        "sst5": TaskPrompt(_SENTIMENT, _FIVE),
        "subj": TaskPrompt("{text} This is {mask}.", _SUBJECTIVITY),
        "trec": TaskPrompt(
            "{mask}: {text}",
            {
                "description": "Description",
                "entity": "Entity",
                "abbreviation": "Expression",
                "human": "Human",
                "location": "Location",
                "number": "Number",
            },
        ),
        "cola": TaskPrompt(
            "{text} This is {mask}.",
            {"unacceptable": "incorrect", "acceptable": "correct"},
        ),
    }
)

#: Task -> prompt for causal and sequence-to-sequence models.
CAUSAL = MappingProxyType(
    {
        **dict.fromkeys(("sst2", "mr", "cr", "mpqa"), _CAUSAL_BINARY),
        "sst5": TaskPrompt(
            f"{_QUESTION} terrible, bad, okay, good or great. The answer is", _FIVE
        ),
        "subj": TaskPrompt(
            "What is the subjectivity of the sentence {text} ? Print subjective or "
            "objective. The answer is",
            _SUBJECTIVITY,
        ),
        "trec": TaskPrompt(
            "Print the category for the sentence {text} : description, entity, "
            "expression, person, location or quantity. The answer is",
            {
                "description": "description",
                "entity": "entity",
                "abbreviation": "expression",
                "human": "person",
                "location": "location",
                "number": "quantity",
            },
        ),
        "cola": TaskPrompt(
            "Is the sentence {text} grammatically acceptable? Print no or yes. The "
            "answer is",
            {"unacceptable": "no", "acceptable": "yes"},
        ),
    }
)
