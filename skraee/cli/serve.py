"""``skraee serve``: a model behind HTTP.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from dataclasses import fields
from pathlib import Path

from skraee.cli.command import Command, Options
from skraee.cli.model_files import opened, read_key
from skraee.cli.options import DEVICE, KEY, MODEL, TRUST
from skraee.cli.streams import is_quiet, tell
from skraee.cli.values import at_least_one, port, seconds
from skraee.exceptions import TruncationWarning, UndecidedWarning
from skraee.serve.limits import Limits
from skraee.serve.token import VARIABLE, read_token

_DEFAULTS = Limits()


def _limit(name: str, metavar: str, about: str) -> Options:
    """Return the option of a limit, which has its name and default."""
    default = getattr(_DEFAULTS, name)
    kind = at_least_one if isinstance(default, int) else seconds
    settings = {"type": kind, "default": default, "metavar": metavar}
    return {
        f"--{name.replace('_', '-')}": {**settings, "help": f"{about} (%(default)s)"}
    }


_SERVE: Options = {
    **MODEL,
    "--host": {
        "default": "127.0.0.1",
        "metavar": "ADDRESS",
        "help": "where to listen; 0.0.0.0 lets other machines in, for which set a "
        "token (%(default)s, this machine only)",
    },
    "--port": {
        "type": port,
        "default": 8000,
        "metavar": "N",
        "help": "0 takes a free one (%(default)s)",
    },
    "--token-file": {
        "type": Path,
        "metavar": "FILE",
        "help": "file with the token that requests must have, as Authorization: Bearer "
        f"TOKEN; by default what the environment has in {VARIABLE}, or none",
    },
    **KEY,
    **DEVICE,
    **_limit("max_texts", "N", "texts of a request and of a batch"),
    **_limit("max_length", "N", "characters of a text"),
    **_limit("max_body", "BYTES", "of a request"),
    **_limit("max_queue", "N", "texts that wait; past it requests get status 429"),
    **_limit("max_explained", "N", "texts of a request to explain"),
    **_limit("max_connections", "N", "connections open at a time"),
    **_limit("receive_timeout", "SECONDS", "within which a request must have come"),
    **_limit("timeout", "SECONDS", "within which a request must be answered"),
    "--stop-timeout": {
        "type": at_least_one,
        "default": 25,
        "metavar": "SECONDS",
        "help": "to answer what was taken, after SIGTERM or Ctrl-C (%(default)s)",
    },
}


def _serve(arguments: argparse.Namespace) -> None:
    given = {field.name: getattr(arguments, field.name) for field in fields(Limits)}
    limits = Limits(**given)
    token = read_token(arguments.token_file)
    key = read_key(arguments.key_file, arguments.model)

    from skraee.serve.process import is_loopback, run

    clf = opened(arguments, key).set_params(verbose=0)
    if token is None and not is_loopback(arguments.host):
        tell(
            "warning: other machines can ask this service, and it has no token; set "
            "one with --token-file."
        )

    def started(address: str) -> None:
        if not is_quiet(arguments):
            tell(f"{arguments.model} on {address} (what it takes: {address}/docs)")

    # One line for each batch would fill the log, and none of them is news.
    warnings.simplefilter("ignore", UndecidedWarning)
    warnings.simplefilter("ignore", TruncationWarning)
    logging.basicConfig(stream=sys.stderr, format="skraee: %(levelname)s: %(message)s")
    run(
        clf,
        arguments.host,
        arguments.port,
        limits=limits,
        token=token,
        stop_timeout=arguments.stop_timeout,
        on_start=started,
    )


COMMAND = Command(
    "serve",
    "answer with a model over HTTP",
    run=_serve,
    options=_SERVE,
    more=f", until Ctrl-C or SIGTERM; needs the extra 'serve'; {TRUST}",
)
