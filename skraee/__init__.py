"""Retrieval-augmented early exit for text classification, as a scikit-learn estimator."""

__version__ = "0.1.0"
