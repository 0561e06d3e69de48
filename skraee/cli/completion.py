"""``skraee completion``: scripts that make a shell complete commands and options.

They are generated from the parser, so they know what it knows, and nothing runs while
the user types.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from skraee.cli.command import Command, Options
from skraee.cli.streams import say

_COMPLETION: Options = {
    "shell": {
        "choices": ["bash", "zsh", "fish"],
        "help": "put this into its start-up file: in ~/.bashrc "
        'eval "$(skraee completion bash)", in ~/.zshrc behind compinit '
        'eval "$(skraee completion zsh)", in ~/.config/fish/config.fish '
        "skraee completion fish | source",
    },
}


@dataclass(frozen=True)
class Option:
    """What a shell has to know of an option or argument.

    Attributes
    ----------
    names : tuple of str
        As they are typed; empty for an argument that has none.
    about : str
        What it is for.
    takes_value : bool
    choices : tuple of str
        The values that there are; empty for any, and then files are offered.
    """

    names: tuple[str, ...]
    about: str
    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Offer:
    """A command and its options.

    Attributes
    ----------
    name : str
        Empty before any command is typed.
    about : str
    options : tuple of Option
    """

    name: str
    about: str
    options: tuple[Option, ...]


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return what makes a shell complete a command.

    Parameters
    ----------
    parser : ArgumentParser
        With commands.
    shell : {"bash", "zsh", "fish"}

    Returns
    -------
    str
    """
    offers = list(_offers(parser))
    make = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    return "\n".join(make(parser.prog, offers))


def _offers(parser: argparse.ArgumentParser) -> Iterator[Offer]:
    yield Offer("", "", _options(parser))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            abouts = {one.dest: one.help or "" for one in action._choices_actions}
            for name, command in action.choices.items():
                yield Offer(name, abouts[name], _options(command))


def _options(parser: argparse.ArgumentParser) -> tuple[Option, ...]:
    return tuple(
        Option(
            names=tuple(action.option_strings),
            about=_first_part(parser, action),
            takes_value=action.nargs != 0,
            choices=tuple(map(str, action.choices or ())),
        )
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
    )


def _first_part(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return what an option is for, up to the first comma or the like."""
    whole = parser._get_formatter()._expand_help(action) if action.help else ""
    for mark in ("; ", ": ", ", "):
        whole = whole.split(mark)[0]
    return whole


def _bash(prog: str, offers: list[Offer]) -> Iterator[str]:
    yield f'_{prog}_words() {{ COMPREPLY=($(compgen -W "$1" -- "$word")); }}'
    # File names are split at the ends of lines only: they may hold spaces.
    yield f"_{prog}_files() {{"
    yield "    local IFS=$'\\n'"
    yield '    COMPREPLY+=($(compgen -f -- "$word"))'
    yield "}"
    yield f"_{prog}() {{"
    yield '    local word="${COMP_WORDS[COMP_CWORD]}" command="" one'
    yield '    local before="${COMP_WORDS[COMP_CWORD-1]}"'
    yield "    COMPREPLY=()"
    yield '    for one in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield '        case "$one" in -*) ;; *) command="$one"; break ;; esac'
    yield "    done"
    yield '    case "$command,$before" in'
    for offer in offers:
        for option in offer.options:
            if option.takes_value and option.names:
                places = "|".join(f"{offer.name},{name}" for name in option.names)
                yield f"        {places}) {_bash_value(prog, option)}; return ;;"
    yield "    esac"
    yield '    case "$command" in'
    for offer in offers:
        words = " ".join(_words(offer, offers))
        yield f'        "{offer.name}") _{prog}_words "{words}" ;;'
    yield "    esac"
    yield '    case "$command,$word" in ,*|*,-*) ;; *) ' + f"_{prog}_files ;; esac"
    yield "}"
    yield f"complete -o filenames -F _{prog} {prog}"


def _bash_value(prog: str, option: Option) -> str:
    if not option.choices:
        return f"_{prog}_files"
    return f'_{prog}_words "{" ".join(option.choices)}"'


def _words(offer: Offer, offers: list[Offer]) -> Iterator[str]:
    """Yield what can stand behind a command, files apart."""
    if not offer.name:
        yield from (other.name for other in offers if other.name)
    for option in offer.options:
        yield from option.names or option.choices


def _zsh(prog: str, offers: list[Offer]) -> Iterator[str]:
    yield f"_{prog}() {{"
    yield "    local -a commands"
    yield "    local command one"
    yield "    commands=("
    for offer in offers[1:]:
        yield f"        {_quoted(f'{offer.name}:{offer.about}')}"
    yield "    )"
    yield '    for one in "${(@)words[2,CURRENT-1]}"; do'
    yield "        [[ $one == -* ]] || { command=$one; break }"
    yield "    done"
    yield '    case "$command" in'
    for offer in offers:
        yield f'        "{offer.name}")'
        if not offer.name:
            yield "            [[ ${words[CURRENT]} == -* ]] ||"
            yield "                { _describe command commands; return }"
        yield "            _arguments " + " ".join(_zsh_specs(offer)) + " ;;"
    yield "    esac"
    yield "}"
    yield f"compdef _{prog} {prog}"


def _zsh_specs(offer: Offer) -> Iterator[str]:
    """Yield what `_arguments` takes for each option."""
    for option in offer.options:
        about = option.about
        for sign in "\\[]:":
            about = about.replace(sign, f"\\{sign}")
        value = ""
        if option.takes_value:
            words = " ".join(option.choices)
            value = f":value:({words})" if words else ":value:_files"
        for name in option.names:
            yield _quoted(f"*{name}[{about}]{value}")
        if option.choices and not option.names:
            yield _quoted(f"2{value}")
    if offer.name:
        yield _quoted("*:file:_files")


def _fish(prog: str, offers: list[Offer]) -> Iterator[str]:
    for offer in offers:
        seen = f"__fish_seen_subcommand_from {offer.name}"
        condition = _quoted(seen if offer.name else "__fish_use_subcommand")
        if offer.name:
            yield (
                f"complete -c {prog} -n '__fish_use_subcommand' -f -a {offer.name} "
                f"-d {_quoted(offer.about)}"
            )
        for option in offer.options:
            if line := _fish_option(option):
                yield f"complete -c {prog} -n {condition} {line}"


def _fish_option(option: Option) -> str:
    choices = _quoted(" ".join(option.choices))
    if not option.names:
        return f"-f -a {choices}" if option.choices else ""
    names = " ".join(
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
        for name in option.names
    )
    value = ""
    if option.takes_value:
        value = f" -x -a {choices}" if option.choices else " -r"
    return f"{names}{value} -d {_quoted(option.about)}"


def _quoted(text: str) -> str:
    """Return text that every shell takes as one word."""
    return "'" + text.replace("'", "'\\''") + "'"


def _completion(arguments: argparse.Namespace) -> None:
    say(script(arguments.whole_parser, arguments.shell))


COMMAND = Command(
    "completion",
    "print what makes a shell complete commands and options",
    run=_completion,
    options=_COMPLETION,
)
