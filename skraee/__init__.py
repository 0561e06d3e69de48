"""Text classifiers for scikit-learn over frozen language models that stop early.

>>> from skraee import RAEEClassifier, toy
>>> texts, labels = toy.reviews(40)
>>> clf = RAEEClassifier(toy.backbone(), "{text} it was {mask}.",
...                      label_words=toy.LABEL_WORDS).fit(texts, labels)
>>> clf.predict(["a lovely film"])
array(['positive'], dtype='<U8')
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skraee import templates, toy
    from skraee.backbone.handle import Backbone
    from skraee.backbone.registry import clear_backbones
    from skraee.classifier import RAEEClassifier
    from skraee.classifier_cv import RAEEClassifierCV
    from skraee.early_exit import EarlyExitClassifier
    from skraee.generator import RAEEGenerator
    from skraee.retrieval.encoder import Encoder
    from skraee.sweep.layer_sweep import LayerSweep
    from skraee.sweep.memory import clear_sweeps
    from skraee.text.template import Template
    from skraee.versions import show_versions

__version__ = "0.1.0"

__all__ = [
    "Backbone",
    "EarlyExitClassifier",
    "Encoder",
    "LayerSweep",
    "RAEEClassifier",
    "RAEEClassifierCV",
    "RAEEGenerator",
    "Template",
    "clear_backbones",
    "clear_sweeps",
    "show_versions",
    "templates",
    "toy",
]

# Name -> its module. They are imported when first asked for, so that the command line
# answers at once and does not wait for torch.
_HOMES = {
    "Backbone": "skraee.backbone.handle",
    "EarlyExitClassifier": "skraee.early_exit",
    "Encoder": "skraee.retrieval.encoder",
    "LayerSweep": "skraee.sweep.layer_sweep",
    "RAEEClassifier": "skraee.classifier",
    "RAEEClassifierCV": "skraee.classifier_cv",
    "RAEEGenerator": "skraee.generator",
    "Template": "skraee.text.template",
    "clear_backbones": "skraee.backbone.registry",
    "clear_sweeps": "skraee.sweep.memory",
    "show_versions": "skraee.versions",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in __all__:
        value = import_module(f"skraee.{name}")
    else:
        raise AttributeError(f"module 'skraee' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
