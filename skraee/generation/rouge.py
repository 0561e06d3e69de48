"""ROUGE-L of generated texts, by the package rouge-score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


def rouge_l(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Float64Array:
    """Return the ROUGE-L of each text against the reference that it is most like.

    Parameters
    ----------
    texts : sequence of n str
        What was generated.
    references : sequence of n sequences of str
        What it is compared with.

    Returns
    -------
    ndarray of shape (n,)
        The F measure of the longest common subsequence of stems, from 0 to 1.

    Raises
    ------
    ImportError
        If rouge-score is not installed.

    References
    ----------
    Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", ACL workshop on text
    summarization, 2004.
    """
    scorer = rouge_scorer()
    measured = [
        scorer.score_multi(list(several), text)["rougeL"].fmeasure
        for text, several in zip(texts, references, strict=True)
    ]
    return np.array(measured, dtype=np.float64)


def rouge_scorer() -> Any:
    """Return what measures, or say what to install.

    Raises
    ------
    ImportError
        If rouge-score is not installed.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise ImportError(
            "score measures ROUGE-L with the package rouge-score, which is not "
            "installed; run pip install 'skraee[rouge]', or score predict's texts with "
            "a measure of your own (scoring=)."
        ) from error
    return RougeScorer(["rougeL"], use_stemmer=True)
