"""From a folder to a model without a head, whatever its type: sentence encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from skraee.backbone.claims import refuse_more_layers, refuse_not_finite
from skraee.backbone.configuration import read_configuration
from skraee.backbone.gaps import drop_random_pooler, refuse_gaps
from skraee.backbone.output_flags import reset_output_flags
from skraee.backbone.quiet import quiet_loading
from skraee.backbone.tokenizer_files import read_tokenizer
from skraee.backbone.weights import read_model

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
    from transformers import AutoModel

    _, config, held = read_configuration(folder)
    reset_output_flags(config)
    tokenizer = read_tokenizer(folder, config)
    # A pooler that is lacking is drawn first.
    with quiet_loading(), torch.random.fork_rng(devices=[]):
        model, report = read_model(AutoModel, folder, config, torch.float32, held)
    drop_random_pooler(model, report)
    refuse_gaps(folder, report)
    refuse_more_layers(folder, model, report["unexpected_keys"])
    refuse_not_finite(repr(str(folder)), model, held)
    return model.eval(), tokenizer
