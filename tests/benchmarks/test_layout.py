"""The benchmarks' imports: of each other, and of skraee."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support.architecture import Module, Package

BENCHMARKS = Package(Path(__file__).parents[2] / "benchmarks")
COMMANDS = (
    "accuracy",
    "backbones",
    "databases",
    "generation",
    "long_texts",
    "max_loss",
    "paper",
    "readouts",
    "scale",
    "serve",
    "speed",
    "trust",
)
PUBLIC = {f"skraee.{name}" for name in ("baselines", "demo", "inspection", "scale")}
PUBLIC |= {"skraee"}
# One measures below the public names, one goes on where a fit could not.
BELOW = {
    "benchmarks.databases.models",
    "benchmarks.databases.search",
    "benchmarks.generation.calm",
    "benchmarks.generation.encoder_depth",
    "benchmarks.generation.fixed",
    "benchmarks.generation.measure",
    "benchmarks.speed.bench",
    "benchmarks.speed.loading",
    "benchmarks.long_texts",
    "benchmarks.max_loss",
    "benchmarks.readouts",
    "benchmarks.paper.order",
    "benchmarks.trust.model_files",
    "benchmarks.trust.pressure",
    "benchmarks.trust.releases",
    "benchmarks.trust.running",
    "benchmarks.trust.stores",
}


def sources(module: Module) -> set[str]:
    """What a module imports names from."""
    nodes = ast.walk(module.tree)
    return {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}


def test_benchmarks_import_each_other_without_a_cycle() -> None:
    assert BENCHMARKS.cycles() == []


def test_commands_of_the_benchmarks_do_not_know_each_other() -> None:
    for one in BENCHMARKS.imports:
        homes = {one.importer.split(".")[1], one.imported.split(".")[1]}
        assert len(homes & {*COMMANDS}) < 2, one


def test_benchmarks_use_public_names_but_in_the_files_that_the_readme_names() -> None:
    below = {
        module.name
        for module in BENCHMARKS.modules
        if {name for name in sources(module) if name.startswith("skraee")} - PUBLIC
    }
    assert below == BELOW
    readme = (BENCHMARKS.folder / "README.md").read_text("utf-8")
    for name in below:
        assert f"`{name.removeprefix('benchmarks.').replace('.', '/')}.py`" in readme
