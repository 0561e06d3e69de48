"""Show the versions of an environment, and check them against a file of pins.

    python .ci/versions.py [FILE]

With a file, every installed package has to be at its pin there: a package that the
file forgot would move on its own.
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

# What no file chooses: this package, and what comes with an environment.
FREE = {"skraee", "pip", "setuptools"}


def main() -> None:
    """Run the command."""
    found = {canonicalize_name(d.name): d.version for d in distributions()}
    print(f"python {platform.python_version()} on {platform.platform()}")
    print(", ".join(f"{name} {found[name]}" for name in sorted(found)))
    if len(sys.argv) > 1:
        pins = read_pins(Path(sys.argv[1]))
        others = [
            f"{name} {version} ({pins.get(name, 'no pin')})"
            for name, version in found.items()
            if name not in FREE and not is_pinned(version, pins.get(name))
        ]
        if others:
            sys.exit(f"not as {sys.argv[1]} says: {', '.join(sorted(others))}")


def read_pins(path: Path) -> dict[str, SpecifierSet]:
    """Return the pins that hold on this machine."""
    lines = (line.partition("#")[0] for line in path.read_text("utf-8").splitlines())
    requirements = [Requirement(line) for line in lines if line.strip()]
    return {
        canonicalize_name(requirement.name): requirement.specifier
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    }


def is_pinned(version: str, pin: SpecifierSet | None) -> bool:
    """Return whether a version is at its pin, if it has one."""
    return pin is not None and pin.contains(version, prereleases=True)


if __name__ == "__main__":
    main()
