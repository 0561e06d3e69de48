"""``skraee backbones``, on toy backbones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers as tf

from skraee import EarlyExitClassifier, toy
from skraee.cli import backbones
from skraee.cli.backbones import BackboneReport, report_on
from skraee.cli.main import main
from tests.benchmarks.tiny import save_sentence_encoder
from tests.support.checkpoints import headless, small_tokenizer


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "_SECONDS", 0.0)


def report(**changes: Any) -> BackboneReport:
    given = {
        "name": "mine",
        "model": "BertModel",
        "model_type": "bert",
        "kind": "masked",
        "found_by": "row",
        "n_layers": 6,
        "n_encoder_layers": 0,
        "width": 384,
        "final_norms": [],
        "has_head": False,
        "pooling": [],
        "positions": 512,
        "usual_length": None,
        "n_token_ids": 30_522,
        "n_parameters": 22_565_376,
        "weight_bytes": 45_130_752,
        "dtype": "bfloat16",
        "device": "cpu",
        "agreed": True,
        "seconds_per_1000_texts": 3.671,
        "n_timed_texts": 400,
    }
    return BackboneReport(**{**given, **changes})


def test_what_is_found_is_printed_name_by_name(capsys):
    names = ["toy:masked:0", "toy:seq2seq:0"]
    assert main(["backbones", *names]) == 0
    shown = capsys.readouterr().out.split("\n\n")
    assert [part.splitlines()[0] for part in shown if part] == names
    assert "BertForMaskedLM (bert), masked, found by its row" in shown[0]
    assert "8 (4 of the encoder, 4 of the decoder) of width 32" in shown[1]
    assert "scaled from 8 texts" in shown[0]


def test_json_is_what_the_model_has(capsys):
    assert main(["backbones", "toy:causal:0", "--json", "--dtype", "float32"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    loaded = toy.backbone("causal").load()
    n_parameters = loaded.model.num_parameters()
    expected = {
        "name": "toy:causal:0",
        "model": "LlamaForCausalLM",
        "model_type": "llama",
        "kind": "causal",
        "found_by": "row",
        "n_layers": 4,
        "n_encoder_layers": 0,
        "width": 32,
        "final_norms": ["norm"],
        "has_head": True,
        "positions": loaded.position_limit,
        "n_token_ids": loaded.n_token_ids,
        "n_parameters": n_parameters,
        "weight_bytes": 4 * n_parameters,
        "dtype": "float32",
        "device": "cpu",
        "agreed": True,
        "n_timed_texts": 8,
    }
    assert expected.items() <= found.items()
    assert found["seconds_per_1000_texts"] > 0


def test_a_backbone_that_is_refused_is_one_line_and_the_others_are_shown(
    tmp_path, capsys
):
    none = str(tmp_path / "none")
    assert main(["backbones", none, "toy:masked:0", "--json"]) == 1
    told = capsys.readouterr()
    refused, shown = json.loads(told.out)
    assert refused["name"] == none
    assert told.err == f"skraee: error: {refused['error']}\n"
    assert shown["name"] == "toy:masked:0"


def test_a_body_without_a_head_says_what_it_is_for(tmp_path: Path):
    found = report_on(str(headless(tmp_path, "bert")), "float32")
    assert (found.model, found.has_head) == ("BertModel", False)
    assert "none: for readout='ridge' and EarlyExitClassifier" in str(found)


def test_a_sentence_encoders_folder_says_how_it_pools(tmp_path: Path):
    save_sentence_encoder(tmp_path)
    written = json.dumps({"max_seq_length": 24})
    (tmp_path / "sentence_bert_config.json").write_text(written)
    found = report_on(str(tmp_path), "float32")
    assert (found.pooling, found.usual_length) == (["mean"], 24)
    assert report_on("toy:masked:0").pooling == []


def test_texts_that_are_timed_run_to_the_last_layer(monkeypatch: pytest.MonkeyPatch):
    exits = []
    predict = EarlyExitClassifier.predict

    def noting(self: Any, X: list[str]) -> Any:
        labels, layers = predict(self, X, return_exit_layers=True)
        exits.extend(layers.tolist())
        return labels

    monkeypatch.setattr(EarlyExitClassifier, "predict", noting)
    assert report_on("toy:masked:0").n_timed_texts == 8
    assert exits == [4] * 24  # those that warm up, those of a first look, the sample


def test_the_sample_is_as_large_as_the_time_allows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backbones, "_SECONDS", 4.0)
    asked = []

    def seconds(clf: Any, texts: list[str]) -> float:
        asked.append(len(texts))
        return len(texts) / 25

    monkeypatch.setattr(backbones, "_seconds", seconds)
    found = report_on("toy:masked:0")
    assert asked == [8, 100]
    assert (found.n_timed_texts, found.seconds_per_1000_texts) == (100, 40.0)


def test_texts_have_twenty_words_and_are_distinct():
    texts = backbones._texts(1_024)
    assert len(set(texts)) == 1_024
    assert {len(text.split()) for text in texts} == {20}


def test_a_type_without_a_row_is_found_by_discovery(tmp_path: Path):
    sizes = {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2}
    tokenizer = small_tokenizer()
    config = tf.GPTBigCodeConfig(vocab_size=len(tokenizer), **sizes)
    tf.GPTBigCodeForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert "found by discovery" in str(report_on(str(tmp_path), "float32"))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "limits      512 tokens, 30,522 token ids"),
        (
            {"usual_length": 256},
            "limits      512 tokens (its folder reads 256), 30,522 token ids",
        ),
        ({"positions": None}, "limits      any number of tokens, 30,522 token ids"),
        ({"pooling": ["cls", "mean"]}, "pooling     cls, mean"),
        ({"final_norms": ["norm", "out"]}, "final norm  norm, out"),
        ({}, "weights     22,565,376 parameters, 45.1 MB in bfloat16 on cpu"),
        (
            {},
            "time        3.67 s for a thousand texts of 20 words at full depth, scaled "
            "from 400 texts",
        ),
        (
            {"n_timed_texts": 1_000},
            "time        3.67 s for a thousand texts of 20 words at full depth, all of "
            "them timed",
        ),
    ],
)
def test_report_has_a_line_for_each_thing(changes: dict[str, Any], line: str):
    assert f"  {line}" in str(report(**changes)).splitlines()
