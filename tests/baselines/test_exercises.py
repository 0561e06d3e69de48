"""Exercises for each kind of model."""

from __future__ import annotations

import numpy as np
import pytest

from skraee import toy
from skraee.backbone.loaded import LoadedBackbone
from skraee.baselines.sleb.exercises import exercises_for
from skraee.text.tokenizer import TextTokenizer
from tests.baselines.skipped_blocks import KINDS
from tests.support.models import toy_objects


def prompt_ids(backbone: LoadedBackbone, text: str) -> list[int]:
    tokenizer = backbone.tokenizer
    own = tokenizer.plain([text], first=True)[0]
    return [*tokenizer.prefix_ids, *own, *tokenizer.suffix_ids]


TEXT = " ".join(toy.reviews(12, seed=3)[0])


def test_causal_exercise_predicts_every_next_token() -> None:
    backbone = toy.backbone("causal").load()
    (exercise,) = exercises_for(backbone, [TEXT], np.random.RandomState(0))
    ids = [
        *backbone.tokenizer.prefix_ids,
        *backbone.tokenizer.plain([TEXT], first=True)[0],
    ]
    assert list(exercise.prompt.ids) == ids
    assert list(exercise.targets) == ids[1:]
    assert exercise.positions == tuple(range(len(ids) - 1))


def test_masked_exercise_hides_15_percent_of_the_texts_own_tokens() -> None:
    backbone = toy.backbone("masked").load()
    (exercise,) = exercises_for(backbone, [TEXT], np.random.RandomState(0))
    ids = prompt_ids(backbone, TEXT)
    hidden = [
        i
        for i, (a, b) in enumerate(zip(ids, exercise.prompt.ids, strict=True))
        if a != b
    ]
    assert list(exercise.positions) == hidden
    assert [exercise.prompt.ids[i] for i in hidden] == [
        backbone.tokenizer.mask_id
    ] * len(hidden)
    assert [ids[i] for i in hidden] == list(exercise.targets)
    assert len(hidden) == round(0.15 * (len(ids) - 2))
    assert min(hidden) >= 1
    assert max(hidden) < len(ids) - 1


def test_seq2seq_exercise_can_be_put_together_again() -> None:
    backbone = toy.backbone("seq2seq").load()
    (exercise,) = exercises_for(backbone, [TEXT], np.random.RandomState(0))
    mark = backbone.tokenizer.unk_id
    ids = prompt_ids(backbone, TEXT)
    read, written = list(exercise.prompt.ids), list(exercise.targets)
    n_spans = read.count(mark)
    assert n_spans == written.count(mark) > 2
    assert written[0] == mark
    assert exercise.decoder_ids == (
        backbone.model.config.decoder_start_token_id,
        *written[:-1],
    )
    starts = [i for i, token in enumerate(written) if token == mark]
    ends = [*starts[1:], len(written) - 1]
    spans = [written[a + 1 : b] for a, b in zip(starts, ends, strict=True)]
    assert min(map(len, spans)) >= 1
    assert sum(map(len, spans)) == round(0.15 * (len(ids) - 1))
    together = []
    for token in read:
        together += spans.pop(0) if token == mark else [token]
    assert together == ids
    assert [mark, mark] not in [read[i : i + 2] for i in range(len(read))]


def test_seq2seq_exercise_uses_the_models_sentinels() -> None:
    _, hf = toy_objects("seq2seq")
    hf.add_special_tokens(
        {"additional_special_tokens": ["<extra_id_0>", "<extra_id_1>"]}
    )
    backbone = toy.backbone("seq2seq").load()
    tokenizer = TextTokenizer.from_hf(hf)
    changed = LoadedBackbone(
        backbone.model, tokenizer, backbone.family, backbone.dtype, backbone.device, ""
    )
    text = " ".join(["film"] * 40)
    (exercise,) = exercises_for(changed, [text], np.random.RandomState(0))
    marks = hf.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
    assert [i for i in exercise.prompt.ids if i in marks] == marks
    assert [i for i in exercise.targets if i in marks] == marks


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_words", range(1, 30))
def test_exercises_of_every_length_are_whole(kind: toy.Kind, n_words: int) -> None:
    backbone = toy.backbone(kind).load()
    text = " ".join(["film"] * n_words)
    for seed in range(3):
        (exercise,) = exercises_for(backbone, [text], np.random.RandomState(seed))
        assert len(exercise.positions) == len(exercise.targets) >= 1
        assert len(exercise.prompt.ids) <= n_words + 2
        if kind == "masked":
            assert len(exercise.positions) == max(1, round(0.15 * n_words))


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_are_all_empty_are_a_clear_error(kind: toy.Kind) -> None:
    backbone = toy.backbone(kind).load()
    with pytest.raises(ValueError, match="none of 2 calibration texts is long enough"):
        exercises_for(backbone, ["", "  "], np.random.RandomState(0))
