"""What the RAEE paper reports (Huang et al., ICLR 2026, arXiv 2405.15198).

Only figures that were read off the paper stand here. Accuracy in per cent, for CoLA the
Matthews correlation x 100, as in its Table 1; layers as in its Table 8; milliseconds
per text as in its Table 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SOURCE = "https://arxiv.org/abs/2405.15198"
K = 12  # which it finds best


@dataclass(frozen=True)
class Reported:
    """One backbone of the paper."""

    title: str
    n_layers: int
    scores: dict[str, tuple[float, ...]]  # method -> Table 1, task by task
    exits: dict[str, float]  # method -> Table 8, average
    ms: dict[str, float] = field(default_factory=dict)  # method -> Table 2


#: Hub name -> what the paper has of it.
REPORTED = {
    "FacebookAI/roberta-large": Reported(
        "RoBERTa-large",
        24,
        {
            "full": (83.60, 34.98, 80.80, 79.55, 67.60, 51.45, 32.40, 2.03),
            "raee": (84.63, 33.57, 81.55, 68.05, 78.55, 84.05, 62.40, 14.48),
        },
        {"full": 24, "raee": 15.33},
    ),
    "google-t5/t5-large": Reported(
        "T5-large",
        48,
        {
            "full": (49.31, 23.12, 50.40, 50.90, 45.40, 52.75, 27.60, -4.64),
            "raee": (52.98, 26.56, 50.80, 51.60, 55.65, 49.90, 39.80, 12.20),
        },
        {"full": 48, "raee": 21.59},
    ),
    "meta-llama/Meta-Llama-3-8B": Reported(
        "Llama-3-8B",
        32,
        {
            "full": (62.84, 26.06, 59.65, 72.90, 51.75, 52.80, 8.40, 0.00),
            "raee": (73.05, 35.25, 66.45, 57.95, 75.05, 90.05, 51.80, 9.55),
        },
        {"full": 32, "raee": 13.43},
        {"full": 122.04, "raee": 57.58, "raee-without": 64.33},
    ),
    "google/gemma-7b": Reported(
        "Gemma-7B",
        28,
        {
            "full": (49.08, 28.64, 50.05, 50.10, 50.00, 48.05, 14.40, -0.79),
            "raee": (73.17, 32.40, 66.75, 56.75, 75.60, 90.15, 40.00, 10.46),
        },
        {"full": 28, "raee": 11.05},
    ),
}
