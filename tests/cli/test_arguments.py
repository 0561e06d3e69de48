"""The parser: arguments and options in any order."""

from __future__ import annotations

from itertools import chain, permutations

import pytest

from skraee.cli.arguments import parser
from skraee.cli.main import main

OPTIONS = [["--limit", "1"], ["--json"]]


@pytest.mark.parametrize(
    "words", list(permutations([["model"], ["data"], *OPTIONS])), ids=str
)
def test_arguments_are_found_before_behind_and_between_options(words):
    arguments = parser().parse_args(["explain", *chain(*words)])
    places = [words.index(["model"]), words.index(["data"])]
    expected = ["model", "data"] if places[0] < places[1] else ["data", "model"]
    assert [str(arguments.model), str(arguments.data)] == expected
    assert (arguments.limit, arguments.json) == (1, True)


def test_argument_that_may_be_left_out_is():
    arguments = parser().parse_args(["explain", "model", "--json", "--text", "a"])
    assert (arguments.data, arguments.text) == (None, ["a"])


def test_several_names_may_be_parted_by_an_option():
    words = ["templates", "backbone", "one", "--json", "two"]
    assert parser().parse_args(words).classes == ["one", "two"]


def test_standard_input_is_an_argument_behind_an_option():
    words = ["predict", "--text", "a", "--text", "b", "model", "--json", "-"]
    arguments = parser().parse_args(words)
    assert (str(arguments.new), arguments.text_column) == ("-", ["a", "b"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "--json"], "the following arguments are required: MODEL, DATA"),
        (["predict", "a", "b", "c"], "unrecognized arguments: c"),
        (["info", "a", "--nothing"], "unrecognized arguments: --nothing"),
        (["fit", "a", "-o", "b"], "arguments are required: --backbone"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line_behind_the_usage(words, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(words)
    assert exit_info.value.code == 2
    *usage, last = capsys.readouterr().err.splitlines()
    assert message in last
    assert usage[0].startswith("usage: skraee")


def test_usage_of_a_command_names_its_arguments(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "--limit", "0"])
    assert "MODEL [DATA]" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", parser()._subparsers._group_actions[0].choices)
def test_help_of_each_command_can_be_printed(name, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([name, "--help"])
    assert exit_info.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: skraee {name} ")
