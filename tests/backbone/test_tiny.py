"""Toy backbones have names, as others do; files and pickles tell no more."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from skraee import Backbone, toy


@pytest.mark.parametrize("kind", toy.TEMPLATES)
def test_toy_is_a_backbone_by_name(kind: toy.Kind) -> None:
    backbone = toy.backbone(kind, seed=3)
    assert repr(backbone) == f"Backbone('toy:{kind}:3')"
    assert Backbone(backbone.name).load() is backbone.load()
    assert pickle.loads(pickle.dumps(backbone)).load() is backbone.load()
    loaded = backbone.load()
    assert (loaded.dtype, loaded.family.kind) == (torch.float32, kind)


def test_seed_decides_the_weights_of_a_toy() -> None:
    fingerprints = [toy.backbone(seed=n).load().fingerprint for n in (0, 1)]
    assert len(set(fingerprints)) == 2


def test_toy_of_a_folders_name_is_the_toy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy:masked:0").mkdir()
    monkeypatch.chdir(tmp_path)
    assert toy.backbone().name == "toy:masked:0"
    assert Backbone("./toy:masked:0").name == str(tmp_path / "toy:masked:0")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: toy.backbone("decoder"), "'causal' or 'seq2seq', got 'decoder'"),  # type: ignore[arg-type]
        (lambda: Backbone("toy:decoder:0"), "'causal' or 'seq2seq', got 'decoder'"),
        (lambda: Backbone("toy:masked"), "got 'toy:masked'; give 'toy:masked:0'"),
        (lambda: Backbone("toy:masked:one"), "ends in its seed, a whole number"),
        (lambda: Backbone("toy:masked:0", revision="v2"), "has no revision 'v2'"),
    ],
)
def test_toy_that_is_none_is_refused_when_it_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_older_description_of_a_toy_leads_to_it() -> None:
    backbone = Backbone.from_description({"toy": "causal", "seed": 2})
    assert backbone.name == toy.backbone("causal", seed=2).name
    assert Backbone.from_description(backbone.description()).name == backbone.name


def test_file_format_knows_no_toys() -> None:
    code = (
        "import sys, skraee.persistence.model_file; print('skraee.toy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
