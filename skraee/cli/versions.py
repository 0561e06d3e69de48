"""``skraee versions``: what to name in a bug report."""

from __future__ import annotations

import argparse

from skraee.cli.command import Command
from skraee.cli.options import JSON
from skraee.cli.streams import say_json
from skraee.versions import show_versions, versions


def _versions(arguments: argparse.Namespace) -> None:
    if arguments.json:
        say_json(versions())
    else:
        show_versions()


COMMAND = Command("versions", "versions for a bug report", run=_versions, options=JSON)
