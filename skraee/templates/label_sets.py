"""Label sets that are known by their names: words for the classes, and questions.

Small on purpose: where a class is none of these, its own name is all that there is to
try. The words of the first two sets are those of the RAEE paper and of LM-BFF (Gao et
al., ACL 2021), of which the first that a tokenizer has as one token is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelSet:
    """Classes that belong together.

    Attributes
    ----------
    name : str
        What they are about.
    words : dict of str to tuple of str
        Class -> words that could stand for it, the likeliest first.
    masked : tuple of str
        Templates for masked models.
    question : str
        For causal models; ``{options}`` stands for the words.
    """

    name: str
    words: dict[str, tuple[str, ...]]
    masked: tuple[str, ...]
    question: str


_SENTIMENT = ("{text} It was {mask}.", "{text} All in all, it was {mask}.")
_FEELING = (
    "What is the sentiment of the sentence {text} ? Print {options}. The answer is"
)
_TOPIC = ("{mask}: {text}", "{text} This is about {mask}.")

LABEL_SETS = (
    LabelSet(
        "sentiment",
        {
            "very negative": ("terrible", "awful", "horrible"),
            "negative": ("bad", "terrible", "negative"),
            "neutral": ("okay", "fine", "neutral"),
            "positive": ("good", "great", "positive"),
            "very positive": ("great", "excellent", "perfect"),
        },
        _SENTIMENT,
        _FEELING,
    ),
    LabelSet(
        "sentiment",
        {
            "negative": ("terrible", "bad", "negative"),
            "neutral": ("okay", "fine", "neutral"),
            "positive": ("great", "good", "positive"),
        },
        _SENTIMENT,
        _FEELING,
    ),
    LabelSet(
        "yes or no",
        {"no": ("no", "No", "false"), "yes": ("yes", "Yes", "true")},
        ("{text}? {mask}.", "{text} {mask}."),
        "{text} Print {options}. The answer is",
    ),
    LabelSet(
        "subjectivity",
        {"objective": ("objective", "fact"), "subjective": ("subjective", "opinion")},
        ("{text} This is {mask}.", "{text} It was {mask}."),
        "What is the subjectivity of the sentence {text} ? Print {options}. "
        "The answer is",
    ),
    LabelSet(
        "grammar",
        {
            "unacceptable": ("incorrect", "wrong", "no"),
            "acceptable": ("correct", "right", "yes"),
        },
        ("{text} This is {mask}.", "{text} It was {mask}."),
        "Is the grammar of the sentence {text} right? Print {options}. The answer is",
    ),
    LabelSet(
        "spam",
        {
            "ham": ("normal", "personal", "real"),
            "not spam": ("normal", "personal", "real"),
            "spam": ("spam", "advertising", "junk"),
        },
        ("{text} This is {mask}.", "{mask}: {text}"),
        "What kind of message is {text} ? Print {options}. The answer is",
    ),
    LabelSet(
        "emotion",
        {
            "anger": ("angry", "anger", "mad"),
            "fear": ("afraid", "scared", "fear"),
            "joy": ("happy", "joy", "glad"),
            "love": ("love", "loving", "romantic"),
            "sadness": ("sad", "unhappy", "sorrow"),
            "surprise": ("surprised", "surprise", "amazed"),
        },
        ("{text} I feel {mask}.", "{text} It was {mask}."),
        "What is the emotion of the sentence {text} ? Print {options}. The answer is",
    ),
    LabelSet(
        "topic",
        {
            "business": ("business", "economy", "money"),
            "entertainment": ("entertainment", "film", "music"),
            "health": ("health", "medicine"),
            "politics": ("politics", "government"),
            "sci/tech": ("technology", "science"),
            "science": ("science", "research"),
            "sport": ("sports", "sport"),
            "sports": ("sports", "sport"),
            "tech": ("technology", "computers"),
            "technology": ("technology", "computers"),
            "travel": ("travel", "tourism"),
            "world": ("world", "international"),
        },
        _TOPIC,
        "What is the topic of the text {text} ? Print {options}. The answer is",
    ),
)

OTHER = LabelSet(
    "unknown",
    {},
    ("{mask}: {text}", "{text} It was {mask}.", "{text} This is about {mask}."),
    "Print the category for the text {text} : {options}. The answer is",
)


def label_set_of(names: Sequence[str]) -> LabelSet:
    """Return the set that has all these classes, whatever their case; else `OTHER`.

    Parameters
    ----------
    names : sequence of str
        Of the classes.

    Returns
    -------
    LabelSet
        Of several the smallest.
    """
    wanted = {name.strip().lower() for name in names}
    fitting = [known for known in LABEL_SETS if wanted <= known.words.keys()]
    return min(fitting, key=lambda known: len(known.words), default=OTHER)
