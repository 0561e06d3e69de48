"""``skraee fit``: a classifier from a table of labelled texts.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from skraee.cli.command import Command
from skraee.cli.fit_options import FIT, OF_CONFIDENCE, OF_RETRIEVAL
from skraee.cli.model_files import read_key, refuse_table_name, write_model
from skraee.cli.streams import is_quiet, say, say_json, size_of, verbosity
from skraee.files.replacing import check_writable
from skraee.text.tables import read_table

if TYPE_CHECKING:
    from skraee.cli.model_files import Classifier

# Options that both kinds of classifier have.
_SHARED = (
    *("budget", "class_weight", "min_exit", "max_length", "long_texts"),
    *("device", "dtype", "memory"),
)


def _fit(arguments: argparse.Namespace) -> None:
    check_writable(arguments.output, streams=False)
    refuse_table_name(arguments.output)
    key = read_key(arguments.key_file, arguments.output)

    from skraee.text.template import Template

    arguments.template = _template(arguments)
    fields = Template(arguments.template).fields
    table = read_table(arguments.train, arguments.separator, arguments.format)
    texts = table.texts(fields, arguments.text_column)
    labels = table.labels(arguments.label_column)

    clf = _classifier(arguments)
    start = time.perf_counter()
    clf.fit(texts, labels)
    seconds = time.perf_counter() - start
    # The file may go elsewhere, where the folder is not; nor are there always bars.
    write_model(clf.set_params(memory="process", verbose=0), arguments.output, key)
    found = {
        **_summary(clf, labels, seconds),
        "file": str(arguments.output),
        "file_bytes": arguments.output.stat().st_size,
    }
    if arguments.json:
        say_json(found)
    elif not is_quiet(arguments):
        say(_as_text(found))


def _template(arguments: argparse.Namespace) -> str:
    """Return the prompt; where label words are read there must be one."""
    if arguments.template is not None:
        return str(arguments.template)
    if arguments.exit_by == "retrieval" and arguments.readout != "ridge":
        raise ValueError(
            "--exit-by retrieval reads label words and needs a prompt for them, got no "
            "--template; give one such as '{text} It was {mask}.', or --exit-by "
            "confidence, which needs none."
        )
    return "{text}"


def _classifier(arguments: argparse.Namespace) -> Classifier:
    """Return the classifier that the options ask for."""
    shared = {name: getattr(arguments, name) for name in _SHARED}
    given: dict[str, Any] = {k: v for k, v in shared.items() if v is not None}
    given |= {"verbose": verbosity(arguments), **_own_options(arguments)}
    named = arguments.backbone, arguments.template
    if arguments.exit_by == "confidence":
        from skraee.early_exit import EarlyExitClassifier

        return EarlyExitClassifier(*named, **given)
    from skraee.classifier import RAEEClassifier

    return RAEEClassifier(*named, **given, random_state=0)


def _own_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of one kind of exit; refuse those of the other."""
    if arguments.exit_by == "confidence" and arguments.readout == "ridge":
        arguments.readout = None  # it has no other
    own = OF_CONFIDENCE if arguments.exit_by == "confidence" else OF_RETRIEVAL
    others = (OF_CONFIDENCE | OF_RETRIEVAL) - own
    if strange := [n for n in sorted(others) if getattr(arguments, n) is not None]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise ValueError(
            f"with --exit-by {arguments.exit_by} there is no use for {options}; leave "
            "it out, or choose the other --exit-by."
        )
    given = {name: value for name, value in vars(arguments).items() if name in own}
    return {name: value for name, value in given.items() if value is not None}


def _summary(clf: Classifier, labels: list[Any], seconds: float) -> dict[str, Any]:
    classes = clf.classes_.tolist()
    best = int(clf.layer_scores_.argmax())
    return {
        "n_texts": len(labels),
        "seconds": round(seconds, 3),
        "classes": {str(name): labels.count(name) for name in classes},
        "n_layers": clf.n_layers_,
        "full_depth_accuracy": float(clf.layer_scores_[-1]),
        "best_layer": best,
        "best_layer_accuracy": float(clf.layer_scores_[best]),
    }


def _as_text(found: dict[str, Any]) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in found["classes"].items())
    return "\n".join(
        [
            f"fitted on {found['n_texts']} texts in {found['seconds']:.1f} s: {counts}",
            "accuracy of single layers on these texts, each left out: "
            f"{found['full_depth_accuracy']:.3f} at full depth ({found['n_layers']}), "
            f"{found['best_layer_accuracy']:.3f} at the best ({found['best_layer']})",
            f"wrote {found['file']} ({size_of(found['file_bytes'])})",
        ]
    )


COMMAND = Command(
    "fit", "fit a classifier on a table of labelled texts", run=_fit, options=FIT
)
