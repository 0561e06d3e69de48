"""Write requirements/licences.md: the licence of every locked package.

    python .ci/licences.py [--check]

What a package's metadata say, of what is installed; of what this machine does not take,
the line that is there stays. With ``--check`` nothing is written: the file must be what
would be.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parents[1] / "requirements"
PAGE = FOLDER / "licences.md"

HEAD = """# Licences

Of every package in `lock.txt`, as its own metadata name it (on Linux and Python 3.11).
Written by `python .ci/licences.py`; CI compares. skraee itself is BSD-3-Clause, has
none of them in it, and needs those alone that its own `dependencies` lead to.

| package | licence | note |
|---|---|---|
"""

_CUDA = "comes with torch on Linux, not with its build for the CPU"
_GEMMA = "Gemma terms of use", "its README: the model's terms apply; extra `demo`"

# What the metadata do not say: beginning of a name -> licence, and where it is said.
READ = {
    "cuda-toolkit": (
        "none named",
        "a list of NVIDIA's packages without code of its own",
    ),
    "gemma3-270m": _GEMMA,
    "hnswlib": ("Apache-2.0", "its LICENSE file"),
}
NOTES = {
    "certifi": "a list of certificates, used as it is",
    "colorama": "only on Windows",
    "docutils": "the GPL is that of an Emacs mode, which the wheel lacks; extra `docs`",
    "editables": "builds an editable installation",
    "httpx2-jsfetch": "only where Python runs in a browser",
    "nvidia-": _CUDA,
    "pathspec": "used as it is, to build and by mypy",
    "tqdm": "used as it is",
}


def main() -> None:
    """Run the command."""
    if (sys.platform, sys.version_info[:2]) != ("linux", (3, 11)):
        print("licences: on Linux and Python 3.11 only, others take other releases")
        return
    page = HEAD + "".join(f"{line}\n" for line in lines())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, "utf-8")
    elif page != PAGE.read_text("utf-8"):
        there = PAGE.read_text("utf-8").splitlines()
        others = [line for line in page.splitlines() if line not in there]
        sys.exit(f"run .ci/licences.py; other than in {PAGE.name}: {others}")


def lines() -> list[str]:
    """Return the lines of the table, in the order of the lock."""
    known = known_lines()
    return [line_of(name, known.get(name)) for name in locked()]


def locked() -> list[str]:
    """Name what is locked, on whatever system."""
    pins = (FOLDER / "lock.txt").read_text("utf-8").splitlines()
    texts = [text for pin in pins if (text := pin.partition("#")[0].strip())]
    return sorted({canonicalize_name(Requirement(text).name) for text in texts})


def known_lines() -> dict[str, str]:
    """Return the lines that are there: package -> line."""
    text = PAGE.read_text("utf-8") if PAGE.exists() else ""
    return {found[1]: found[0] for found in re.finditer(r"\| ([\w-]+) \|.*", text)}


def line_of(name: str, known: str | None) -> str:
    """Return a package's line."""
    try:
        found = licence(name)
    except PackageNotFoundError:
        return known or f"| {name} | unknown | not installed here |"
    said, note = of_name(READ, name) or (found, of_name(NOTES, name) or "")
    return f"| {name} | {said} | {note} |"


def of_name(table: dict[str, Any], name: str) -> Any:
    """Return what stands in a table for a name or its beginning."""
    return next((it for begin, it in table.items() if name.startswith(begin)), None)


def licence(name: str) -> str:
    """Return what a package's metadata say: an expression, a word or classifiers."""
    about = metadata(name)
    if expression := about.get("License-Expression"):
        return str(expression)
    classified = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    word = (about.get("License") or "").strip()
    is_word = word and "\n" not in word and len(word) < 40
    return word if is_word else ", ".join(classified) or "unknown"


if __name__ == "__main__":
    main()
