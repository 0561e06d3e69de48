"""The directive ``messages``: what errors and warnings say, read from the code.

Every call of a class that is named ...Error or ...Warning in the package is found in
its syntax tree, so the page says what the code says. A sentence and its way out are
parted at the semicolon, as they are written.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
    """

    category: str
    subject: str
    text: str

    @property
    def parts(self) -> tuple[str, str]:
        """The sentence, and the way out, which is empty where there is no semicolon."""
        said, _, way_out = self.text.partition("; ")
        return said, way_out


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
        home = path.relative_to(package).parts[0].removesuffix(".py")
        subject = SUBJECTS.get(home, "Anything else")
        for category, text in _said(tree, constants):
            found.add(Message(category, subject, " ".join(text.split())))
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
    if name in ("warn_user", "warn") and len(call.args) > 1:
        category = ast.unparse(call.args[1]).rpartition(".")[2]
        return category, call.args[0] if _NAMED.search(category) else None
    if name in _INNER or not _NAMED.search(name) or not call.args:
        return name, None
    return name, call.args[0]


def _assigned(statements: Iterable[ast.AST]) -> Known:
    """Return what names stand for, where a message is put together."""
    return {
        target.id: node.value
        for node in statements
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _returned(tree: ast.AST) -> Known:
    """Return what functions return, by their names with a pair of brackets."""
    return {
        f"{function.name}()": node.value
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.JoinedStr)
    }


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
        return "".join(_texts(node.value, known)[:1])
    return f"{_PLACE}{_short_name(node.value)}{_PLACE}"


def _short_name(node: ast.expr) -> str:
    """Return a word for what is filled in."""
    names = [n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)]
    names += [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    strange = {"type", "len", "str", "repr", "self", "join", "__name__", "map", "list"}
    plain = [name.strip("_") for name in names if name not in strange]
    return plain[0].replace("_", " ") if plain else "..."


class Messages(Directive):
    """``{messages} Warning`` or ``{messages} Error``, one table for each class."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a section for each class, in it a table for each subject."""
        kind = self.arguments[0]
        mine = [m for m in messages() if m.category.endswith(kind)]
        made: list[nodes.Node] = []
        for category in sorted({m.category for m in mine}):
            found = [m for m in mine if m.category == category]
            made.append(_of_category(category, found))
        return made


def _of_category(category: str, found: list[Message]) -> nodes.section:
    title = nodes.title("", "", nodes.literal("", category))
    made = nodes.section("", title, ids=[f"message-{category.lower()}"])
    for subject in sorted({m.subject for m in found}):
        made += nodes.paragraph("", "", nodes.emphasis("", subject))
        made += _table([m for m in found if m.subject == subject])
    return made


def _table(found: list[Message]) -> nodes.table:
    body = nodes.tbody("", *map(_of_message, found))
    said, way_out = nodes.paragraph("", "It says"), nodes.paragraph("", "The way out")
    head = nodes.thead("", _row([said], [way_out]))
    columns = [nodes.colspec(colwidth=60), nodes.colspec(colwidth=40)]
    group = nodes.tgroup("", *columns, head, body, cols=2)
    return nodes.table("", group, classes=["messages"])


def _of_message(message: Message) -> nodes.row:
    said, way_out = message.parts
    row = _row(_marked(said), _marked(way_out))
    if not way_out:
        row.pop()
        row[0]["morecols"] = 1
    return row


def _row(*cells: list[nodes.Node]) -> nodes.row:
    return nodes.row("", *[nodes.entry("", *cell) for cell in cells])


def _marked(text: str) -> list[nodes.Node]:
    """Return a paragraph in which what is filled in is set apart."""
    parts = text.split(_PLACE)
    inside: list[nodes.Node] = [
        nodes.emphasis("", part) if i % 2 else nodes.Text(part)
        for i, part in enumerate(parts)
        if part
    ]
    return [nodes.paragraph("", "", *inside)]


def setup(app: Any) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("messages", Messages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
