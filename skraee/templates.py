"""The prompts of the RAEE paper for its eight tasks, and those that a backbone names.

Each task has a template and label words for masked models and another pair for causal
and sequence-to-sequence models (arXiv 2405.15198, appendix). The label words are dicts
from the class names of the public data sets to words; for other names, write your own.
`of_backbone` lists the prompts that a sentence encoder's folder names, as templates.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import MappingProxyType

from skraee.backbone.handle import Backbone, as_backbone


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


def of_backbone(backbone: str | os.PathLike[str] | Backbone) -> dict[str, str]:
    """List the prompts that a sentence encoder's folder names, as templates.

    Encoders that were trained with words before the text, ``query:`` or the name of a
    task, know the text best behind them. None is used unless you give it as `template`.

    Parameters
    ----------
    backbone : str, Path or Backbone
        As a classifier takes it. No weights are read or fetched.

    Returns
    -------
    dict of str to str
        Name -> template with the field ``{text}``; where the folder puts a prompt
        before every text, that one first. Empty where no prompts are named.

    Raises
    ------
    OSError
        If it is a hub's name and the hub does not have it.
    ValueError
        If the folder's list of modules is damaged.

    Examples
    --------
    >>> from skraee import templates, toy
    >>> templates.of_backbone(toy.backbone())
    {}
    """
    prompts = as_backbone(backbone).prompts()
    return {name: f"{_escaped(words)}{{text}}" for name, words in prompts.items()}


def _escaped(words: str) -> str:
    return words.replace("{", "{{").replace("}", "}}")
