"""The command ``skraee``: demo, fit, predict, backbones and versions.

Everything heavy is imported inside the commands, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from skraee.cli.arguments import OF_CONFIDENCE, OF_RETRIEVAL, parser
from skraee.cli.backbones import report_on
from skraee.cli.model_files import read_key, read_model, write_model
from skraee.files.replacing import check_writable
from skraee.text.tables import Table, read_table, write_table

if TYPE_CHECKING:
    from skraee.cli.model_files import Classifier

# Errors that are told in one line: something of the user's does not fit.
_TOLD = (ImportError, OSError, ValueError, MemoryError)

# What predict adds to the columns of its input.
_ANSWERS = ("label", "exit_layer", "probability")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        What follows ``skraee``; that of the process by default.

    Returns
    -------
    int
        The exit status: 0; 1 where `backbones` shows some and refuses others; 2 after
        one line on the standard error when files, columns, names or words do not fit.

    Raises
    ------
    BrokenPipeError
        If nobody reads the standard output any more.

    Examples
    --------
    >>> from skraee.cli.main import main
    >>> main(["predict", "no-such-model.joblib", "new.csv"])  # doctest: +SKIP
    skraee: error: there is no file 'no-such-model.joblib'; check the path.
    2
    """
    arguments = parser().parse_args(argv)
    try:
        with _short_warnings():
            status = _COMMANDS[arguments.command](arguments)
        print(end="", flush=True)  # while an error can still be told
    except BrokenPipeError:
        raise
    except _TOLD as error:
        _tell_error(error)
        return 2
    return status or 0


def _demo(arguments: argparse.Namespace) -> None:
    from skraee import demo

    if arguments.data is None:
        task = demo.shipped_task()
    else:
        task = demo.task_from(
            read_table(arguments.data, arguments.separator),
            text_column=arguments.text_column,
            label_column=arguments.label_column,
            label_words=arguments.label_words,
            template=arguments.template,
        )
    demo.run(task)


def _fit(arguments: argparse.Namespace) -> None:
    check_writable(arguments.output, streams=False)
    key = read_key(arguments.key_file, arguments.output)

    from skraee.text.template import Template

    fields = Template(arguments.template).fields
    table = read_table(arguments.train, arguments.separator)
    texts = table.texts(fields, arguments.text_column)
    labels = table.labels(arguments.label_column)

    clf = _classifier(arguments)
    start = time.perf_counter()
    clf.fit(texts, labels)
    seconds = time.perf_counter() - start
    write_model(clf, arguments.output, key)
    print(_summary(clf, labels, seconds))
    size = arguments.output.stat().st_size / 1e6
    print(f"wrote {arguments.output} ({size:.1f} MB)")


def _classifier(arguments: argparse.Namespace) -> Classifier:
    """Return the classifier that the options ask for."""
    shared: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("budget", "class_weight", "min_exit", "long_texts", "dtype")
    }
    if arguments.exit_by == "confidence" and arguments.readout == "ridge":
        arguments.readout = None  # it has no other
    own = OF_CONFIDENCE if arguments.exit_by == "confidence" else OF_RETRIEVAL
    others = (OF_CONFIDENCE | OF_RETRIEVAL) - own
    given = {name: value for name, value in vars(arguments).items() if name in own}
    given = {name: value for name, value in given.items() if value is not None}
    if strange := [n for n in sorted(others) if getattr(arguments, n) is not None]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise ValueError(
            f"with --exit-by {arguments.exit_by} there is no use for {options}; leave "
            "it out, or choose the other --exit-by."
        )
    if arguments.exit_by == "confidence":
        from skraee.early_exit import EarlyExitClassifier

        return EarlyExitClassifier(
            arguments.backbone, arguments.template, **shared, **given, verbose=1
        )
    from skraee.classifier import RAEEClassifier

    return RAEEClassifier(
        arguments.backbone,
        arguments.template,
        **shared,
        **given,
        random_state=0,
        verbose=1,
    )


def _predict(arguments: argparse.Namespace) -> None:
    if arguments.output is not None:
        check_writable(arguments.output)
    elif sys.stdout is None:
        raise OSError("the standard output is closed; name a file with --output.")
    key = read_key(arguments.key_file, arguments.model)
    table = read_table(arguments.new, arguments.separator)
    clf = read_model(arguments.model, key).set_params(verbose=1)
    texts = table.texts(clf._template().fields, arguments.text_column)
    start = time.perf_counter()
    answers = _answers(clf, texts) if table.rows else []
    seconds = time.perf_counter() - start
    header = [*table.columns, *_free_names(table.columns)]
    rows = [[*cells, *more] for cells, more in zip(table.rows, answers, strict=True)]
    write_table(arguments.output, header, rows, table.separator)
    _tell(f"{len(rows)} texts in {seconds:.1f} s{_mean_exit(clf, answers)}")


def _answers(clf: Classifier, texts: list[str] | Table) -> list[tuple[Any, ...]]:
    """Return what `_ANSWERS` names for each text."""
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    labels = clf.classes_[proba.argmax(axis=1)]
    best = [f"{p:.4f}" for p in proba.max(axis=1)]
    return list(zip(labels, exits.tolist(), best, strict=True))


def _free_names(columns: Sequence[str]) -> list[str]:
    """Return names for the answers that the user's own columns do not have."""
    names = list(_ANSWERS)
    for i in range(len(names)):
        while names[i] in columns:
            names[i] = f"predicted_{names[i]}"
    return names


def _mean_exit(clf: Classifier, answers: Sequence[tuple[Any, ...]]) -> str:
    if not answers:
        return ""
    mean = sum(exit_layer for _, exit_layer, _ in answers) / len(answers)
    return f", mean exit layer {mean:.1f} of {clf.n_layers_}"


def _backbones(arguments: argparse.Namespace) -> int:
    from skraee.backbone.registry import clear_backbones

    found: list[dict[str, Any]] = []
    for name in arguments.names:
        clear_backbones()  # two need not fit into memory
        try:
            report = report_on(name, arguments.dtype)
        except _TOLD as error:
            _tell_error(error)
            found.append({"name": name, "error": _one_line(error)})
            continue
        found.append(report.as_dict())
        if not arguments.json:
            print(report, end="\n\n", flush=True)
    if arguments.json:
        print(json.dumps(found, indent=2))
    return int(any("error" in one for one in found))


def _versions(arguments: argparse.Namespace) -> None:
    from skraee.versions import show_versions

    show_versions()


def _summary(clf: Classifier, labels: list[str], seconds: float) -> str:
    counts = [f"{name} {labels.count(name)}" for name in clf.classes_]
    best = int(clf.layer_scores_.argmax())
    return "\n".join(
        [
            f"fitted on {len(labels)} texts in {seconds:.1f} s: {', '.join(counts)}",
            "accuracy of single layers on these texts: "
            f"{clf.layer_scores_[-1]:.3f} at full depth ({clf.n_layers_}), "
            f"{clf.layer_scores_[best]:.3f} at the best ({best})",
        ]
    )


def _tell(message: str) -> None:
    print(f"skraee: {message}", file=sys.stderr)


def _tell_error(error: BaseException) -> None:
    _tell(f"error: {_one_line(error)}")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Show warnings without the source line that they come from."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"skraee: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


_COMMANDS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "demo": _demo,
    "fit": _fit,
    "predict": _predict,
    "backbones": _backbones,
    "versions": _versions,
}
