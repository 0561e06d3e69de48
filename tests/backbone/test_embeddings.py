"""What config.json says of outputs, tokens and positions is not believed blindly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skraee import RAEEClassifier, toy
from skraee.backbone.embeddings import n_positions
from skraee.backbone.handle import Backbone
from skraee.backbone.output_flags import without_output_flags
from skraee.backbone.registry import clear_backbones
from skraee.exceptions import TruncationWarning
from tests.support.checkpoints import change_settings, saved, saved_toy, small_tokenizer
from tests.support.models import MODELS, loaded, tiny_model
from tests.support.runs import label_proba

pytestmark = pytest.mark.usefixtures("fresh_backbones")

X, Y = toy.reviews(40)


# Output flags

FLAGS: dict[str, dict[str, Any]] = {
    "tuples": {"return_dict": False},
    "states": {"output_hidden_states": True},
    "attentions": {"output_attentions": True},
    "script": {"torchscript": True},
    "no cache": {"use_cache": False},
    "all": {
        "return_dict": False,
        "output_hidden_states": True,
        "output_attentions": True,
        "use_cache": True,
    },
}
NAMES = ("bert", "albert", "deberta-v2", "modernbert", "gpt2", "opt", "gemma2", "t5")


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("name", NAMES)
def test_output_flags_of_a_folder_change_nothing(
    name: str, flags: dict[str, Any], tmp_path: Path
) -> None:
    saved(tmp_path, name)
    expected = label_proba(Backbone(tmp_path).load("float32"))
    change_settings(tmp_path, **flags)
    clear_backbones()
    found = label_proba(Backbone(tmp_path).load("float32"))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("name", NAMES)
def test_output_flags_of_an_object_change_nothing_and_stay(
    name: str, flags: dict[str, Any]
) -> None:
    model = tiny_model(name)
    if "output_attentions" in flags:
        model.set_attn_implementation("eager")
    for flag, value in flags.items():
        setattr(model.config, flag, value)
    before = model.config.to_dict()
    found = label_proba(Backbone(model, small_tokenizer()).load())
    expected = label_proba(loaded(name))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert model.config.to_dict() == before
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_without_flags_is_taken_as_it_is() -> None:
    model = tiny_model("bert")
    assert without_output_flags(model) is model
    model.config.return_dict = False
    twin = without_output_flags(model)
    assert twin.config.return_dict
    assert not model.config.return_dict
    weights = zip(twin.parameters(), model.parameters(), strict=True)
    assert all(one is other for one, other in weights)


# Tokens


def tokenizer_with(n_more: int, *, special: bool) -> Any:
    tokenizer = small_tokenizer()
    tokens = [f"more{i}" for i in range(n_more)]
    if special:
        tokenizer.add_special_tokens({"additional_special_tokens": tokens})
    else:
        tokenizer.add_tokens(tokens)
    return tokenizer


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_a_tokenizer_with_more_tokens_than_the_model_embeds_is_refused_at_load(
    name: str, tmp_path: Path
) -> None:
    saved(tmp_path, name)
    tokenizer_with(3, special=False).save_pretrained(tmp_path)
    message = r"makes 67 token ids \(the last is 'more2'\) .*embeddings for 64; give"
    with pytest.raises(ValueError, match=message):
        Backbone(tmp_path).load("float32")
    with pytest.raises(ValueError, match=message):
        Backbone(tiny_model(name), tokenizer_with(3, special=False)).load()


def test_tokens_that_no_text_produces_need_no_embedding() -> None:
    # Gemma 3 has one for images in its models of text.
    backbone = Backbone(tiny_model("llama"), tokenizer_with(1, special=True))
    assert backbone.load().tokenizer.largest_id == 63


def test_marks_around_every_text_need_an_embedding() -> None:
    tokenizer = small_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "<another mask>"})
    with pytest.raises(ValueError, match=r"makes 65 token ids .*'<another mask>'"):
        Backbone(tiny_model("bert"), tokenizer).load()


def test_a_model_that_embeds_more_than_the_tokenizer_makes_is_fine() -> None:
    model = tiny_model("bert")
    model.resize_token_embeddings(80, mean_resizing=False)
    assert Backbone(model.eval(), small_tokenizer()).load().n_token_ids == 80


# Positions


def test_every_family_ends_where_its_own_table_does() -> None:
    limits = {name: loaded(name).position_limit for name in MODELS}
    offset = dict.fromkeys(("roberta", "xlm-roberta", "camembert", "mpnet"), 158)
    relative = {**dict.fromkeys(("t5", "flan-t5", "mt5"), 512), "bloom": None}
    assert limits == {**dict.fromkeys(MODELS, 160), **offset, **relative}


@torch.no_grad()
@pytest.mark.parametrize(
    "name", [n for n in MODELS if n_positions(tiny_model(n)) is not None]
)
def test_the_last_position_is_one_that_the_model_has(name: str) -> None:
    limit = n_positions(tiny_model(name))
    assert limit is not None
    model = tiny_model(name)
    model(torch.full((1, limit), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, limit + 1), 5))


def test_a_table_that_ends_earlier_than_the_configuration_says_counts() -> None:
    model = tiny_model("bert")
    table = model.bert.embeddings.position_embeddings
    short = nn.Embedding.from_pretrained(table.weight.detach()[:20])
    model.bert.embeddings.position_embeddings = short
    found = Backbone(model, small_tokenizer()).load()
    assert model.config.max_position_embeddings == 160
    assert found.position_limit == 20


def test_roberta_whose_configuration_names_no_padding_ends_where_its_table_does() -> (
    None
):
    model = tiny_model("roberta")
    model.config.pad_token_id = None
    backbone = Backbone(model, small_tokenizer())
    clf = RAEEClassifier(
        backbone, "{text} {mask}", label_words={0: "w5", 1: "w6"}, memory=None
    )
    assert backbone.load().position_limit == 158
    with pytest.warns(TruncationWarning, match="fit prompts of 158 tokens"):
        clf.fit(["w7 " * 300, "w8 w9"] * 8, [0, 1] * 8)


def test_configuration_that_the_library_refuses_is_named(tmp_path: Path) -> None:
    change_settings(saved_toy(tmp_path), use_return_dict=False)
    with pytest.raises(ValueError, match=r"config\.json in .* cannot be read \(Attr"):
        Backbone(tmp_path).load()
