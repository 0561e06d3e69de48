"""SetFit: a peer that does train its language model, for accuracy.py.

It needs `pip install setfit 'datasets<5'` (SetFit 1.2.0 cannot make its pairs with
datasets 5.2.0), which nothing else here does.
"""

from __future__ import annotations

import time

import numpy as np
from common import backbone_folder

# Pairs of each text: SetFit's default makes all pairs, 4 million of 2,000 texts.
PAIRS = 1


def fitted_set_fit(
    texts: list[str], labels: np.ndarray, seed: int, encoder: str
) -> tuple[object, float]:
    """Train a sentence encoder on pairs of texts, and a head on its vectors.

    Returns
    -------
    model : SetFitModel
        Its `predict` takes texts.
    seconds : float
        That its training took.
    """
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    classes = sorted(set(labels.tolist()))
    model = SetFitModel.from_pretrained(str(backbone_folder(encoder)), labels=classes)
    arguments = TrainingArguments(
        batch_size=16,
        num_epochs=1,
        num_iterations=PAIRS,
        seed=seed,
        report_to="none",
        save_strategy="no",
        show_progress_bar=False,
    )
    table = Dataset.from_dict({"text": texts, "label": labels.tolist()})
    start = time.perf_counter()
    Trainer(model=model, args=arguments, train_dataset=table).train()
    return model, time.perf_counter() - start
