"""Templates and label words: the paper's, a backbone's own, and suggestions.

`MASKED` and `CAUSAL` are the prompts of the RAEE paper for its eight tasks, the latter
for sequence-to-sequence models too. `of_backbone` lists the prompts that a sentence
encoder's folder names, as templates. `suggest` offers a few for classes of your own,
with words that the backbone's tokenizer has as one token.
"""

from skraee.templates.prompts import CAUSAL, MASKED, TaskPrompt
from skraee.templates.sentence_prompts import of_backbone
from skraee.templates.suggestions import (
    SuggestedPrompt,
    Suggestions,
    suggest,
)
from skraee.templates.words import WordOfClass

__all__ = [
    "CAUSAL",
    "MASKED",
    "SuggestedPrompt",
    "Suggestions",
    "TaskPrompt",
    "WordOfClass",
    "of_backbone",
    "suggest",
]
