"""What the RAEE paper reports (Huang et al., ICLR 2026, arXiv 2405.15198).

Only figures that were read off the paper stand here. Accuracy in per cent, for CoLA the
Matthews correlation x 100, as in its Tables 1, 3 and 4; layers as in its Table 8;
milliseconds per text as in its Table 2; seconds as in its Table 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SOURCE = "https://arxiv.org/abs/2405.15198"
K = 12  # which it finds best


Scores = tuple[float, ...]


@dataclass(frozen=True)
class Reported:
    """One backbone of the paper."""

    title: str
    n_layers: int
    scores: dict[str, Scores]  # method -> Tables 1 and 2, task by task
    exits: dict[str, float]  # method -> Table 8, average
    ms: dict[str, float] = field(default_factory=dict)  # method -> Table 2
    by_k: dict[int, Scores] = field(default_factory=dict)  # Table 3
    by_share: dict[float, Scores] = field(default_factory=dict)  # Table 4
    fit_seconds: dict[str, float] = field(default_factory=dict)  # Table 5, average


RAEE_OF_ROBERTA = (84.63, 33.57, 81.55, 68.05, 78.55, 84.05, 62.40, 14.48)

#: Hub name -> what the paper has of it.
REPORTED = {
    "FacebookAI/roberta-large": Reported(
        "RoBERTa-large",
        24,
        {
            "full": (83.60, 34.98, 80.80, 79.55, 67.60, 51.45, 32.40, 2.03),
            "deebert": (52.29, 18.05, 50.60, 50.00, 75.95, 80.85, 16.20, 0.00),
            "adainfer-gold": (50.92, 24.48, 50.00, 50.00, 60.90, 50.85, 22.60, -1.62),
            "raee": RAEE_OF_ROBERTA,
        },
        {"full": 24, "raee": 15.33},
        by_k={
            2: (79.82, 32.99, 76.40, 68.40, 77.55, 81.75, 61.00, 7.89),
            4: (82.22, 33.17, 79.20, 68.05, 78.65, 83.60, 63.60, 14.74),
            8: (84.52, 34.12, 80.70, 68.05, 78.90, 84.20, 63.20, 12.19),
            12: RAEE_OF_ROBERTA,
            16: (84.98, 32.17, 82.05, 69.00, 77.90, 84.00, 62.60, 13.00),
            20: (85.44, 32.26, 81.80, 68.95, 78.05, 83.50, 62.40, 12.40),
        },
        by_share={
            0.2: (84.63, 31.76, 82.80, 65.85, 75.70, 81.00, 58.80, 8.77),
            0.5: (83.37, 32.85, 80.65, 66.95, 77.90, 83.60, 61.20, 11.73),
            1.0: RAEE_OF_ROBERTA,
        },
        fit_seconds={"raee": 92.14, "hashee": 9.38, "adainfer-gold": 101.45},
    ),
    "fnlp/elasticbert-large": Reported(
        "ElasticBERT-large",
        24,
        {
            "full": (51.15, 22.35, 49.25, 48.65, 48.05, 48.85, 17.60, 0.11),
            "hashee": (49.08, 14.16, 49.95, 50.05, 50.00, 50.00, 27.00, 0.00),
        },
        {},
    ),
    "google-t5/t5-large": Reported(
        "T5-large",
        48,
        {
            "full": (49.31, 23.12, 50.40, 50.90, 45.40, 52.75, 27.60, -4.64),
            "calm-vocab": (51.72, 23.17, 49.25, 50.55, 49.80, 49.90, 18.00, 0.00),
            "adainfer-gold": (50.11, 28.14, 50.35, 49.80, 46.30, 49.95, 26.00, 5.22),
            "raee": (52.98, 26.56, 50.80, 51.60, 55.65, 49.90, 39.80, 12.20),
        },
        {"full": 48, "raee": 21.59},
    ),
    "meta-llama/Meta-Llama-3-8B": Reported(
        "Llama-3-8B",
        32,
        {
            "full": (62.84, 26.06, 59.65, 72.90, 51.75, 52.80, 8.40, 0.00),
            "sleb": (54.01, 21.09, 51.10, 49.45, 55.65, 49.95, 14.00, 0.92),
            "adainfer-gold": (53.21, 18.05, 53.50, 50.00, 49.95, 47.55, 16.20, 0.00),
            "raee-without": (60.55, 24.52, 57.30, 53.55, 56.65, 81.70, 20.80, 0.00),
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
            "sleb": (50.69, 19.82, 49.95, 49.95, 50.00, 52.10, 12.80, 0.00),
            "adainfer-gold": (50.92, 12.62, 50.00, 50.00, 50.00, 50.60, 22.60, 0.00),
            "raee": (73.17, 32.40, 66.75, 56.75, 75.60, 90.15, 40.00, 10.46),
        },
        {"full": 28, "raee": 11.05},
    ),
}
