"""From a folder to a model without a head, whatever its type: sentence encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from skraee.backbone.checkpoint import prefers_safetensors
from skraee.backbone.gaps import drop_random_pooler, refuse_gaps
from skraee.backbone.output_flags import reset_output_flags
from skraee.backbone.quiet import quiet_loading

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def read_headless(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load a model in float32, and its tokenizer; a head is left aside.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` writes it, or a hub snapshot.

    Returns
    -------
    model : PreTrainedModel
        In evaluation mode, on the CPU.
    tokenizer : PreTrainedTokenizerFast

    Raises
    ------
    OSError
        If the folder lacks a configuration, weights or a tokenizer.
    ValueError
        If weights are missing, or the type of model is not known.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    safely = {"trust_remote_code": False, "local_files_only": True}
    config = AutoConfig.from_pretrained(folder, **safely)
    reset_output_flags(config)
    # A pooler that is lacking is drawn first.
    with quiet_loading(), torch.random.fork_rng(devices=[]):
        model, report = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=prefers_safetensors(folder),
            weights_only=True,
            output_loading_info=True,
            **safely,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
    drop_random_pooler(model, report)
    refuse_gaps(folder, report)
    return model.eval(), tokenizer
