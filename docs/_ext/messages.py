"""The directive ``messages``: what errors and warnings say, read from the code.

Every call of a class that is named ...Error or ...Warning in the package is found in
its syntax tree, so the page says what the code says. A sentence and its way out are
parted at the semicolon, as they are written. What has neither a way out nor a full stop
is no message of its own, but the reason that another one quotes in brackets.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

import skraee

# Name -> what it stands for.
Known = dict[str, ast.expr]

PACKAGE = Path(skraee.__file__).parent

#: Folder or module -> what its messages are about.
SUBJECTS = {
    "text": "Texts, labels, templates and label words",
    "backbone": "Backbones: names, files, weights and devices",
    "engine": "Running a model",
    "sweep": "Sweeps and their store",
    "retrieval": "Encoders, keys and neighbours",
    "readout": "The closed-form readout",
    "exits": "Exits, budgets and losses",
    "estimator": "Estimators and their parameters",
    "classifier": "Estimators and their parameters",
    "classifier_cv": "Estimators and their parameters",
    "generator": "Estimators and their parameters",
    "generation": "Generated texts",
    "early_exit": "Estimators and their parameters",
    "inspection": "Plots and explanations",
    "persistence": "Model files",
    "files": "Writing files",
    "baselines": "Baselines",
    "serve": "The service",
    "sharing": "Sharing: folders and MLflow",
    "scale": "Past one machine: Ray, Spark, Dask",
    "cli": "The command line",
    "demo": "The demo",
    "templates": "Texts, labels, templates and label words",
    "versions": "Model files",
    "toy": "The demo",
}

# Raised for the code itself, and caught there.
_INNER = {"Error", "KeyError", "NotImplementedError", "UndiscoveredError"}
_NAMED = re.compile(r"(Error|Warning)$")
_PLACE = "\0"  # around what a message fills in

# What is called on a thing does not say what it is.
_NO_NAMES = set(
    "type len str repr short_repr self join __name__ map list sorted sum max min int "
    "tolist fspath os np abs get partition rpartition first next args".split()
)


@dataclass(frozen=True, order=True)
class Message:
    """What one error or warning says.

    Attributes
    ----------
    category : str
        Its class.
    subject : str
        What it is about.
    text : str
        With what is filled in between two zero characters.
    module : str
        Where it is said first, as in ``"text/labels"``.
    """

    category: str
    subject: str
    text: str
    module: str = field(compare=False)

    @property
    def parts(self) -> tuple[str, str]:
        """The sentence, and the way out, which is empty where there is no semicolon."""
        said, _, way_out = self.text.partition("; ")
        return said, way_out

    @property
    def is_reason(self) -> bool:
        """Whether another message quotes it."""
        return not self.parts[1] and not self.text.endswith(".")


def messages(package: Path = PACKAGE) -> list[Message]:
    """Collect what the errors and warnings of a package say.

    Parameters
    ----------
    package : Path
        Its folder.

    Returns
    -------
    list of Message
        Sorted, each once.
    """
    trees = {path: _parsed(path) for path in sorted(package.rglob("*.py"))}
    constants = {}
    for tree in trees.values():
        constants |= _assigned(tree.body) | _returned(tree)
    found = set()
    for path, tree in trees.items():
        module = path.relative_to(package).with_suffix("").as_posix()
        subject = SUBJECTS.get(module.partition("/")[0], "Anything else")
        for category, text in _said(tree, constants | _assigned(tree.body)):
            found.add(Message(category, subject, " ".join(text.split()), module))
    return sorted(found)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _said(tree: ast.AST, constants: Known) -> Iterator[tuple[str, str]]:
    """Yield category and text of every error and warning that is made."""
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
        known = constants | _assigned(ast.walk(function))
        for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
            category, message = _category_and_message(call)
            for text in _texts(message, known):
                yield category, text


def _category_and_message(call: ast.Call) -> tuple[str, ast.expr | None]:
    name = ast.unparse(call.func).rpartition(".")[2]
    if name == "damaged" and len(call.args) > 1:
        return "ValueError", call.args[1]
    if name in ("warn_user", "warn") and len(call.args) > 1:
        category = ast.unparse(call.args[1]).rpartition(".")[2]
        return category, call.args[0] if _NAMED.search(category) else None
    if name in _INNER or not _NAMED.search(name) or not call.args:
        return name, None
    return name, call.args[0]


def _assigned(statements: Iterable[ast.AST]) -> Known:
    """Return what names stand for, where a message is put together."""
    found: Known = {}
    for node in statements:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.For):
            targets, value = [node.target], node.iter
        elif isinstance(node, ast.NamedExpr):
            targets, value = [node.target], node.value
        else:
            continue
        found |= {t.id: value for t in targets if isinstance(t, ast.Name)}
    return found


def _returned(tree: ast.AST) -> Known:
    """Return what functions return or yield, by their names and a pair of brackets."""
    found: Known = {}
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
        for node in ast.walk(function):
            is_end = isinstance(node, ast.Return | ast.Yield)
            if is_end and isinstance(node.value, ast.JoinedStr):
                _add_form(found, f"{function.name}()", node.value)
    return found


def _add_form(found: Known, name: str, value: ast.expr) -> None:
    """Let a name stand for one thing more, as if a condition chose."""
    first = found.get(name)
    found[name] = ast.IfExp(ast.Constant(True), first, value) if first else value


def _texts(node: ast.expr | None, known: Known) -> list[str]:
    """Return the forms of a message; none where it is not written out."""
    if isinstance(node, ast.Name):
        others = {name: value for name, value in known.items() if name != node.id}
        return _texts(known.get(node.id), others)
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        return _texts(known.get(f"{name}()"), {})
    if isinstance(node, ast.IfExp):
        return _texts(node.body, known) + _texts(node.orelse, known)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(_part(part, known) for part in node.values)]
    if isinstance(node, ast.BinOp):
        left, right = _texts(node.left, known), _texts(node.right, known)
        return [f"{left[0]}{right[0]}"] if left and right else left
    return []


def _part(node: ast.expr, known: Known) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    if isinstance(node.value, ast.Name) and node.value.id.isupper():
        meant = known.get(node.value.id)
        if isinstance(meant, ast.Constant):
            return str(meant.value)
        if isinstance(meant, ast.JoinedStr):
            return _texts(meant, known)[0]
    return f"{_PLACE}{_short_name(node.value)}{_PLACE}"


def _short_name(node: ast.expr) -> str:
    """Return a word for what is filled in."""
    names = [n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)]
    names += [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    plain = [name.strip("_") for name in names if name not in _NO_NAMES]
    return plain[0].replace("_", " ") if plain else "..."


class Messages(Directive):
    """``{messages} Warning`` or ``Error``: one table for each class; or ``Reason``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a section for each class, in it a table for each subject."""
        kind = self.arguments[0]
        if kind == "Reason":
            return _of_subjects([m for m in messages() if m.is_reason])
        named = [m for m in messages() if m.category.endswith(kind)]
        mine = [m for m in named if not m.is_reason]
        made: list[nodes.Node] = []
        for category in sorted({m.category for m in mine}):
            found = [m for m in mine if m.category == category]
            made.append(_of_category(category, found))
        return made


def _of_category(category: str, found: list[Message]) -> nodes.section:
    title = nodes.title("", "", nodes.literal("", category))
    ids = [f"message-{category.lower()}"]
    return nodes.section("", title, *_of_subjects(found), ids=ids)


def _of_subjects(found: list[Message]) -> list[nodes.Node]:
    made: list[nodes.Node] = []
    for subject in sorted({m.subject for m in found}):
        mine = [m for m in found if m.subject == subject]
        made.append(nodes.paragraph("", "", nodes.emphasis("", subject)))
        made.append(_list(mine) if mine[0].is_reason else _table(mine))
    return made


def _list(found: list[Message]) -> nodes.bullet_list:
    texts = dict.fromkeys(m.text for m in found)
    items = [nodes.list_item("", *_marked(text)) for text in texts]
    return nodes.bullet_list("", *items)


def _table(found: list[Message]) -> nodes.table:
    body = nodes.tbody("", *map(_of_message, found))
    said, way_out = nodes.paragraph("", "It says"), nodes.paragraph("", "The way out")
    head = nodes.thead("", _row([said], [way_out]))
    columns = [nodes.colspec(colwidth=60), nodes.colspec(colwidth=40)]
    group = nodes.tgroup("", *columns, head, body, cols=2)
    return nodes.table("", group, classes=["messages"])


def _of_message(message: Message) -> nodes.row:
    said, way_out = message.parts
    return _row(_marked(said), _marked(way_out))


def _row(*cells: list[nodes.Node]) -> nodes.row:
    return nodes.row("", *[nodes.entry("", *cell) for cell in cells])


def _marked(text: str) -> list[nodes.Node]:
    """Return a paragraph in which what is filled in is set apart."""
    # What may be filled in, or be nothing, stands close to what is before it.
    filled_in = f"{_PLACE}[^{_PLACE}]+{_PLACE}"
    apart = re.sub(rf"(?<=[\w)])({filled_in})(?=[\s.,]|$)", r" \1", text)
    inside: list[nodes.Node] = [
        nodes.emphasis("", part) if i % 2 else nodes.Text(part)
        for i, part in enumerate(apart.split(_PLACE))
        if part
    ]
    return [nodes.paragraph("", "", *inside)]


def setup(app: Any) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("messages", Messages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
