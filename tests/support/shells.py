"""What the completion of zsh and fish offers, asked of the shells themselves."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Writes what zsh finds, and a line when it has looked, behind its own back: there is
# no call for it as there is in fish.
_ZSH = r"""
PS1=''; autoload -Uz compinit; compinit -u -d dump; source completion
compadd () {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
    local -a found; builtin compadd -A found "$@"
    print -lr -- $found >> found; builtin compadd "$@"
}
look () { zle complete-word; print -r -- END >> found }
zle -N look; bindkey '^I' look; touch ready
"""


def fish_offers(folder: Path, line: str) -> set[str]:
    """Ask fish; the script is the file ``completion`` of the folder."""
    asked = "source completion; complete -C $argv[1]"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked, line],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return {one.partition("\t")[0] for one in done.stdout.splitlines()}


class Zsh:
    """A zsh at a terminal, in a folder with the script ``completion``."""

    def __init__(self, folder: Path, terminal: int) -> None:
        self._folder, self._terminal = folder, terminal
        (folder / "begin").write_text(_ZSH, encoding="utf-8")
        self._type("source begin\n")
        self._wait_for("ready", "")

    def offers(self, line: str) -> set[str]:
        """Return what is offered where a line is typed so far."""
        (self._folder / "found").write_text("")
        self._type(f"{line}\t")
        found = self._wait_for("found", "END\n").splitlines()
        self._type("\x15\x15")  # the line is taken back
        # What it would write into the line, with its signs for spaces.
        return {one.replace("\\", "") for one in found[:-1]} - {""}

    def _type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def _wait_for(self, name: str, end: str) -> str:
        path, until = self._folder / name, time.monotonic() + 60
        while time.monotonic() < until:
            if select.select([self._terminal], [], [], 0.05)[0]:
                os.read(self._terminal, 2**16)  # or it would wait for a reader
            if path.exists() and (told := path.read_text()).endswith(end):
                return told
        raise TimeoutError(f"zsh has not written {name}")


@contextmanager
def zsh(folder: Path) -> Iterator[Zsh]:
    """Start zsh in a folder; it ends with the block."""
    import pty  # which Windows has not

    above, below = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"],
        stdin=below,
        stdout=below,
        stderr=below,
        cwd=folder,
        env={**os.environ, "TERM": "dumb", "HOME": str(folder), "ZDOTDIR": str(folder)},
        start_new_session=True,
    ) as process:
        os.close(below)
        try:
            yield Zsh(folder, above)
        finally:
            process.kill()
            os.close(above)
