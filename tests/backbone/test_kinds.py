"""Which class reads a checkpoint, and what its decoder starts from."""

from __future__ import annotations

from typing import Any

import pytest

from skraee.backbone.kinds import decoder_start
from tests.support.models import tiny_model


@pytest.mark.parametrize(
    ("own", "of_generation", "start"),
    [(7, None, 7), (None, 5, 5), (7, 5, 7), (0, 5, 0)],
)
def test_a_decoder_starts_from_what_either_configuration_names(
    own: Any, of_generation: Any, start: int
) -> None:
    model = tiny_model("t5")
    model.config.decoder_start_token_id = own
    model.generation_config.decoder_start_token_id = of_generation
    assert decoder_start(model) == start


def test_a_decoder_without_a_start_is_refused() -> None:
    model = tiny_model("t5")
    model.config.decoder_start_token_id = None
    model.generation_config.decoder_start_token_id = None
    with pytest.raises(
        ValueError, match=r"names no token that its decoder starts from"
    ):
        decoder_start(model)
    del model.generation_config
    with pytest.raises(ValueError, match=r"set config.decoder_start_token_id"):
        decoder_start(model)
