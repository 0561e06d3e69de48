"""Layers that are found out from a model itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from skraee import EarlyExitClassifier, toy
from skraee.backbone.discovery import UndiscoveredError, discovered
from skraee.backbone.families import FAMILIES
from skraee.backbone.handle import Backbone
from skraee.backbone.kinds import kind_of, model_class_of
from skraee.engine.agreement import believed
from tests.support.checkpoints import small_tokenizer
from tests.support.models import MODELS, tiny_model, toy_objects

X, Y = toy.reviews(40)


@pytest.mark.parametrize("name", [n for n in MODELS if not n.startswith("albert")])
def test_what_is_discovered_is_what_the_rows_say(name: str) -> None:
    model = tiny_model(name)
    row = FAMILIES[model.config.model_type]
    found = discovered(model, row.kind)
    assert (found.stacks, found.layers) == (row.stacks, row.layers)
    closing = [n for n in row.final_norms if _at(model, f"{row.stacks[0]}.{n}")]
    assert found.final_norms == tuple(closing)
    assert found.between == tuple(n for n in row.between if _at(model, _in(row, n)))


def _in(row: Any, name: str) -> str:
    return f"{row.stacks[0]}.{name}"


def _at(model: nn.Module, path: str) -> nn.Module | None:
    owner, _, name = path.rpartition(".")
    found: nn.Module | None = getattr(model.get_submodule(owner), name)
    return found


def test_limit_of_positions_is_that_of_a_table_whatever_its_name() -> None:
    config = tf.CTRLConfig(vocab_size=64, n_embd=16, dff=24, n_layer=2, n_head=2)
    model = tf.CTRLLMHeadModel(config).eval()
    assert discovered(model, "causal").positions(config) == config.n_positions
    bert = tiny_model("roberta")
    bert.config.max_position_embeddings = 10_000
    assert discovered(bert, "masked").positions(bert.config) == 160 - 2


# A model that nobody here has heard of


class OwnConfig(tf.PretrainedConfig):
    model_type = "own"

    def __init__(self, looks_ahead: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.looks_ahead = looks_ahead
        self.hidden_size = 16
        self.num_hidden_layers = 3


class OwnLayer(nn.Module):
    def __init__(self, config: OwnConfig) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.looks_ahead = config.looks_ahead

    def forward(self, hidden: Tensor, is_padding: Tensor | None) -> Tensor:
        n = hidden.shape[1]
        ahead = None if self.looks_ahead else torch.ones(n, n).triu(1).bool()
        x = self.norm(hidden)
        made, _ = self.attention(x, x, x, key_padding_mask=is_padding, attn_mask=ahead)
        return hidden + made


class OwnModel(tf.PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config: OwnConfig, order: int = 1) -> None:
        super().__init__(config)
        self.words = nn.Embedding(config.vocab_size, 16)
        self.blocks = nn.ModuleList(OwnLayer(config) for _ in range(3))
        self.last = nn.LayerNorm(16)
        self.order = order
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def get_output_embeddings(self) -> None:
        return None

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool = False,
        return_dict: bool = True,
        use_cache: bool = False,
    ) -> Any:
        is_padding = None if attention_mask is None else attention_mask == 0
        states = [self.words(input_ids)]
        for block in list(self.blocks)[:: self.order]:
            states.append(block(states[-1], is_padding))
        hidden_states = (*states[:-1], self.last(states[-1]))
        shown = hidden_states if output_hidden_states else None
        return BaseModelOutput(last_hidden_state=hidden_states[-1], hidden_states=shown)


def own_model(order: int = 1, *, looks_ahead: bool = True) -> OwnModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vocabulary = len(toy_objects()[1])
        config = OwnConfig(looks_ahead=looks_ahead, vocab_size=vocabulary)
        return OwnModel(config, order).eval()


@pytest.mark.parametrize(("looks_ahead", "kind"), [(True, "masked"), (False, "causal")])
def test_model_of_an_unknown_class_classifies(looks_ahead: bool, kind: str) -> None:
    backbone = Backbone(own_model(looks_ahead=looks_ahead), toy_objects()[1])
    loaded = believed(backbone.load())
    assert (loaded.family.kind, loaded.family.final_norms) == (kind, ("last",))
    clf = EarlyExitClassifier(backbone, threshold=1.0, memory=None).fit(X, Y)
    assert clf.n_layers_ == 3
    assert (clf.predict(X[:5]) == [clf.predict([x])[0] for x in X[:5]]).all()


def test_layers_that_run_in_another_order_are_refused() -> None:
    model = own_model(order=-1)
    with pytest.raises(UndiscoveredError, match="no list of 3 layers"):
        discovered(model, "masked")
    with pytest.raises(ValueError, match=r"this OwnModel \(type 'own'\) are not supp"):
        Backbone(model, toy_objects()[1]).load()


def test_discovery_leaves_nothing_on_the_model() -> None:
    model = tiny_model("llama")
    discovered(model, "causal")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


# Which kind, and what reads it


@pytest.mark.parametrize(
    ("config", "architecture", "kind", "auto"),
    [
        (tf.BertConfig, "BertForMaskedLM", "masked", "AutoModelForMaskedLM"),
        (tf.BertConfig, "BertModel", "masked", "AutoModelForMaskedLM"),
        (tf.BertConfig, "BertLMHeadModel", "causal", "AutoModelForCausalLM"),
        (tf.RobertaConfig, None, "masked", "AutoModelForMaskedLM"),
        (tf.LlamaConfig, "LlamaForSequenceClassification", "causal", None),
        (tf.BartConfig, "BartForConditionalGeneration", "seq2seq", None),
        (tf.BartConfig, "BartModel", "seq2seq", "AutoModelForSeq2SeqLM"),
        (tf.T5Config, "T5WithLMHeadModel", "seq2seq", "AutoModelForSeq2SeqLM"),
        (tf.T5Config, "T5EncoderModel", "masked", "AutoModelForTextEncoding"),
        (tf.CLIPTextConfig, "CLIPTextModel", "masked", "AutoModel"),
    ],
)
def test_class_is_what_the_architecture_says(
    config: Any, architecture: str | None, kind: str, auto: str | None
) -> None:
    made = config(architectures=None if architecture is None else [architecture])
    found = model_class_of(made)
    assert found.kind == kind
    assert found.auto == (auto or found.auto)


def test_encoder_of_an_encoder_decoder_is_read_as_an_encoder(tmp_path: Any) -> None:
    config = tiny_model("t5").config
    model = tf.T5EncoderModel(config).eval()
    assert kind_of(model) == "masked"
    model.save_pretrained(tmp_path)
    small_tokenizer().save_pretrained(tmp_path)
    loaded = believed(Backbone(tmp_path).load("float32"))
    assert (loaded.family.kind, loaded.family.stacks) == ("masked", ("encoder",))
    assert not loaded.has_head


def test_type_without_a_language_model_is_named() -> None:
    with pytest.raises(ValueError, match=r"'vit' are not supported.*no language model"):
        model_class_of(tf.ViTConfig())
