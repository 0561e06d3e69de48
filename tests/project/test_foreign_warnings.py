"""Whose a warning is, where the releases of other packages are not pinned."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

# Packages that warn, in an environment within the checkout.
PACKAGES = {
    "peer/__init__.py": "",
    "peer/calls.py": """
        import warnings
        from functools import wraps

        def old(level=1):
            warnings.warn("peer.old is old", DeprecationWarning, stacklevel=level)

        def deep():
            return old()

        def renamed(function):
            @wraps(function)
            def wrapper(*args):
                warnings.warn("the argument is renamed", FutureWarning, stacklevel=2)
                return function(*args)
            return wrapper

        @renamed
        def taken(value):
            return value

        def number(value):
            return int(value)  # compiled code warns in the name of this line
        """,
    "peer/noisy.py": """
        import warnings
        warnings.warn("peer.noisy is noisy", FutureWarning)
        """,
    "user/__init__.py": "",
    "user/calls.py": """
        from peer import calls

        def uses_old(level=1):
            calls.old(level)
        """,
    "user/imports.py": "from user import late",
    "user/late.py": "from peer.calls import old; old(2)",
    "torch/__init__.py": "",
    "torch/nn/__init__.py": "",
    "torch/nn/modules/__init__.py": "",
    "torch/nn/modules/module.py": """
        def call(function, value):
            return function(value)
        """,
}
SETTINGS = """
    [tool.pytest.ini_options]
    testpaths = ["tests"]
    filterwarnings = ["error", "ignore:this machine lacks:UserWarning"]
    """
HEAD = """
    import warnings
    import pytest
    from peer import calls
    from user.calls import uses_old
    from torch.nn.modules.module import call

    class Odd:
        def __int__(self):
            return True  # int() warns of what is no plain int
    """
OURS = {
    "warns": "warnings.warn('of ours')",
    "warns_and_points_elsewhere": "warnings.warn('of ours', stacklevel=4)",
    "warns_in_compiled_code": "int(Odd())",
    "calls": "calls.old()",
    "calls_what_points_at_the_caller": "calls.old(2)",
    "calls_what_warns_further_down": "calls.deep()",
    "calls_what_is_decorated": "calls.taken(1)",
    "calls_through_torch": "call(calls.taken, 1)",
    "calls_through_the_standard_library": "list(map(calls.taken, [1]))",
    "is_called_back": "call(lambda _: calls.old(), 1)",
}
THEIRS = {
    "calls_old": "uses_old()",
    "calls_old_and_is_pointed_at": "uses_old(2)",
    "calls_through_torch_and_calls_old": "call(uses_old, 1)",
    "calls_compiled_code": "calls.number(Odd())",
    "is_imported": "import peer.noisy",
    "is_imported_by_another": "import user.imports",
    "warns_beside_what_was_expected": (
        "with pytest.warns(UserWarning):\n    warnings.warn('ours')\n    uses_old(2)"
    ),
}
NOBODYS = {
    "expected": "with pytest.warns(DeprecationWarning):\n    calls.old()",
    "ignored": "warnings.simplefilter('ignore')\ncalls.old()",
    "ignored_by_the_project": "warnings.warn('this machine lacks much')",
}


@pytest.fixture(scope="module", params=[0, 2])
def told(request: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of all cases, run once under the plugin, by so many workers."""
    checkout = tmp_path_factory.mktemp("checkout")
    packages = checkout / ".venv" / "site-packages"
    for name, text in PACKAGES.items():
        write(packages / name, text)
    write(checkout / "pyproject.toml", SETTINGS)
    cases = (OURS | THEIRS | NOBODYS).items()
    tests = [f"def test_{name}():\n{indent(body, '    ')}" for name, body in cases]
    write(checkout / "tests" / "test_it.py", "\n\n".join([dedent(HEAD), *tests]))
    return pytest_says(checkout, [packages, ROOT], request.param)


def pytest_says(checkout: Path, paths: list[Path], n_workers: int) -> str:
    code = (
        f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n"
        "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    )
    options = ["-rA", "-n", str(n_workers), "-p", "no:cacheprovider"]
    outer = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *options],
        cwd=checkout,
        env={**outer, "PYTEST_PLUGINS": "tests.support.foreign_warnings"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text).strip() + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", OURS)
def test_warning_that_we_cause_is_an_error(name: str, told: str) -> None:
    assert re.search(rf"FAILED .*::test_{name}\b", told), told


@pytest.mark.parametrize("name", THEIRS)
def test_warning_of_others_about_themselves_is_no_error(name: str, told: str) -> None:
    assert re.search(rf"PASSED .*::test_{name}\b", told), told


@pytest.mark.parametrize("name", NOBODYS)
def test_warning_that_a_test_takes_care_of_is_no_error(name: str, told: str) -> None:
    assert re.search(rf"PASSED .*::test_{name}\b", told), told


def test_warnings_of_others_are_counted_and_shown(told: str) -> None:
    assert f"= warnings of other packages: {len(THEIRS)} =" in told
    _, _, section = told.partition("warnings of other packages")
    for line in (
        "2 x DeprecationWarning at user/calls.py:4: peer.old is old",
        "2 x DeprecationWarning at peer/calls.py:5: peer.old is old",
        "1 x DeprecationWarning at peer/calls.py:22: __int__ returned non-int",
        "1 x FutureWarning at peer/noisy.py:2: peer.noisy is noisy",
    ):
        assert line in section
