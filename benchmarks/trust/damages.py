"""What is done to a model's folder or file, each with the file that it is done to."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmarks.trust import folders

#: Done to a folder; what lies beside it, in ``outside``, is a whole model.
Change = Callable[[Path], None]

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_DEEP = "[" * 100_000


@dataclass(frozen=True)
class Damage:
    """One way of being broken.

    Attributes
    ----------
    what : str
        In a few words.
    whole : callable
        Writes the folder as it was before.
    file : str
        Its name is to be in the error.
    change : callable
    """

    what: str
    whole: Change
    file: str
    change: Change

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def damages() -> list[Damage]:
    """Return all of them."""
    return [
        *_of_config(),
        *_of_layers(),
        *_of_index(),
        *_of_safetensors(),
        *_of_old_form(),
        *_of_tokenizer(),
        *_of_sentence_folder(),
        *_of_links(),
        *_of_gguf(),
    ]


# Ways of changing


def _set(**entries: Any) -> Change:
    return _set_in("config.json", entries)


def _set_in(file: str, entries: Mapping[str, Any]) -> Change:
    def change(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | entries))

    return change


def _text(file: str, text: str) -> Change:
    def change(folder: Path) -> None:
        (folder / file).write_text(text, encoding="utf-8")

    return change


def _bytes(file: str, make: Callable[[bytes], bytes]) -> Change:
    def change(folder: Path) -> None:
        (folder / file).write_bytes(make((folder / file).read_bytes()))

    return change


def _without(file: str) -> Change:
    return lambda folder: (folder / file).unlink()


def _folder_instead(file: str) -> Change:
    def change(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).mkdir()

    return change


# config.json


def _of_config() -> Iterator[Damage]:
    file = "config.json"

    def of(what: str, change: Change, whole: Change = folders.masked) -> Damage:
        return Damage(what, whole, file, change)

    yield of("missing", _without(file))
    yield of("a folder", _folder_instead(file))
    for what, text in {
        "empty": "",
        "junk": "junk",
        "a list": "[]",
        "a number": "7",
        "cut off": '{"model_type": "bert", "vocab',
        "deep": _DEEP,
        "deep within": '{"model_type": "bert", "x": ' + _DEEP,
        "without a type": "{}",
    }.items():
        yield of(what, _text(file, text))
    yield of("no UTF-8", _bytes(file, lambda old: b"\xff\xfe" + old))
    for name, values in _CLAIMS.items():
        for value in values:
            yield of(f"{name} {value!r}", _set(**{name: value}))
    for name in ("num_hidden_layers", "vocab_size", "hidden_size"):
        yield of(f"{name} 10**9 in Llama", _set(**{name: 10**9}), folders.causal)
    for value in (10**7, 0):
        claim = _set(num_hidden_layers=value)
        yield of(f"{value} shared layers", claim, folders.shared_layers)
    groups = _set(num_hidden_groups=10**7)
    yield of("10**7 groups of shared layers", groups, folders.shared_layers)


_CLAIMS: Mapping[str, tuple[Any, ...]] = {
    "model_type": (5, [], "bert2"),
    "architectures": (5, [7]),
    "num_hidden_layers": (10**7, 10**12, -1, 0, 2, 8, "4", 1.5, None, [4]),
    "vocab_size": (10**9, 10**18, 10**30, -5, 0, 7, "13"),
    "hidden_size": (10**9, -16, 0, 15, 32),
    "num_attention_heads": (0, -2, 3, 10**9),
    "intermediate_size": (10**12, -1, 25),
    "max_position_embeddings": (10**12, -1, 32),
    "hidden_act": ("no_such_function", 3),
    "quantization_config": ("junk", 4, {"quant_method": "no_such_way"}),
    "dtype": ("float9",),
    "is_decoder": ("junk",),
}


# Layers that the weights have or lack


def _of_layers() -> Iterator[Damage]:
    for whole in (folders.masked, folders.causal, folders.sharded):
        name = whole.__name__
        two, eight = (_set(num_hidden_layers=n) for n in (2, 8))
        yield Damage(f"2 of 4 layers ({name})", whole, "config.json", two)
        yield Damage(f"8 of 4 layers ({name})", whole, "config.json", eight)
    old = folders.old_form
    yield Damage("2 of 4 layers", old, "config.json", _set(num_hidden_layers=2))
    many = _set(num_hidden_layers=10**7)
    yield Damage("10**7 layers", old, "config.json", many)
    lost = _tensors(lambda w: [w.pop(n) for n in list(w) if "layer.3." in n])
    yield Damage("one layer lost", folders.masked, _WEIGHTS, lost)


# The index of several files


def _of_index() -> Iterator[Damage]:
    def of(what: str, change: Change) -> Damage:
        return Damage(what, folders.sharded, _INDEX, change)

    for what, text in {
        "empty": "",
        "junk": "junk",
        "a list": "[]",
        "without a map": "{}",
        "a map that is a list": '{"weight_map": []}',
        "a map that is empty": '{"weight_map": {}}',
        "a map to numbers": '{"weight_map": {"a": 7}}',
        "deep": '{"weight_map": ' + _DEEP,
    }.items():
        yield of(what, _text(_INDEX, text))
    yield of("leads outside", _map(lambda name, folder: f"../outside/{name}"))
    absolute = _map(lambda name, folder: str(folder.parent / "outside" / name))
    yield of("leads outside by a whole path", absolute)
    yield Damage("a link outside", folders.sharded, "shards", _linked_shards)
    yield of("leads to nothing", _map(lambda name, folder: f"no-{name}"))
    yield of("leads to a folder", _map(lambda name, folder: "."))
    yield of("leads to another file", _map(lambda name, folder: "config.json"))
    yield of("has NUL", _map(lambda name, folder: f"{name}\0"))


def _map(to: Callable[[str, Path], str]) -> Change:
    def change(folder: Path) -> None:
        index = json.loads((folder / _INDEX).read_text("utf-8"))
        names = index["weight_map"]
        index["weight_map"] = {w: to(name, folder) for w, name in names.items()}
        _into_outside(folder, set(names.values()))
        (folder / _INDEX).write_text(json.dumps(index))

    return change


def _into_outside(folder: Path, names: set[str]) -> None:
    outside = folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(folder / name, outside / name)


def _linked_shards(folder: Path) -> None:
    _map(lambda name, folder: f"shards/{name}")(folder)
    (folder / "shards").symlink_to(folder.parent / "outside")


# model.safetensors


def _of_safetensors() -> Iterator[Damage]:
    def of(what: str, change: Change) -> Damage:
        return Damage(what, folders.masked, _WEIGHTS, change)

    yield of("missing", _without(_WEIGHTS))
    yield of("a folder", _folder_instead(_WEIGHTS))
    yield of("a pipe", _pipe_instead)
    for what, make in {
        "empty": lambda old: b"",
        "junk": lambda old: b"junk" * 100,
        "cut off": lambda old: old[: len(old) // 2],
        "cut off in its header": lambda old: old[:100],
        "longer": lambda old: old + b"x" * 64,
        "a header of 2**63 bytes": lambda old: struct.pack("<Q", 2**63) + old[8:],
        "a header of no bytes": lambda old: struct.pack("<Q", 0) + old[8:],
        "a header of junk": lambda old: struct.pack("<Q", 4) + b"junk",
        "a deep header": lambda old: (
            struct.pack("<Q", len(_DEEP)) + _DEEP.encode() + old
        ),
    }.items():
        yield of(what, _bytes(_WEIGHTS, make))
    name = "bert.encoder.layer.1.output.dense.weight"
    entries: Mapping[str, Mapping[str, Any]] = {
        "another shape": {"shape": [24, 16]},
        "a shape of less": {"shape": [16, 2]},
        "a negative shape": {"shape": [-16, -24]},
        "a huge shape": {"shape": [2**40, 2**40]},
        "an unknown dtype": {"dtype": "F128"},
        "another dtype": {"dtype": "F64"},
        "places beyond the end": {"data_offsets": [10**9, 10**9 + 1536]},
        "places backwards": {"data_offsets": [1536, 0]},
        "places of another": {"data_offsets": [0, 1536]},
    }
    for what, entry in entries.items():
        yield of(what, _header(name, entry))
    yield of("NaN", _tensors(lambda w: w[name].view(-1)[7].fill_(torch.nan)))
    yield of("all NaN", _tensors(lambda w: [t.fill_(torch.nan) for t in w.values()]))
    yield of("infinite", _tensors(lambda w: w[name].view(-1)[7].fill_(torch.inf)))
    yield of("whole numbers", _tensors(lambda w: w.update({name: w[name].int()})))
    yield of("complex", _tensors(lambda w: w.update({name: w[name] + 0j})))
    yield of("a weight lost", _tensors(lambda w: w.pop(name)))
    yield of("a weight less wide", _tensors(lambda w: w.update({name: w[name][:8]})))
    yield of("nothing in it", _tensors(lambda w: w.clear()))
    yield of("names of another", _tensors(_renamed))


def _pipe_instead(folder: Path) -> None:
    (folder / _WEIGHTS).unlink()
    os.mkfifo(folder / _WEIGHTS)


def _header(weight: str, entry: Mapping[str, Any]) -> Change:
    def make(old: bytes) -> bytes:
        (length,) = struct.unpack("<Q", old[:8])
        entries = json.loads(old[8 : 8 + length])
        entries[weight] |= entry
        header = json.dumps(entries).encode()
        return struct.pack("<Q", len(header)) + header + old[8 + length :]

    return _bytes(_WEIGHTS, make)


def _tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Change:
    def changed(folder: Path) -> None:
        weights = load_file(folder / _WEIGHTS)
        change(weights)
        weights = {name: tensor.contiguous() for name, tensor in weights.items()}
        save_file(weights, folder / _WEIGHTS, metadata={"format": "pt"})

    return changed


def _renamed(weights: dict[str, torch.Tensor]) -> None:
    for name in list(weights):
        weights[f"x.{name}"] = weights.pop(name)


# pytorch_model.bin


def _of_old_form() -> Iterator[Damage]:
    file = "pytorch_model.bin"
    for what, make in {
        "empty": lambda old: b"",
        "junk": lambda old: b"junk" * 100,
        "cut off": lambda old: old[: len(old) // 2],
    }.items():
        yield Damage(what, folders.old_form, file, _bytes(file, make))
    yield Damage("code", folders.old_form, file, _saved(_Code()))
    yield Damage("a list", folders.old_form, file, _saved([1, 2]))
    yield Damage("no tensors", folders.old_form, file, _saved({"a": "b"}))
    index = f"{file}.index.json"
    text = json.dumps({"weight_map": {"a": f"../outside/{file}"}})
    yield Damage("leads outside", folders.old_form, index, _indexed(file, text))
    yield Damage("junk", folders.old_form, index, _indexed(file, "junk"))


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def _saved(what: Any) -> Change:
    return lambda folder: torch.save(what, folder / "pytorch_model.bin")


def _indexed(file: str, text: str) -> Change:
    def change(folder: Path) -> None:
        _into_outside(folder, {file})
        (folder / file).unlink()
        (folder / f"{file}.index.json").write_text(text)

    return change


# The tokenizer


def _of_tokenizer() -> Iterator[Damage]:
    file = "tokenizer.json"

    def of(what: str, change: Change) -> Damage:
        return Damage(what, folders.masked, file, change)

    yield of("missing", _without(file))
    for what, text in {
        "empty": "",
        "junk": "junk",
        "an empty object": "{}",
        "a list": "[]",
        "deep": _DEEP,
        "no model": '{"version": "1.0", "model": null}',
    }.items():
        yield of(what, _text(file, text))
    yield of("no UTF-8", _bytes(file, lambda old: b"\xff\xfe" + old))
    for number in (2**31, 2**32 - 1, 2**40, -1, 10**6, 13):
        yield of(f"token {number}", _token(number))
        yield of(f"added token {number}", _added(number, special=False))
    for number in (2**31, 2**32 - 1):
        yield of(f"special token {number}", _added(number, special=True))
    for number in (2**31, 99):
        yield of(f"mask {number}", _mask(number))
    config = "tokenizer_config.json"
    for what, text in {"junk": "junk", "a list": "[]", "deep": _DEEP}.items():
        yield Damage(what, folders.masked, config, _text(config, text))
    odd: Mapping[str, Any] = {
        "mask_token": 7,
        "added_tokens_decoder": {"99": 5},
        "tokenizer_class": 5,
    }
    for name, value in odd.items():
        yield Damage(name, folders.masked, config, _set_in(config, {name: value}))


def _tokenizer(change: Callable[[dict[str, Any]], Any]) -> Change:
    def changed(folder: Path) -> None:
        path = folder / "tokenizer.json"
        settings = json.loads(path.read_text("utf-8"))
        change(settings)
        path.write_text(json.dumps(settings))

    return changed


def _token(number: int) -> Change:
    return _tokenizer(lambda t: t["model"]["vocab"].update(more=number))


def _added(number: int, *, special: bool) -> Change:
    def change(settings: dict[str, Any]) -> None:
        one = dict(settings["added_tokens"][0])
        settings["added_tokens"].append(
            one | {"id": number, "content": "<more>", "special": special}
        )
        settings["model"]["vocab"]["<more>"] = number

    return _tokenizer(change)


def _mask(number: int) -> Change:
    def change(settings: dict[str, Any]) -> None:
        for one in settings["added_tokens"]:
            if one["content"] == "[MASK]":
                one["id"] = number
        settings["model"]["vocab"]["[MASK]"] = number

    return _tokenizer(change)


# A sentence encoder's own files


def _of_sentence_folder() -> Iterator[Damage]:
    def of(what: str, file: str, change: Change) -> Damage:
        return Damage(what, folders.sentence, file, change)

    file = "modules.json"
    outside = '[{"type": "models.Transformer", "path": "PATH"}]'
    for what, text in {
        "junk": "junk",
        "an object": "{}",
        "a list of numbers": "[1]",
        "deep": _DEEP,
        "leads outside": outside.replace("PATH", "../outside"),
        "leads to the root": outside.replace("PATH", "/"),
        "leads to nothing": outside.replace("PATH", "no-such-folder"),
    }.items():
        yield of(what, file, _text(file, text))
    length = "sentence_bert_config.json"
    lengths: tuple[Any, ...] = (-1, "junk", [])
    for value in lengths:
        yield of(
            f"a length {value}", length, _set_in(length, {"max_seq_length": value})
        )
    yield of("no length", length, _text(length, '{"max_seq_length": NaN}'))
    yield of("deep", length, _text(length, _DEEP))
    pooling = "1_P/config.json"
    yield of("junk", pooling, _text(pooling, "junk"))
    yield of("no name", pooling, _text(pooling, '{"pooling_mode": 5}'))
    prompts = "config_sentence_transformers.json"
    yield of("junk", prompts, _text(prompts, "junk"))
    yield of("prompts in a list", prompts, _text(prompts, '{"prompts": [1]}'))


# Links out of the folder


def _of_links() -> Iterator[Damage]:
    for file in ("config.json", _WEIGHTS, "tokenizer.json"):
        yield Damage("a link outside", folders.masked, file, _linked(file))
    yield Damage("a link to itself", folders.masked, _WEIGHTS, _circle)


def _linked(file: str) -> Change:
    def change(folder: Path) -> None:
        _into_outside(folder, {file})
        (folder / file).unlink()
        (folder / file).symlink_to(folder.parent / "outside" / file)

    return change


def _circle(folder: Path) -> None:
    (folder / _WEIGHTS).unlink()
    (folder / _WEIGHTS).symlink_to(_WEIGHTS)


# GGUF files


def _of_gguf() -> Iterator[Damage]:
    file = "model.gguf"

    def of(what: str, make: Callable[[bytes], bytes]) -> Damage:
        return Damage(what, folders.gguf, file, _bytes(file, make))

    yield of("empty", lambda old: b"")
    yield of("junk", lambda old: b"junk" * 100)
    yield of("magic alone", lambda old: old[:4])
    yield of("cut off in its header", lambda old: old[:300])
    yield of("cut off in its weights", lambda old: old[: len(old) - 2000])
    yield of("version 99", lambda old: old[:4] + struct.pack("<I", 99) + old[8:])
    yield of("2**60 tensors", lambda old: _packed(old, 8, "<Q", 2**60))
    yield of("2**60 entries", lambda old: _packed(old, 16, "<Q", 2**60))
    yield of("a key of 2**60 bytes", lambda old: _packed(old, 24, "<Q", 2**60))
    yield of("an unknown architecture", lambda old: old.replace(b"qwen2", b"qwenX"))
    for value in (10**7, 2**32 - 1, 0, 2, 8):
        yield of(f"{value} layers", _valued(b"block_count", value))
    for value in (2**31, 0, 17):
        yield of(f"width {value}", _valued(b"embedding_length", value))
    yield of("0 heads", _valued(b"head_count", 0))
    yield of("3 heads", _valued(b"head_count", 3))
    yield of("many tokens", _after(b"tokenizer.ggml.tokens", 8, "<Q", 2**50))
    yield of("a list of type 99", _after(b"tokenizer.ggml.tokens", 4, "<I", 99))
    yield of("a value of type 99", _after(b"block_count", 0, "<I", 99))
    yield of("a tensor of 9 dimensions", _after(b"output_norm.weight", 0, "<I", 9))
    yield of("a tensor of 2**40", _after(b"output_norm.weight", 4, "<Q", 2**40))
    yield of("a tensor of type 99", _after(b"output_norm.weight", 12, "<I", 99))
    yield of("a tensor far away", _after(b"output_norm.weight", 16, "<Q", 2**50))
    yield of("a tensor of another name", lambda old: old.replace(b"attn_q", b"attn_x"))
    yield of("NaN", lambda old: old[:-64] + np.full(16, np.nan, "<f4").tobytes())


def _packed(old: bytes, place: int, form: str, value: int) -> bytes:
    written = struct.pack(form, value)
    return old[:place] + written + old[place + len(written) :]


def _after(key: bytes, places: int, form: str, value: int) -> Callable[[bytes], bytes]:
    """Write a value so many bytes behind a key."""
    return lambda old: _packed(old, old.index(key) + len(key) + places, form, value)


def _valued(key: bytes, value: int) -> Callable[[bytes], bytes]:
    """Change the whole number that stands behind a key and its type."""
    return _after(key, 4, "<I", value)
