"""Other ways to save layers, for comparison: one class for each published system.

They take the same backbones, prompts and engine as :class:`skraee.RAEEClassifier`, and
each truly skips what it claims to skip. None of them retrieves anything.

============================ ======================================== ===============
class                        what ends or shortens a text's pass      what fit learns
============================ ======================================== ===============
:class:`FullDepthClassifier` nothing                                  nothing
:class:`DeeBERTClassifier`   a trained ramp with little entropy       ramps, by
                                                                      gradients
:class:`AdaInferClassifier`  a support vector machine on two features that machine
:class:`CALMClassifier`      a confidence that reaches a threshold    nothing, or the
                                                                      threshold
:class:`HashEEClassifier`    each token's own number of layers        that number
:class:`SLEBClassifier`      blocks that are left out for all texts   which blocks
============================ ======================================== ===============
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skraee.baselines.adainfer import AdaInferClassifier
    from skraee.baselines.calm.classifier import CALMClassifier
    from skraee.baselines.deebert.classifier import DeeBERTClassifier
    from skraee.baselines.full_depth import FullDepthClassifier
    from skraee.baselines.hashee.classifier import HashEEClassifier
    from skraee.baselines.sleb.classifier import SLEBClassifier

__all__ = [
    "AdaInferClassifier",
    "CALMClassifier",
    "DeeBERTClassifier",
    "FullDepthClassifier",
    "HashEEClassifier",
    "SLEBClassifier",
]

_HOMES = {
    "AdaInferClassifier": "adainfer",
    "CALMClassifier": "calm.classifier",
    "DeeBERTClassifier": "deebert.classifier",
    "FullDepthClassifier": "full_depth",
    "HashEEClassifier": "hashee.classifier",
    "SLEBClassifier": "sleb.classifier",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'skraee.baselines' has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
