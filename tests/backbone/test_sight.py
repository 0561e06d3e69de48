"""Whether a decoder looks ahead is seen from the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from skraee import Backbone
from skraee.backbone.discovery import family_in
from skraee.backbone.families import FAMILIES
from skraee.backbone.loaded import in_dtype
from skraee.backbone.sight import looks_ahead
from skraee.engine.agreement import believed
from skraee.engine.prefix import takes_prefix
from skraee.text.tokenizer import TextTokenizer
from tests.support.checkpoints import small_tokenizer
from tests.support.models import MODELS, tiny_model
from tests.support.sentence_folders import PUBLISHED, body, sentence_folder

CAUSAL = [
    name for name in MODELS if FAMILIES[MODELS[name][1]().model_type].kind == "causal"
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", CAUSAL)
def test_causal_models_do_not_look_ahead(name: str, dtype: torch.dtype) -> None:
    model = in_dtype(tiny_model(name), dtype)
    tokenizer = TextTokenizer.from_hf(small_tokenizer())
    family = family_in(model, "causal")
    assert not looks_ahead(model, family, tokenizer)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_decoder_that_looks_ahead_is_read_as_an_encoder(
    dtype: str, tmp_path: Path
) -> None:
    folder = sentence_folder(tmp_path, "embeddinggemma-300m")
    backbone = believed(Backbone(folder).load(dtype, "cpu"))
    assert backbone.family.kind == "masked"
    assert not takes_prefix(backbone)


def test_a_model_that_does_not_run_is_left_to_the_look_that_says_why() -> None:
    published = PUBLISHED["embeddinggemma-300m"]
    hf_tokenizer: Any = published.tokenizer()
    model = body(published, hf_tokenizer)
    model.forward = None
    family = family_in(model, "causal")
    assert not looks_ahead(model, family, TextTokenizer.from_hf(hf_tokenizer))
    del model.forward
    assert looks_ahead(model, family, TextTokenizer.from_hf(hf_tokenizer))
