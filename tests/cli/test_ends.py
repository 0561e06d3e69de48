"""How a command ends: its exit status, and what it says of an error."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from skraee import __version__
from skraee.cli import arguments
from skraee.cli.command import Command
from skraee.cli.main import main

Ending = Callable[[Callable[[argparse.Namespace], int | None]], None]


@pytest.fixture
def versions_does(monkeypatch: pytest.MonkeyPatch) -> Ending:
    """Put something else in the place of ``skraee versions``."""

    def put(run: Callable[[argparse.Namespace], int | None]) -> None:
        command = Command("versions", "versions", run=run, options={})
        monkeypatch.setitem(arguments.COMMANDS, "versions", command)

    return put


def raising(error: BaseException) -> Callable[[argparse.Namespace], int | None]:
    def run(_: argparse.Namespace) -> None:
        raise error

    return run


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1)])
def test_status_is_what_the_command_found(returned, status, versions_does):
    versions_does(lambda _: returned)
    assert main(["versions"]) == status


def test_error_of_the_user_is_one_line(versions_does, capsys):
    versions_does(raising(ValueError("k must be at least 1,\n got 0")))
    assert main(["versions"]) == 2
    told = capsys.readouterr()
    assert told.err == "skraee: error: k must be at least 1, got 0\n"
    assert told.out == ""


def test_error_of_ours_is_one_line_that_names_the_way_on(versions_does, capsys):
    versions_does(raising(KeyError("lost")))
    assert main(["versions"]) == 2
    assert capsys.readouterr().err == (
        "skraee: error: KeyError: 'lost' (run it again with --debug to see where that "
        "came from)\n"
    )


@pytest.mark.parametrize("words", [["--debug", "versions"], ["versions", "--debug"]])
@pytest.mark.parametrize("error", [ValueError("told"), KeyError("told")])
def test_debug_shows_where_an_error_came_from(words, error, versions_does, capsys):
    versions_does(raising(error))
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last)")
    assert "in run\n" in told
    assert "skraee: error: " in told.splitlines()[-1]


def test_interrupt_ends_with_130_and_one_line(versions_does, capsys):
    versions_does(raising(KeyboardInterrupt()))
    assert main(["versions"]) == 130
    assert capsys.readouterr().err == "skraee: stopped\n"


def test_nothing_after_skraee_shows_the_help_and_is_refused(capsys):
    assert main([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "exit status:" in told.err


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["--version"])
    assert exit_info.value.code == 0
    assert capsys.readouterr().out == f"skraee {__version__}\n"


def test_table_in_the_place_of_the_model_is_one_line(model, labelled, capsys):
    assert main(["predict", str(labelled), str(labelled)]) == 2
    told = capsys.readouterr().err
    assert "by its ending it is a table; the model comes first" in told


def test_help_names_each_exit_status(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["--help"])
    assert exit_info.value.code == 0
    told = capsys.readouterr().out
    for status in ("\n  0  ", "\n  1  ", "\n  2  ", "\n  130"):
        assert status in told
    for name, command in arguments.COMMANDS.items():
        assert f"\n    {name}" in told
        assert command.about.split()[0] in told
