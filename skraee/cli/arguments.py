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
    templates,
    versions,
)
from skraee.cli.command import Command
from skraee.cli.options import EVERYWHERE
from skraee.versions import installed

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (
        *(demo, fit, predict, explain, evaluate),
        *(info, backbones, templates, completion, versions),
    )
}

_EPILOG = """exit status:
  0    all went well
  1    all was done, and the finding is negative: a backbone that is refused, an
       accuracy below --min-accuracy
  2    something given does not fit, or could not be done; one line says what
  130  stopped with Ctrl-C
"""


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
        dest="command", title="commands", required=True, metavar="COMMAND"
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
