"""Fitted classifiers where models are shared: folders of the Hugging Face hub, MLflow.

What is shared is the ``.skraee`` file, which holds no code and no weights, beside what
says of it: a card, a signature. MLflow is the extra `mlflow`; folders need nothing.
"""

from skraee.sharing.folder import load_from_folder, save_to_folder

__all__ = ["load_from_folder", "save_to_folder"]
