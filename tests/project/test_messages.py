"""Errors and warnings are one sentence: what is wrong; the way out."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import script

pytest.importorskip("docutils", reason="the extra `docs` is not installed")
MESSAGES = script("messages", "_ext").messages()
FOR_USERS = [message for message in MESSAGES if not message.is_reason]

# Folder or module -> in which message its reasons, which are no sentences, are quoted.
QUOTED = {
    "__init__": "Python's own form for a name that a module lacks",
    "baselines/__init__": "as above",
    "backbone/adapter": "the adapter in ... cannot be merged into its base",
    "backbone/checkpoint": "... cannot be read",
    "backbone/configuration": "... cannot be read",
    "backbone/held": "... cannot be read as plain tensors",
    "backbone/precision": "device ... is not to be had here",
    "backbone/sentence_folder": "... cannot be read",
    "backbone/settings_files": "... cannot be read",
    "backbone/tiny": "caught where the name is read",
    "cli/values": "argument --...:, as argparse says it",
    "engine/stacks": "the model ... cannot be run layer by layer",
    "files": "... is damaged",
    "persistence": "... is damaged",
    "scale/__init__": "Python's own form for a name that a module lacks",
    "sweep/sweep_file": "... is damaged",
}
# A command to type comes last and has no full stop, so that it can be copied.
COMMAND = re.compile(r": (pip install|skraee) [^;]*$")


def shown(text: str) -> str:
    return text.replace("\0", "|")


def test_reasons_come_from_places_that_are_quoted() -> None:
    places = {message.module for message in MESSAGES if message.is_reason}
    known = {p for p in places if p in QUOTED or p.partition("/")[0] in QUOTED}
    assert places - known == set()
    unused = {q for q in QUOTED if not any(p.startswith(q) for p in places)}
    assert unused == set()


@pytest.mark.parametrize("text", [shown(message.text) for message in FOR_USERS])
def test_message_is_one_sentence_with_a_way_out(text: str) -> None:
    said, _, way_out = text.partition("; ")
    assert said
    assert way_out, "what is wrong; the way out"
    assert text.endswith(".") or COMMAND.search(text), "a full stop ends a sentence"
    assert re.search(r"[a-z|)'\]][.!] [A-Z]", text) is None, "more than one sentence"
    assert len(text) < 310, "too long to be read at once"


def test_messages_of_all_places_are_seen() -> None:
    assert len(FOR_USERS) > 300
    homes = {message.module.partition("/")[0] for message in FOR_USERS}
    assert {"text", "backbone", "cli", "persistence", "estimator", "readout"} <= homes
