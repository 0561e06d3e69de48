"""Models on the Hugging Face hub, or in its cache on this machine."""

from __future__ import annotations

from pathlib import Path

from skraee.backbone.checkpoint import ADAPTER_FILES, has_safetensors
from skraee.backbone.sentence_folder import transformer_folder

_SETTINGS = ("*.json", "*.txt", "*.model")
_PROMPTS = ("modules.json", "config_sentence_transformers.json")
_SAFETENSORS = (
    "model.safetensors",
    "model-*-of-*.safetensors",
    "[0-9]_*/model.safetensors",
    "[0-9]_*/model-*-of-*.safetensors",
    ADAPTER_FILES[0],
    f"[0-9]_*/{ADAPTER_FILES[0]}",
)
_PYTORCH = (
    "pytorch_model.bin",
    "pytorch_model-*-of-*.bin",
    "[0-9]_*/pytorch_model.bin",
    "[0-9]_*/pytorch_model-*-of-*.bin",
    ADAPTER_FILES[1],
    f"[0-9]_*/{ADAPTER_FILES[1]}",
)

# The patterns of the hub match across folders, and what lies in folders is the same
# model once more for other programs. Numbered ones are a sentence encoder's steps.
_FOLDERS = ("[!0-9]*/*",)

# Error of the hub's library -> what it means for who named a model.
_REASONS = {
    "LocalEntryNotFoundError": "the hub was not reached and the cache lacks it",
    "HFValidationError": "the hub's names have the form organisation/name",
    "RepositoryNotFoundError": "the hub has none of this name that all may read",
    "RevisionNotFoundError": "the hub has no such revision",
    "GatedRepoError": "its terms are to be accepted on its page first",
}


def snapshot(name: str, revision: str | None, *, local_files_only: bool) -> Path:
    """Fetch a model from the hub, or find it in the hub's cache.

    Only the configuration, the tokenizer and one form of the weights are fetched.

    Parameters
    ----------
    name : str
        ``organisation/name``.
    revision : str or None
        Branch, tag or commit.
    local_files_only : bool
        Look in the cache only.

    Returns
    -------
    Path
        The folder of the snapshot.

    Raises
    ------
    OSError
        If it is neither reachable nor in the cache.
    ValueError
        If it is a sentence encoder without a transformer.
    """
    folder = _found(name, revision, local_files_only, _SETTINGS + _SAFETENSORS)
    inner = transformer_folder(folder)
    if not (has_safetensors(inner) or (inner / ADAPTER_FILES[0]).is_file()):
        folder = _found(name, revision, local_files_only, _SETTINGS + _PYTORCH)
    return folder


def prompt_files(name: str, revision: str | None, *, local_files_only: bool) -> Path:
    """Fetch just the files that name a sentence encoder's prompts.

    Parameters
    ----------
    name, revision, local_files_only
        As in `snapshot`.
    """
    return _found(name, revision, local_files_only, _PROMPTS)


def _found(
    name: str, revision: str | None, local_files_only: bool, patterns: tuple[str, ...]
) -> Path:
    """Fetch files, or say in one sentence that they are not to be had."""
    try:
        return _fetch(name, revision, local_files_only, patterns)
    except Exception as error:
        raise OSError(
            f"model {name!r}{f' at revision {revision!r}' if revision else ''} is "
            "neither a local folder or .gguf file nor to be had from the hub or its "
            f"cache ({_reason(error)}); check the name, the network, or give the path "
            "of a folder made with save_pretrained."
        ) from error


def _reason(error: Exception) -> str:
    """Return in words why the hub gave nothing."""
    name = type(error).__name__
    return _REASONS.get(name, name)


def _fetch(
    name: str, revision: str | None, local_files_only: bool, patterns: tuple[str, ...]
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder: str = snapshot_download(
            name,
            revision=revision,
            local_files_only=local_files_only,
            allow_patterns=list(patterns),
            ignore_patterns=list(_FOLDERS),
        )
    except LocalEntryNotFoundError as error:
        # No network, and not all of the hub's files: reading shows whether they do.
        if not hasattr(error, "snapshot_path"):
            raise
        folder = error.snapshot_path
    return Path(folder)
