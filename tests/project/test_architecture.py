"""The package keeps its shape; ``architecture.py`` says how things are counted."""

from __future__ import annotations

import pytest

from tests.support.architecture import Package, report, tenth_largest


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
        "p.one.a:1 (top) -> p.two.b",
        "p.two.b:2 (top) -> p.three.c",
        "p.three.c:2 (local) -> p.one.a",
    ]


def test_imports_one_way_are_no_cycle(written):
    files = {"a.py": "import p.b, p.c", "b.py": "import p.c", "c.py": "import numpy"}
    package = written(files)
    assert package.cycles() == []
    assert len(package.imports) == 3


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
    assert tenth_largest([function.size for function in package.functions]) <= 20


def test_root_has_few_files(package):
    assert len(package.root_files) <= 10, package.root_files


def test_modules_import_each_other_one_way(package):
    assert [", ".join(map(str, cycle)) for cycle in package.cycles()] == []
