"""All text models of the transformers library: each is right, or refused."""

from __future__ import annotations

import re
from functools import cache

import pytest
import transformers
from packaging.version import Version

from tests.support.pages import script
from tests.support.walk import Outcome, outcome_of, text_model_types

model_types = script("model_types")
PAGE = model_types.PAGE.read_text(encoding="utf-8")
TYPES = text_model_types()
OF_PAGE = Version(re.findall(r"types in transformers ([\d.]+)", PAGE)[0].rstrip("."))
INSTALLED = Version(transformers.__version__)
READ = set(re.findall(r"^\| (\S+) \| \w+ \| (?:yes|no) \|", PAGE, re.MULTILINE))

outcome = cache(outcome_of)


@pytest.mark.slow
@pytest.mark.parametrize("model_type", TYPES)
def test_type_is_read_rightly_or_refused_with_a_reason(model_type: str) -> None:
    found = outcome(model_type)  # which raises what is no refusal
    if model_type in READ and INSTALLED >= OF_PAGE:
        assert found.works, found.fault or found.not_tried


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked", "causal", "seq2seq"])
def test_types_of_each_kind_are_discovered(kind: str) -> None:
    assert sum(_is_discovered(outcome(name), kind) for name in TYPES) >= 10


def test_at_least_sixty_types_are_read() -> None:
    assert sum(outcome(name).works for name in TYPES) >= 60


@pytest.mark.skipif(INSTALLED != OF_PAGE, reason="the page is of another release")
def test_page_is_what_trying_all_types_gives() -> None:
    found = model_types.page_of(map(outcome, TYPES))
    assert found == PAGE, "run docs/_scripts/model_types.py"


def _is_discovered(found: Outcome, kind: str) -> bool:
    return found.works and found.kind == kind and not found.has_row
