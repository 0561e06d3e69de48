"""``skraee completion``: what a shell offers while a command is typed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from skraee.cli.arguments import COMMANDS, parser
from skraee.cli.completion import script
from skraee.cli.main import main
from tests.support.shells import fish_offers, zsh

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def offered(folder: Path, *typed: str) -> set[str]:
    """What bash offers for the last word, in a folder."""
    (folder / "completion.bash").write_text(script(parser(), "bash"), encoding="utf-8")
    words = " ".join(f"'{word}'" for word in ("skraee", *typed))
    asked = (
        f"source completion.bash; rm completion.bash; COMP_WORDS=({words}); "
        f'COMP_CWORD={len(typed)}; _skraee; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", asked],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


# What is typed -> what is offered for the last word.
ASKED = [
    (["ev"], {"evaluate"}),
    (["--quiet", "pre"], {"predict"}),
    (["fit", "--ex"], {"--exit-by"}),
    (["fit", "--exit-by", ""], {"retrieval", "confidence"}),
    (["fit", "--dtype", "float"], {"float16", "float32"}),
    (["info", "--j"], {"--json"}),
    (["evaluate", "--min"], {"--min-accuracy"}),
    (["info", "my"], {"my model.skraee"}),
    (["predict", "m.skraee", "-o", "my"], {"my model.skraee"}),
]
SHELLS = {"bash", "zsh", "fish"}


@needs_bash
@pytest.mark.parametrize(
    ("typed", "expected"), [*ASKED, (["info", "my m"], ASKED[-1][1])]
)
def test_bash_offers_what_can_stand_there(typed, expected, tmp_path):
    (tmp_path / "my model.skraee").touch()
    assert offered(tmp_path, *typed) == expected


@needs_bash
def test_bash_offers_commands_and_options_at_the_beginning(tmp_path):
    options = {"-h", "--help", "--version", "--debug", "--quiet"}
    assert offered(tmp_path, "") == {*COMMANDS} | options
    assert SHELLS | {"-h", "--help", "--debug"} <= offered(tmp_path, "completion", "")


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a model and the completion of the shell in a test's name."""
    shell = request.node.name.split("_")[1]
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    (tmp_path / "my model.skraee").touch()
    (tmp_path / "completion").write_text(script(parser(), shell), encoding="utf-8")
    return tmp_path


def test_fish_offers_what_can_stand_there(folder):
    for typed, expected in ASKED:
        assert fish_offers(folder, " ".join(["skraee", *typed])) == expected, typed
    assert fish_offers(folder, "skraee ") == {*COMMANDS}
    assert fish_offers(folder, "skraee completion ") == SHELLS


def test_zsh_offers_what_can_stand_there(folder):
    with zsh(folder) as shell:
        for typed, expected in ASKED:
            assert shell.offers(" ".join(["skraee", *typed])) == expected, typed
        assert shell.offers("skraee ") == {*COMMANDS}
        assert shell.offers("skraee completion ") >= SHELLS


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_command_and_option(shell, capsys):
    assert main(["completion", shell]) == 0
    told = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert name in told
        for option in " ".join(command.options).split():
            if option.startswith("--"):
                written = f"-l {option[2:]}" if shell == "fish" else option
                assert written in told


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_is_one_that_the_shell_reads(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    path = tmp_path / "script"
    path.write_text(script(parser(), shell), encoding="utf-8")
    subprocess.run([shell, "-n", str(path)], check=True)


def test_zsh_hides_its_signs_in_what_an_option_is_for():
    told = script(parser(), "zsh")
    assert "'*--limit[explain the first N texts of DATA (10)]:value:_files'" in told
    assert (
        "'*--dtype[numbers that the backbone computes in (auto)]:value:(auto " in told
    )


def test_fish_offers_values_only_where_there_are_some():
    lines = script(parser(), "fish").splitlines()
    (shells,) = [line for line in lines if "bash zsh fish" in line]
    assert shells == (
        "complete -c skraee -n '__fish_seen_subcommand_from completion' -f "
        "-a 'bash zsh fish'"
    )
    seen = "__fish_seen_subcommand_from"
    outputs = [line for line in lines if "-s o -l output -r" in line]
    assert [line.split(seen)[1].split("'")[0].strip() for line in outputs] == [
        "fit",
        "predict",
        "report",
    ]


def test_completion_of_another_shell_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["completion", "tcsh"])
    assert exit_info.value.code == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
