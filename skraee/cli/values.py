"""Values of options, as they are written on the command line."""

from __future__ import annotations

import os
import re
from argparse import ArgumentTypeError


def separator(written: str) -> str:
    """Return one sign; tab may be written out."""
    sign = "\t" if written in ("tab", r"\t") else written
    if len(sign) != 1 or sign in '"\r\n':
        raise ArgumentTypeError(
            f"write one sign such as ',', ';' or '|', or tab, not {written!r}"
        )
    return sign


def label_words(written: str) -> dict[str, str]:
    """Return class to word."""
    parts = [part.rpartition("=") for part in written.split(",")]
    pairs = [(name.strip(), word.strip()) for name, _, word in parts]
    if not all(name and word for name, word in pairs):
        raise ArgumentTypeError(f"write class=word,class=word, not {written!r}")
    words = dict(pairs)
    if len(words) < len(pairs):
        raise ArgumentTypeError(f"write each class once, not {written!r}")
    return words


def encoder(written: str) -> int | str:
    """Return a depth, or a name."""
    return int(written) if re.fullmatch(r"[+-]?\d+", written) else written


def at_least_one(written: str) -> int:
    """Return a whole number from 1 on."""
    if not re.fullmatch(r"\+?0*[1-9]\d*", written):
        raise ArgumentTypeError(f"write a whole number from 1 on, not {written!r}")
    return int(written)


def at_least_none(written: str) -> int:
    """Return a whole number from 0 on."""
    if not re.fullmatch(r"\+?\d+", written, re.ASCII):
        raise ArgumentTypeError(f"write a whole number from 0 on, not {written!r}")
    return int(written)


def device(written: str) -> str | list[str]:
    """Return the name of a device, or several of them."""
    names = [name.strip() for name in written.split(",")]
    if not all(names):
        raise ArgumentTypeError(f"write a device, or device,device, not {written!r}")
    return names[0] if len(names) == 1 else names


def memory(written: str) -> str:
    """Return the path of a folder, so that no name means something else."""
    if not written.strip():
        raise ArgumentTypeError("write the path of a folder")
    return os.path.abspath(written)


def port(written: str) -> int:
    """Return the number of a port; 0 is any that is free."""
    if not re.fullmatch(r"0*\d{1,5}", written) or int(written) > 65_535:
        raise ArgumentTypeError(f"write a number from 0 to 65535, not {written!r}")
    return int(written)


def seconds(written: str) -> float:
    """Return a number above 0."""
    if not re.fullmatch(r"\d*\.?\d+", written) or float(written) == 0:
        raise ArgumentTypeError(f"write a number of seconds above 0, not {written!r}")
    return float(written)
