"""Changes to the code, one at a time, that some test is to fail for."""

from __future__ import annotations

import ast
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from benchmarks.trust.forked_tests import ForkedTests
from benchmarks.trust.trial import Count, Trial

KILLED = "changes that a test failed for"
SURVIVED = "changes that no test failed for"
SHARE = "of 100 that died"

_ROOT = Path(__file__).parents[2]
_COPIES = 2  # tests run at once
# Of what is a word, None, a small number or a class, "is" says the same as "==".
_THE_SAME = ("Eq_Is", "Is_Eq", "NotEq_IsNot", "IsNot_NotEq")

# What is changed -> the tests that are to notice, the likeliest first.
_TESTS = {
    "exits/voting": "exits/test_voting exits/test_policies test_classifier_cv "
    "test_classifier",
    "exits/policies": "exits engine/test_row_exits test_early_exit",
    "exits/budget": "exits/test_budget estimator/test_budgets",
    "retrieval/database": "retrieval/test_database estimator/test_partial_fit "
    "test_classifier persistence/test_model_file",
    "text/prompt": "text/test_prompt text/test_long_texts engine/test_windows",
    "text/prompt_encoder": "text/test_prompt text/test_truncation text/test_long_texts",
    "engine/batch": "engine/test_run engine/test_windows engine/test_engine "
    "engine/test_batch_independence",
    "engine/batching": "engine/test_batching engine/test_run engine/test_engine "
    "engine/test_packing engine/test_batch_independence",
    "readout/ridge": "readout estimator/test_closed_form",
    "readout/ridge_regression": "readout estimator/test_closed_form",
    **dict.fromkeys(
        [
            f"persistence/{name}"
            for name in "archive array_schema model_file parts plain_values saving "
            "schema seal upgrades values".split()
        ],
        "persistence",
    ),
}


class Mutant(NamedTuple):
    """A change of one operator, number or condition.

    Attributes
    ----------
    module : str
    operator : str
        Of cosmic-ray.
    occurrence : int
        Which of the places where it can be.
    """

    module: str
    operator: str
    occurrence: int


def kill_mutants(tries: int, seed: int) -> dict[str, Count]:
    """Change the code in so many drawn ways and run the tests of what was changed."""
    every = sorted(every_mutant())
    random.Random(seed).shuffle(every)
    drawn = list(islice(filter(_changes_something, every), tries))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        free: SimpleQueue[ForkedTests] = SimpleQueue()
        for i in range(_COPIES):
            copy = ForkedTests(_copy(folder / str(i)))
            free.put(stack.enter_context(copy))
        _check_unchanged(copy, drawn)

        def dies(mutant: Mutant) -> bool:
            tests = free.get()
            try:
                return _dies(tests, mutant)
            finally:
                free.put(tests)

        with ThreadPoolExecutor(_COPIES) as pool:
            died = list(pool.map(dies, drawn))
    n_died = sum(died)
    return {
        KILLED: n_died,
        SURVIVED: len(died) - n_died,
        SHARE: round(100 * n_died / len(died), 1),
    }


def every_mutant() -> list[Mutant]:
    """Return all that can be changed."""
    plugins = import_module("cosmic_ray.plugins")
    trees = import_module("cosmic_ray.ast")
    operators = {
        name: plugins.get_operator(name)()
        for name in plugins.operator_names()
        if "Variable" not in name  # which want to be told names
        and not name.endswith(_THE_SAME)
    }
    return [
        Mutant(module, name, occurrence)
        for module in _TESTS
        for tree in [trees.get_ast(_file(_ROOT, module).read_text())]
        for name, operator in operators.items()
        for occurrence, _ in enumerate(
            place
            for node in trees.ast_nodes(tree)
            for place in operator.mutation_positions(node)
        )
    ]


def _changes_something(mutant: Mutant) -> bool:
    """Tell a change from one of types only, and from what is no Python."""
    code = _file(_ROOT, mutant.module).read_text()
    changed = _changed(code, mutant.operator, mutant.occurrence)
    return changed is not None and _bare(changed) not in (_bare(code), None)


def _changed(code: str, operator: str, occurrence: int) -> str | None:
    plugins = import_module("cosmic_ray.plugins")
    mutating = import_module("cosmic_ray.mutating")
    made = plugins.get_operator(operator)()
    changed: str | None = mutating.mutate_code(code, made, occurrence)
    return changed


def _bare(code: str) -> str | None:
    """Return the code without types, which are never looked at; None if it is none."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # such as a unary * that became a +
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(value=None)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.test = ast.Constant(value=None)
    return ast.dump(tree)


def _file(root: Path, module: str) -> Path:
    return root / "skraee" / f"{module}.py"


def _copy(root: Path) -> Path:
    kept = ("skraee", "tests", "benchmarks", "pyproject.toml", "README.md")
    for name in kept:
        source = _ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "results")
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            shutil.copy(source, root / name)
    return root


def _check_unchanged(tests: ForkedTests, drawn: Sequence[Mutant]) -> None:
    """See that the tests pass as long as nothing is changed."""
    for names in sorted({_TESTS[mutant.module] for mutant in drawn}):
        if _fail(tests, names):
            raise RuntimeError(f"without any change, tests fail of {names}")


def _dies(tests: ForkedTests, mutant: Mutant) -> bool:
    file = _file(tests.root, mutant.module)
    code = file.read_text()
    changed = _changed(code, mutant.operator, mutant.occurrence)
    assert changed is not None
    file.write_text(changed)
    try:
        died = _fail(tests, _TESTS[mutant.module])
    finally:
        file.write_text(code)
    if not died:
        _show(mutant, code, changed)
    return died


def _fail(tests: ForkedTests, names: str) -> bool:
    files = [
        str(path.relative_to(tests.root))
        for name in names.split()
        for path in sorted((tests.root / "tests").glob(f"{name}*"))
    ]
    return tests.fail(["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *files])


def _show(mutant: Mutant, code: str, changed: str) -> None:
    """Print a survivor: somebody is to write a test."""
    lines = zip(code.splitlines(), changed.splitlines(), strict=False)
    for number, (old, new) in enumerate(lines, 1):
        if old != new:
            told = f"{mutant.module}.py:{number}: {old.strip()} -> {new.strip()}"
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()
            return


TRIALS = (
    Trial(
        "mutants",
        "A drawn operator, number or condition of voting, exit policies, budget, "
        "database, prompts, batches, readout or model files is changed, and the tests "
        "of what was changed run",
        kill_mutants,
        300,
        needs="cosmic_ray",
    ),
)
