"""A GGUF file is turned into a plain folder once, wholly or not at all."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from skraee.backbone import gguf
from skraee.backbone.handle import Backbone
from skraee.backbone.registry import clear_backbones
from tests.support.checkpoints import saved
from tests.support.models import tiny_model
from tests.support.tokenizers import byte_level

# Tokens and weights as llama.cpp writes them; ours need no transposition.
FAMILY = "qwen2"


@pytest.fixture(autouse=True)
def cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_backbones: None
) -> Path:
    monkeypatch.setenv("SKRAEE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gguf"


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """The tiny Qwen2 of the zoo, every tensor in float32."""
    path = tmp_path / "tiny.gguf"
    write_gguf(path, model_with_all_tokens().state_dict())
    return path


def model_with_all_tokens() -> Any:
    """The tiny Qwen2 with an embedding for every token of the file's tokenizer."""
    model = tiny_model(FAMILY)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.resize_token_embeddings(len(byte_level()), mean_resizing=False)
    return model


def write_gguf(
    path: Path, weights: dict[str, torch.Tensor], marks: Collection[str] = ()
) -> None:
    library = pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    config = model_with_all_tokens().config
    writer = library.GGUFWriter(path, FAMILY)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer)
    writer.add_add_bos_token("bos" in marks)
    writer.add_add_eos_token("eos" in marks)
    names = library.get_tensor_name_map(
        library.MODEL_ARCH.QWEN2, config.num_hidden_layers
    )
    for name, tensor in weights.items():
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(theirs, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: Any) -> None:
    bpe = json.loads(byte_level().backend_tokenizer.to_str())["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(FAMILY)
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges([" ".join(pair) for pair in bpe["merges"]])
    writer.add_bos_token_id(0)
    writer.add_pad_token_id(1)
    writer.add_eos_token_id(2)


def convert_by(
    monkeypatch: pytest.MonkeyPatch, convert: Callable[[Path, Path], None]
) -> None:
    """Fill the folder of a file that is unpacked in another way."""
    monkeypatch.setattr(gguf, "_convert", convert)


def forbid_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: Path, folder: Path) -> None:
        raise AssertionError("converted again")

    convert_by(monkeypatch, refuse)


def test_gguf_file_loads_as_the_model_it_was_made_of(
    tiny_file: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = Backbone(tiny_file).load(dtype="float32")
    assert capsys.readouterr().err.startswith(
        f"skraee: unpacking {tiny_file.name} (0 MB) into {cache.parent}; "
    )
    weights = model_with_all_tokens().state_dict()
    for name, tensor in first.model.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], msg=name)
    bpe = byte_level()
    assert first.tokenizer.plain(["a good film"], first=True) == [
        bpe.encode("a good film", add_special_tokens=False)
    ]
    (folder,) = cache.iterdir()
    assert len(folder.name) == 64
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        file.name for file in folder.iterdir()
    }
    clear_backbones()
    forbid_conversion(monkeypatch)
    second = Backbone(tiny_file).load(dtype="float32")
    assert second.fingerprint == first.fingerprint
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("marks", [(), ("bos",), ("eos",), ("bos", "eos")])
def test_texts_have_the_marks_that_the_file_asks_for(
    marks: tuple[str, ...], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "marked.gguf"
    write_gguf(path, model_with_all_tokens().state_dict(), marks)
    read = gguf._read

    def forgetting(*args: Any) -> Any:
        # As releases of the library do that do not look at the header.
        packed, report, tokenizer = read(*args)
        tokenizer.add_bos_token = tokenizer.add_eos_token = False
        return packed, report, tokenizer

    monkeypatch.setattr(gguf, "_read", forgetting)
    Backbone(path).load(dtype="float32")
    (folder,) = cache.iterdir()
    ids = AutoTokenizer.from_pretrained(folder)("a film").input_ids
    assert (ids[0] == 0, ids[-1] == 2) == ("bos" in marks, "eos" in marks)


def test_gguf_file_of_that_name_in_the_working_directory_is_not_taken(
    tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / tiny_file.name).write_bytes(b"another file")
    monkeypatch.chdir(elsewhere)
    found = Backbone(tiny_file).load(dtype="float32").model.get_input_embeddings()
    expected = model_with_all_tokens().get_input_embeddings()
    torch.testing.assert_close(found.weight, expected.weight)


def test_gguf_file_without_one_weight_is_a_clear_error(
    tiny_file: Path, cache: Path
) -> None:
    weights = dict(model_with_all_tokens().state_dict())
    del weights["model.layers.1.mlp.up_proj.weight"]
    write_gguf(tiny_file, weights)
    with pytest.raises(ValueError, match=r"tiny\.gguf' lacks weights.*1\.mlp\.up_proj"):
        Backbone(tiny_file).load(dtype="float32")
    assert list(cache.iterdir()) == []


def test_interrupted_conversion_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(b"GGUF")

    def convert(file: Path, folder: Path) -> None:
        (folder / "config.json").touch()
        raise KeyboardInterrupt

    convert_by(monkeypatch, convert)
    with pytest.raises(KeyboardInterrupt):
        gguf.unpacked(file)
    assert list(cache.iterdir()) == []


def test_two_conversions_at_once_give_one_folder(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(b"GGUF")
    both_are_converting = threading.Barrier(2, timeout=10)
    found: list[Path] = []

    def convert(file: Path, folder: Path) -> None:
        both_are_converting.wait()
        saved(folder)

    convert_by(monkeypatch, convert)
    runs = [
        threading.Thread(target=lambda: found.append(gguf.unpacked(file)))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert found == [*cache.iterdir()] * 2
    assert (found[0] / "model.safetensors").is_file()


def test_folder_that_cannot_be_put_in_place_is_an_error(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(b"GGUF")

    def rename(self: Path, target: Path) -> None:
        raise PermissionError("not here")

    convert_by(monkeypatch, lambda file, folder: None)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(PermissionError, match="not here"):
        gguf.unpacked(file)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_missing_reader_is_an_import_error_that_names_the_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(b"GGUF")
    for other in {"gguf", "accelerate"} - {package}:
        monkeypatch.setitem(sys.modules, other, ModuleType(other))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}'.*pip install 'skraee\[gguf\]'"):
        Backbone(file).load()


def test_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gguf.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SKRAEE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert gguf.cache_folder() == tmp_path / "xdg" / "skraee"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert gguf.cache_folder() == Path.home() / ".cache" / "skraee"
