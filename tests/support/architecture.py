"""The shape of the package, read off its source: files, sizes, layers, cycles.

``python -m tests.support.architecture`` prints it; ``test_architecture.py`` holds it to
its bounds. Nothing is imported from the package. How things are counted:

- a module's length is that of its file in lines; a file with nothing but a docstring is
  no module;
- a function is as long as its body without the docstring: from the first statement to
  the last, with the blank lines, comments and inner functions between. Its whole length
  goes from ``def`` to the end, with the docstring and without decorators;
- a class has the methods and properties that its own body defines;
- an import counts wherever it stands: at the top of a module, under ``TYPE_CHECKING``
  or inside a function. That Python imports the packages around a module before the
  module itself does not count;
- what stands in the package's root, a folder or a module, is in one of `LAYERS`, and
  imports only from earlier ones: not from later ones, nor from its neighbours in its
  own. The package itself, which names what is public, stands above them all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median, quantiles

PACKAGE = Path(__file__).parents[2] / "skraee"

# What the package's root holds, from the bottom up.
LAYERS = (
    "exceptions",
    "versions",
    "threads",
    "files",
    "text",
    "backbone",
    "toy",
    "engine",
    "retrieval",
    "sweep",
    "readout",
    "exits",
    "estimator",
    "inspection",
    "persistence",
    "generation",
    "classifier early_exit baselines generator",
    "classifier_cv templates",
    "demo",
    "sharing",
    "serve scale",
    "cli",
    "__main__",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef | ast.Module


@dataclass(frozen=True)
class Import:
    """An import of one module of the package by another.

    Attributes
    ----------
    importer, imported : str
        Their names.
    file : str
        The importer's, from the folder that the package is in.
    line : int
    kind : {"top", "type", "local"}
        At the top, for type checkers only, or inside a function.
    """

    importer: str
    imported: str
    file: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.kind}) -> {self.imported}"


@dataclass(frozen=True)
class Part:
    """A function or class of the package.

    Attributes
    ----------
    name : str
        With that of its module.
    size : int
        Lines of a function's body, or methods of a class.
    whole : int
        Lines in all.
    """

    name: str
    size: int
    whole: int


@dataclass(frozen=True)
class Module:
    """A file of the package.

    Attributes
    ----------
    path : Path
    file : str
        From the folder that the package is in.
    """

    path: Path
    file: str

    @property
    def name(self) -> str:
        """Its dotted name; of an ``__init__.py`` that of its package."""
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def n_lines(self) -> int:
        """Number of lines."""
        return len(self.path.read_text(encoding="utf-8").splitlines())

    @cached_property
    def n_docstring_lines(self) -> int:
        """Number of lines that stand in docstrings."""
        return _n_docstring_lines(self.tree)

    @cached_property
    def n_class_docstring_lines(self) -> int:
        """Those of them in the one class, its methods included, that has the most."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]
        return max((_n_docstring_lines(node) for node in nodes), default=0)

    @cached_property
    def is_empty(self) -> bool:
        """Whether there is nothing but a docstring."""
        return len(self.tree.body) == int(_has_docstring(self.tree))

    def functions(self) -> Iterator[Part]:
        """Yield the functions, methods and inner functions among them."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                body = node.body[int(_has_docstring(node)) :]
                yield Part(f"{self.name}.{node.name}", _span(body), _span([node]))

    def classes(self) -> Iterator[Part]:
        """Yield the classes."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                methods = {n.name for n in node.body if isinstance(n, Function)}
                yield Part(f"{self.name}.{node.name}", len(methods), _span([node]))


@dataclass(frozen=True)
class Package:
    """All modules below a folder.

    Attributes
    ----------
    folder : Path
    """

    folder: Path = PACKAGE

    @cached_property
    def modules(self) -> list[Module]:
        """The modules, by name, empty ones among them."""
        paths = self.folder.rglob("*.py")
        found = [
            Module(path, path.relative_to(self.folder.parent).as_posix())
            for path in paths
        ]
        return sorted(found, key=lambda module: module.name)

    @cached_property
    def lengths(self) -> list[int]:
        """Lines of each module."""
        return [module.n_lines for module in self.modules if not module.is_empty]

    @cached_property
    def functions(self) -> list[Part]:
        """The functions of all modules."""
        return [part for module in self.modules for part in module.functions()]

    @cached_property
    def classes(self) -> list[Part]:
        """The classes of all modules."""
        return [part for module in self.modules for part in module.classes()]

    @cached_property
    def root_files(self) -> list[str]:
        """Names of the files in the folder itself."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())

    @cached_property
    def imports(self) -> list[Import]:
        """The imports of modules by others, in the order of their importers."""
        names = {module.name for module in self.modules}
        return [found for module in self.modules for found in _imports(module, names)]

    def cycles(self) -> list[list[Import]]:
        """Return the shortest cycle through each import that is in one, short first."""
        steps = {(one.importer, one.imported): one for one in reversed(self.imports)}
        targets: dict[str, list[str]] = {}
        for importer, imported in sorted(steps):
            targets.setdefault(importer, []).append(imported)
        found = {}
        for importer, imported in sorted(steps):
            if back := _shortest_way(targets, imported, importer):
                cycle = zip([importer, *back], back, strict=False)
                found.setdefault(frozenset(back), [steps[step] for step in cycle])
        return sorted(found.values(), key=lambda cycle: (len(cycle), str(cycle[0])))

    def upward_imports(self, layers: Sequence[str] = LAYERS) -> list[Import]:
        """Return the imports that do not go down from one layer to an earlier one.

        Parameters
        ----------
        layers : sequence of str
            Names from the bottom up, with spaces between those of one layer.

        Raises
        ------
        ValueError
            If something stands in the package's root that no layer names.
        """
        place = {name: i for i, layer in enumerate(layers) for name in layer.split()}
        place[""] = len(layers)
        homes = {module.name: _home(module.name) for module in self.modules}
        if unnamed := sorted({*homes.values()} - {*place}):
            raise ValueError(
                f"no layer names {', '.join(unnamed)} in {self.folder.name}/; give "
                "each its place in LAYERS (tests/support/architecture.py)"
            )
        return [
            one
            for one in self.imports
            if (home := homes[one.importer]) != (other := homes[one.imported])
            and place[home] <= place[other]
        ]


def tenth_largest(sizes: list[int]) -> float:
    """Return the 90th percentile: nine tenths of the sizes are not above it."""
    return quantiles(sizes, n=10, method="inclusive")[-1]


def report(package: Package) -> str:
    """Return the numbers, and what stands out, as lines to read."""
    modules = package.modules
    cycles, upward = package.cycles(), package.upward_imports()
    functions, classes = package.functions, package.classes
    sizes = [function.size for function in functions]
    wholes = [function.whole for function in functions]
    files = [
        Part(f"{m.name} ({m.n_docstring_lines} in docstrings)", m.n_lines, m.n_lines)
        for m in modules
    ]
    lines = [
        f"files in the root: {len(package.root_files)}",
        f"modules: {len(package.lengths)}, median {median(package.lengths):g} lines",
        *_largest(files),
        f"functions: {len(functions)}, 90 % of their bodies up to "
        f"{tenth_largest(sizes):g} lines, of the whole up to {tenth_largest(wholes):g}",
        *_largest(functions),
        f"classes: {len(classes)}, with the most methods:",
        *_largest(classes),
        f"imports: {len({(i.importer, i.imported) for i in package.imports})}, "
        f"cycles: {len(cycles)}",
        *(f"  {', '.join(map(str, cycle))}" for cycle in cycles),
        f"imports that do not go down the layers: {len(upward)}",
        *(f"  {one}" for one in upward),
    ]
    return "\n".join(lines)


def _imports(module: Module, names: set[str]) -> Iterator[Import]:
    """Yield a module's imports of other modules that have one of these names."""
    package = module.file.split("/")[:-1]
    for node, kind in _statements(module.tree, "top"):
        for name in dict.fromkeys(_wanted(node, package, names)):
            if name in names and name != module.name:
                yield Import(module.name, name, module.file, node.lineno, kind)


def _wanted(
    node: ast.Import | ast.ImportFrom, package: list[str], names: set[str]
) -> list[str]:
    """Return what a statement within a package imports: modules, known or not."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    start = package[: len(package) - node.level + 1] if node.level else []
    source = ".".join([*start, *filter(None, [node.module])])
    inner = [f"{source}.{alias.name}" for alias in node.names]
    return [name if name in names else source for name in inner]


def _statements(
    node: ast.AST, kind: str
) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, kind
        elif isinstance(child, Function):
            yield from _statements(child, "local")
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _statements(child, "type")
        else:
            yield from _statements(child, kind)


def _shortest_way(targets: dict[str, list[str]], start: str, end: str) -> list[str]:
    """Return the modules from start to end, both included; none if there is no way."""
    ways, seen = [[start]], {start}
    for way in ways:  # which grows while it is read
        if way[-1] == end:
            return way
        new = [name for name in targets.get(way[-1], ()) if name not in seen]
        ways += [[*way, name] for name in new]
        seen.update(new)
    return []


def _home(name: str) -> str:
    """Return what a module is or stands in, directly below the package."""
    return ".".join(name.split(".")[1:2])


def _n_docstring_lines(tree: ast.AST) -> int:
    nodes = [node for node in ast.walk(tree) if isinstance(node, Documented)]
    return sum(_span(node.body[:1]) for node in nodes if _has_docstring(node))


def _has_docstring(node: Documented) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def _span(nodes: list[ast.stmt]) -> int:
    return (nodes[-1].end_lineno or 0) - nodes[0].lineno + 1 if nodes else 0


def _largest(parts: list[Part], n: int = 5) -> Iterator[str]:
    for part in sorted(parts, key=lambda part: -part.size)[:n]:
        yield f"  {part.size:5} {part.name}"


if __name__ == "__main__":
    print(report(Package()))  # noqa: T201
