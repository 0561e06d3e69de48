"""The parser of the command line, put together from its commands."""

from __future__ import annotations

import argparse
from typing import Any

from skraee.cli import (
    backbones,
    completion,
    demo,
    evaluate,
    explain,
    fit,
    info,
    predict,
    report,
    serve,
    templates,
    versions,
)
from skraee.cli.command import Command
from skraee.cli.options import EVERYWHERE
from skraee.versions import installed

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (
        *(demo, fit, predict, explain, evaluate, report, serve),
        *(info, backbones, templates, completion, versions),
    )
}

_EPILOG = """exit status:
  0    all went well
  1    all was done, and the finding is negative: a backbone that is refused, an
       accuracy below --min-accuracy
  2    something given does not fit, or could not be done; one line says what
  130  stopped with Ctrl-C (143 with SIGTERM, 141 where nobody reads the output)
"""


class _CommandParser(argparse.ArgumentParser):
    """Takes arguments behind options as well, also those that may be left out.

    By itself argparse before Python 3.13 decides that such an argument is left out when
    it comes to the first option.
    """

    _is_within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._is_within:
            return super().parse_known_args(args, namespace)
        self._is_within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_within = False


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Returns
    -------
    argparse.ArgumentParser
        Its result names the command in ``command``.
    """
    whole = argparse.ArgumentParser(
        prog="skraee",
        description="Classify text with a frozen language model that stops early,\nat "
        "the layer where similar labelled texts were answered rightly (RAEE).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ours = installed(["skraee"])["skraee"]
    whole.add_argument("--version", action="version", version=f"skraee {ours}")
    for names, settings in EVERYWHERE.items():
        whole.add_argument(*names.split(), **settings)
    commands = whole.add_subparsers(
        dest="command",
        title="commands",
        required=True,
        metavar="COMMAND",
        parser_class=_CommandParser,
    )
    for command in COMMANDS.values():
        _add(commands, command)
    whole.set_defaults(whole_parser=whole)  # of which completion tells
    return whole


def _add(commands: Any, command: Command) -> None:
    one = commands.add_parser(
        command.name,
        help=command.about,
        description=f"{command.about}{command.more}.",
    )
    for names, settings in {**command.options, **EVERYWHERE}.items():
        one.add_argument(*names.split(), **settings)
