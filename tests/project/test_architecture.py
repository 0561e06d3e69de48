"""The package keeps its shape; ``architecture.py`` says how things are counted."""

from __future__ import annotations

import ast
from statistics import median

import pytest

from tests.support.architecture import Package, report, tenth_largest

MEDIAN_MODULE = 150
LONGEST_MODULE = 400
TENTH_LONGEST_FUNCTION = 30
TENTH_LONGEST_BODY = 20
MOST_METHODS = 20
MOST_ROOT_FILES = 10

ESTIMATORS = {"RAEEClassifier", "EarlyExitClassifier", "RAEEGenerator"}


@pytest.fixture(scope="module")
def package():
    return Package()


@pytest.fixture
def written(tmp_path):
    """Write a package `p` of files: path -> source."""

    def write(files):
        for name, source in {"__init__.py": "", **files}.items():
            path = tmp_path / "p" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return Package(tmp_path / "p")

    return write


def cycles_of(package):
    return [[one.importer for one in cycle] for cycle in package.cycles()]


FORMS = {
    "at the top": "from p.b import x\n",
    "of the module": "from p import b\n",
    "by its whole name": "import p.b\n",
    "relative": "from . import b\n",
    "relative, of a name": "from .b import x\n",
    "for types": "if TYPE_CHECKING:\n    from p.b import x\n",
    "in a method": "class A:\n    def f(self):\n        from p.b import x\n",
    "where it may fail": "try:\n    import p.b\nexcept ImportError:\n    pass\n",
}


@pytest.mark.parametrize("source", FORMS.values(), ids=FORMS)
def test_cycle_is_found_in_whatever_form_it_is_imported(written, source):
    assert cycles_of(written({"a.py": source, "b.py": "import p.a\n"})) == [
        ["p.a", "p.b"]
    ]


def test_cycle_through_the_package_itself_is_found(written):
    package = written(
        {"__init__.py": "import p.a", "a.py": "from p import __version__"}
    )
    assert cycles_of(package) == [["p", "p.a"]]


def test_cycle_of_three_across_folders_is_found_and_names_its_lines(written):
    package = written(
        {
            "one/a.py": "import p.two.b",
            "two/b.py": "\nfrom ..three import c",
            "three/c.py": "def f():\n    import p.one.a",
        }
    )
    (cycle,) = package.cycles()
    assert [str(one) for one in cycle] == [
        "p/one/a.py:1 (top) -> p.two.b",
        "p/two/b.py:2 (top) -> p.three.c",
        "p/three/c.py:2 (local) -> p.one.a",
    ]


def test_imports_one_way_are_no_cycle(written):
    files = {"a.py": "import p.b, p.c", "b.py": "import p.c", "c.py": "import numpy"}
    package = written(files)
    assert package.cycles() == []
    assert len(package.imports) == 3


@pytest.mark.parametrize("source", FORMS.values(), ids=FORMS)
def test_import_that_goes_up_is_found_in_whatever_form(written, source):
    package = written({"a.py": f"\n{source}", "b.py": ""})
    (found,) = package.upward_imports(["a", "b"])
    assert (found.importer, found.imported) == ("p.a", "p.b")
    assert str(found).startswith(f"p/a.py:{found.line} (")
    assert package.upward_imports(["b", "a"]) == []


def test_layers_hold_for_all_that_stands_in_a_folder(written):
    files = {"low/a.py": "import p.low.b\nfrom ..high import c", "low/b.py": ""}
    package = written({**files, "high/c.py": "from p.low import a"})
    assert [str(one) for one in package.upward_imports(["low", "high"])] == [
        "p/low/a.py:2 (top) -> p.high.c"
    ]


def test_neighbours_in_a_layer_do_not_import_each_other(written):
    package = written({"a.py": "import p.b", "b.py": "import p.c", "c.py": ""})
    assert [one.imported for one in package.upward_imports(["c", "a b"])] == ["p.b"]


def test_face_of_the_package_imports_all_and_is_imported_by_none(written):
    package = written({"__init__.py": "import p.a", "a.py": "from p import x"})
    assert [one.importer for one in package.upward_imports(["a"])] == ["p.a"]


@pytest.mark.parametrize("path", ["b.py", "b/c.py", "b/__init__.py"])
def test_module_or_folder_without_a_layer_is_refused(written, path):
    package = written({"a.py": "", path: '"""Nothing."""\n'})
    with pytest.raises(ValueError, match=r"no layer names b in p/; give each its pla"):
        package.upward_imports(["a"])


def test_layer_may_name_what_is_not_there_yet(written):
    assert written({"a.py": ""}).upward_imports(["a", "b"]) == []


def test_sizes_leave_docstrings_and_empty_files_out(written):
    body = (
        '"""A module."""\n\n\ndef f():\n    """Do.\n\n    More.\n    """\n    a = 1\n'
    )
    inner = '\n    def g():\n        """Do it."""\n\n    return g\n'
    package = written({"a.py": body + inner, "empty.py": '"""Nothing."""\n'})
    assert {f.name: (f.size, f.whole) for f in package.functions} == {
        "p.a.f": (6, 11),
        "p.a.g": (0, 2),
    }
    assert package.lengths == [14]
    assert [m.n_docstring_lines for m in package.modules] == [0, 6, 1]


def test_docstrings_of_the_class_that_has_the_most_are_counted(written):
    small = 'class A:\n    """Be.\n\n    More.\n    """\n'
    large = 'class B:\n    """Be.\n\n    So.\n    """\n    def f(self): """Do."""\n'
    files = {"a.py": f'"""A module."""\n{large}{small}', "b.py": ""}
    a, b = written(files).modules[1:]
    assert (a.n_class_docstring_lines, a.n_docstring_lines) == (5, 10)
    assert b.n_class_docstring_lines == 0


def test_methods_are_those_of_the_class_itself(written):
    source = (
        "class A:\n"
        "    x = 1\n"
        "    def __init__(self): ...\n"
        "    @property\n"
        "    def y(self): ...\n"
        "    @y.setter\n"
        "    def y(self, y): ...\n"
        "class B(A):\n"
        "    async def z(self): ...\n"
    )
    sizes = {c.name: c.size for c in written({"a.py": source}).classes}
    assert sizes == {"p.a.A": 2, "p.a.B": 1}


def test_report_names_what_stands_out(package):
    said = report(package)
    assert f"files in the root: {len(package.root_files)}\n" in said
    assert max(package.classes, key=lambda c: c.size).name in said


def test_functions_are_short(package):
    wholes = [function.whole for function in package.functions]
    bodies = [function.size for function in package.functions]
    assert tenth_largest(wholes) <= TENTH_LONGEST_FUNCTION
    assert tenth_largest(bodies) <= TENTH_LONGEST_BODY


def test_half_of_the_modules_are_short(package):
    assert median(package.lengths) <= MEDIAN_MODULE


def test_no_module_is_long_but_for_the_docstrings_of_a_class(package):
    lengths = {m.name: m.n_lines - m.n_class_docstring_lines for m in package.modules}
    assert {n: length for n, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_class_but_an_estimator_has_many_methods(package):
    large = {c.name for c in package.classes if c.size > MOST_METHODS}
    assert {n for n in large if n.split(".")[-1] not in ESTIMATORS} == set()


def test_root_has_few_files(package):
    assert len(package.root_files) <= MOST_ROOT_FILES, package.root_files


def test_modules_import_only_from_earlier_layers(package):
    assert [str(one) for one in package.upward_imports()] == []


def test_no_imports_go_round_in_a_circle(package):
    assert [", ".join(map(str, cycle)) for cycle in package.cycles()] == []


# What a fork leaves locked. That of `functools` is locked in Python 3.11.
LOCKED = {
    ("threading", "Lock"),
    ("threading", "RLock"),
    ("threading", "Condition"),
    ("threading", "Semaphore"),
    ("threading", "BoundedSemaphore"),
    ("threading", "Event"),
    ("threading", "Barrier"),
    ("queue", "Queue"),
    ("functools", "cached_property"),
}


def locked_in(module):
    """What a module has of `LOCKED`, however it names it."""
    nodes = list(ast.walk(module.tree))
    imported = {
        (node.module, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    names = {
        alias.asname or alias.name: alias.name
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    asked = {
        (names.get(node.value.id), node.attr)
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    return (imported | asked) & LOCKED


@pytest.mark.parametrize(
    "source",
    [
        "import threading\nlock = threading.Lock()\n",
        "import threading as t\nlock = t.RLock()\n",
        "from functools import cached_property\n",
        "def f():\n    from threading import Condition as C\n",
    ],
)
def test_lock_that_a_fork_leaves_locked_is_found(written, source):
    found = {m.name: locked_in(m) for m in written({"a.py": source}).modules}
    assert len(found["p.a"]) == 1
    assert not found["p"]


def test_locks_are_made_where_they_are_safe_in_forks(package):
    found = {module.name for module in package.modules if locked_in(module)}
    assert found == {"skraee.threads.locks"}
