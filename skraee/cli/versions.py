"""``skraee versions``: what to name in a bug report."""

from __future__ import annotations

import argparse

from skraee.cli.command import Command
from skraee.versions import show_versions


def _versions(arguments: argparse.Namespace) -> None:
    show_versions()


COMMAND = Command("versions", "versions for a bug report", run=_versions, options={})
