"""What every method answers, on each test file."""

from __future__ import annotations

from benchmarks.accuracy.methods import Method, answers_of, methods
from benchmarks.accuracy.problem import NONE, Problem
from benchmarks.accuracy.results import Results, name_of
from benchmarks.lines import Line


def judge(problem: Problem, results: Results) -> None:
    """Run the methods of a problem that are not done; one that fails stops no other."""
    left = []
    for method in methods(problem):
        names = [name_of(problem, test, method) for test in problem.tests]
        left.append((method, names))
    todo = results.missing(name for _, names in left for name in names)
    if not todo:
        return
    if problem.backbone != NONE:
        problem.read_ahead()
    for method, names in left:
        if wanted := [name for name in names if name in todo]:
            try:
                answer(problem, method, wanted, results)
            except Exception as error:
                results.add_failed(wanted, error)


def answer(
    problem: Problem, method: Method, names: list[Line], results: Results
) -> None:
    """Fit a method, and ask it what it says of the test files."""
    model = method.fit(problem)
    for name in names:
        X, y = problem.test(name["test"])
        answers = answers_of(method, model, X)
        dtype = problem.dtype_of(method.encoder)
        results.add(name, answers, y, n_fit=len(problem.train[0]), dtype=dtype)
