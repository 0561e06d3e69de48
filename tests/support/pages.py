"""The documentation's scripts and extensions as modules, and the code on its pages."""

from __future__ import annotations

import doctest
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"

#: All pages of the documentation.
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.md")
    if path.name != "README.md" and "_build" not in path.parts
)

# Of a table the ends of lines have spaces that no page has.
_LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

_BLOCK = re.compile(
    r"^(?:% needs (?P<folder>\S+) as (?P<name>\S+)\n\n|% extra (?P<extra>\w+)\n\n)?"
    r"(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


def script(name: str, folder: str = "_scripts") -> ModuleType:
    """Import a script, or an extension in the folder ``_ext``, by its name."""
    spec = importlib.util.spec_from_file_location(name, DOCS / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Block:
    """Code on a page.

    Attributes
    ----------
    language : str
        What stands behind the three signs.
    code : str
    line : int
        Where it begins, from 0.
    needs : tuple of str, or None
        Folder under $SKRAEE_BACKBONES and the name that it stands for, where the code
        runs a real model: ``% needs FOLDER as NAME`` above it.
    extra : str or None
        The extra whose packages it needs beyond those of the tests' command: ``% extra
        NAME`` above it.
    """

    language: str
    code: str
    line: int
    needs: tuple[str, str] | None
    extra: str | None = None


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of code of a page, from the first to the last."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        needs = (found["folder"], found["name"]) if found["folder"] else None
        code = dedent(found["code"])
        yield Block(found["language"], code, line, needs, found["extra"])


def run_python(page: str, chosen: list[Block]) -> None:
    """Run blocks one after the other, and compare what they show.

    A name that a block was told to need is replaced in it beforehand.

    Raises
    ------
    AssertionError
        With what came out otherwise.
    """
    parser, names, told = doctest.DocTestParser(), {"__name__": "__main__"}, []
    runner = doctest.DocTestRunner(optionflags=_LENIENT, verbose=False)
    for block in chosen:
        test = parser.get_doctest(block.code, names, page, page, block.line)
        runner.run(test, out=told.append, clear_globs=False)
        names = test.globs
    assert not told, "".join(told)
