"""Retrieval-augmented early exit for text classification, as a scikit-learn estimator.

>>> from skraee import RAEEClassifier, toy
>>> texts, labels = toy.reviews(40)
>>> clf = RAEEClassifier(toy.backbone(), "{text} it was {mask}.",
...                      label_words=toy.LABEL_WORDS).fit(texts, labels)
>>> clf.predict(["a lovely film"])
array(['positive'], dtype='<U8')
"""

from skraee import templates, toy
from skraee.backbone.encoder import Encoder
from skraee.backbone.handle import Backbone, clear_backbones
from skraee.classifier import RAEEClassifier
from skraee.sweep import LayerSweep
from skraee.text.template import Template
from skraee.versions import show_versions

__version__ = "0.1.0"

__all__ = [
    "Backbone",
    "Encoder",
    "LayerSweep",
    "RAEEClassifier",
    "Template",
    "clear_backbones",
    "show_versions",
    "templates",
    "toy",
]
