"""A backbone is a name: loaded once, shared by all, checked, never in a pickle."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from sklearn.base import clone
from tokenizers import normalizers

from skraee.backbone import handle, loading
from skraee.backbone.fingerprint import fingerprint_of
from skraee.backbone.handle import Backbone, as_backbone
from skraee.backbone.registry import clear_backbones
from skraee.exceptions import BackboneChangedError
from tests.support.checkpoints import saved, small_tokenizer
from tests.support.models import tiny_model
from tests.support.runs import label_proba

pytestmark = pytest.mark.usefixtures("fresh_backbones")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    saved(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The dtypes of all folders that were read."""
    dtypes: list[torch.dtype] = []
    read_folder = loading.read_folder

    def counted(folder: Path, dtype: torch.dtype, **options: Any) -> Any:
        dtypes.append(dtype)
        return read_folder(folder, dtype, **options)

    monkeypatch.setattr(loading, "read_folder", counted)
    return dtypes


def named_model(folder: Path, name: str = "bert", **options: Any) -> Any:
    """A model object as ``from_pretrained(folder)`` gives it."""
    return type(tiny_model(name)).from_pretrained(folder, **options)


def save_other_weights(folder: Path) -> None:
    tiny_model("bert", seed=1).save_pretrained(folder)


# Identity


def test_clones_and_copies_are_the_same_object(folder: Path) -> None:
    backbone = Backbone(folder)
    assert clone(backbone) is backbone
    assert copy.copy(backbone) is backbone
    assert copy.deepcopy({"backbone": backbone})["backbone"] is backbone


def test_as_backbone_takes_names_paths_and_backbones(folder: Path) -> None:
    backbone = Backbone(folder)
    assert as_backbone(backbone) is backbone
    assert as_backbone(folder).name == as_backbone(str(folder)).name == backbone.name
    with pytest.raises(TypeError, match=r"got int; wrap model objects: Backbone\("):
        as_backbone(3)


def test_name_and_revision_are_shown(folder: Path) -> None:
    assert repr(Backbone("org/tiny@v2")) == "Backbone('org/tiny', revision='v2')"
    assert repr(Backbone(folder)) == f"Backbone({str(folder)!r})"
    backbone = Backbone("org/tiny@v2")
    assert (backbone.name, backbone.revision) == ("org/tiny", "v2")
    by_object = Backbone(tiny_model("bert"), small_tokenizer())
    assert repr(by_object) == "Backbone(BertForMaskedLM(...))"


def test_empty_name_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match="name is empty; give a hub name or a path"):
        Backbone("")


def test_tokenizer_beside_a_name_is_a_clear_error() -> None:
    with pytest.raises(
        ValueError, match="tokenizer was given with the name 'org/tiny'"
    ):
        Backbone("org/tiny", small_tokenizer())


# One model per process


def test_model_is_read_once_for_each_dtype(
    folder: Path, reads: list[torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "warn_where_slow", lambda dtype, device: None)
    first = Backbone(folder).load(dtype="float32")
    assert Backbone(str(folder)).load(dtype=torch.float32) is first
    Backbone(folder).load(dtype="bfloat16")
    Backbone(folder).load(dtype="bfloat16")
    assert reads == [torch.float32, torch.bfloat16]


def test_eight_threads_read_the_model_once(
    folder: Path, reads: list[torch.dtype]
) -> None:
    found: list[Any] = []
    together = threading.Barrier(8, timeout=30)

    def load() -> None:
        together.wait()
        found.append(Backbone(folder).load(dtype="float32"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert len(found) == 8
    assert len({id(loaded) for loaded in found}) == 1


def test_clear_backbones_frees_the_model(folder: Path) -> None:
    backbone = Backbone(folder)
    model = weakref.ref(backbone.load(dtype="float32").model)
    gc.collect()
    assert model() is not None
    clear_backbones()
    gc.collect()
    assert model() is None


def test_failed_load_is_tried_again(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.rename(folder / "away")
    with pytest.raises(OSError, match="holds no weights"):
        Backbone(folder).load(dtype="float32")
    (folder / "away").rename(weights)
    Backbone(folder).load(dtype="float32")


# Pickles


def test_pickle_of_a_named_backbone_holds_names_only(folder: Path) -> None:
    backbone = Backbone("org/tiny@v2", local_files_only=True)
    twin = pickle.loads(pickle.dumps(backbone))
    assert (twin.name, twin.revision) == ("org/tiny", "v2")
    assert twin._local_files_only
    backbone = Backbone(folder)
    fingerprint = backbone.load(dtype="float32").fingerprint
    data = pickle.dumps(backbone)
    assert len(data) < 1000
    assert fingerprint.encode() in data
    assert pickle.loads(data).load(dtype="float32") is backbone.load(dtype="float32")


def test_pickled_relative_path_leads_there_from_another_directory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    data = pickle.dumps(Backbone("tiny"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(data).load(dtype="float32").family.kind == "masked"


def test_pickled_path_with_an_at_sign_stays_a_path(tmp_path: Path) -> None:
    saved(tmp_path / "me@work")
    data = pickle.dumps(Backbone(tmp_path / "me@work"))
    assert pickle.loads(data).name == str(tmp_path / "me@work")
    (tmp_path / "me@work").rename(tmp_path / "away")
    assert pickle.loads(data).name == str(tmp_path / "me@work")


def test_weights_that_changed_after_pickling_are_an_error(folder: Path) -> None:
    backbone = Backbone(folder)
    backbone.load(dtype="float32")
    data = pickle.dumps(backbone)
    save_other_weights(folder)
    clear_backbones()
    restored = pickle.loads(data)
    for _ in range(2):  # the second time the model is there already
        with pytest.raises(BackboneChangedError, match=r"not those.*was fitted with"):
            restored.load(dtype="float32")
    Backbone(folder).load(dtype="float32")


# Objects


def test_model_object_needs_its_tokenizer() -> None:
    with pytest.raises(
        ValueError, match=r"needs its tokenizer, got none; .*Backbone\(model, tok"
    ):
        Backbone(tiny_model("bert"))


def test_model_object_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"training mode.*model\.eval\(\) first"):
        Backbone(tiny_model("bert").train(), small_tokenizer())


def test_object_that_is_no_model_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="or a transformers model, got dict"):
        Backbone({}, small_tokenizer())  # type: ignore[arg-type]


def test_unsupported_model_object_is_a_clear_error() -> None:
    config = tf.XLNetConfig(vocab_size=64, d_model=16, n_layer=2, n_head=2, d_inner=24)
    model = tf.XLNetLMHeadModel(config).eval()
    with pytest.raises(
        ValueError, match=r"\(type 'xlnet'\) are not .*no list of 2 layers"
    ):
        Backbone(model, small_tokenizer()).load()


def test_model_object_runs_as_it_is() -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    loaded = Backbone(model, small_tokenizer()).load()
    assert loaded.model is model
    assert (loaded.dtype, loaded.device) == (torch.bfloat16, torch.device("cpu"))


@pytest.mark.parametrize("name", ["bert", "llama", "gemma3_text", "t5"])
def test_other_dtype_makes_a_copy_of_the_users_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "warn_where_slow", lambda dtype, device: None)
    saved(tmp_path, name)
    model = named_model(tmp_path, name)
    config, random = model.config.to_dict(), torch.get_rng_state()
    loaded = Backbone(model, small_tokenizer()).load(dtype="bfloat16")
    assert torch.equal(torch.get_rng_state(), random)
    assert model.config.to_dict() == config
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, tiny_model(name).state_dict()[key]), key
    # As if it had been read in bfloat16: rotary frequencies stay in float32.
    read = Backbone(tmp_path).load(dtype="bfloat16")
    assert loaded.fingerprint == read.fingerprint
    buffers = dict(read.model.named_buffers())
    for key, buffer in loaded.model.named_buffers():
        assert torch.equal(buffer, buffers[key]), key
        assert "inv_freq" not in key or buffer.dtype == torch.float32
    np.testing.assert_array_equal(label_proba(loaded), label_proba(read))


def test_model_object_whose_name_leads_to_its_weights_pickles(
    folder: Path, reads: list[torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    backbone = Backbone(named_model(Path("tiny")), small_tokenizer())
    data = pickle.dumps(backbone)
    assert len(data) < 1000
    assert pickle.dumps(backbone) == data
    assert len(reads) == 1  # it is looked up once
    monkeypatch.chdir("/")
    restored = pickle.loads(data)
    assert restored.name == str(folder)
    assert restored.load(dtype="float32").fingerprint == backbone.load().fingerprint


def test_model_object_without_a_name_does_not_pickle() -> None:
    backbone = Backbone(tiny_model("bert"), small_tokenizer())
    with pytest.raises(pickle.PicklingError, match=r"'' does not.*save_pretrained"):
        pickle.dumps(backbone)


@pytest.mark.parametrize("change", ["weights in memory", "weights on disk", "nothing"])
def test_model_object_whose_name_leads_elsewhere_does_not_pickle(
    change: str, folder: Path
) -> None:
    model = named_model(folder)
    tokenizer = small_tokenizer()
    if change == "nothing":
        tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    backbone = Backbone(model, tokenizer)
    backbone.load()
    if change == "weights in memory":
        with torch.no_grad():
            model.cls.predictions.bias[5] += 1
    elif change == "weights on disk":
        save_other_weights(folder)
    with pytest.raises(pickle.PicklingError, match=r"tiny' does not lead to the same"):
        pickle.dumps(backbone)


# Fingerprints


def test_fingerprint_does_not_depend_on_the_number_of_threads() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Linear(1000, 1001)
    n_threads = torch.get_num_threads()
    found = set()
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        found.add(fingerprint_of(model))
    torch.set_num_threads(n_threads)
    assert len(found) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fingerprint_differs_by_any_one_bit_of_any_weight(dtype: torch.dtype) -> None:
    # A whole block of 32 KiB and a rest that is no whole number of words.
    model = torch.nn.Linear(129, 129).to(dtype)
    before = fingerprint_of(model)
    integers = torch.int32 if dtype == torch.float32 else torch.int16
    n_bits = 8 * torch.empty(0, dtype=dtype).element_size()
    rng = np.random.default_rng(0)
    for weight in model.parameters():
        bits = weight.detach().flatten().view(integers)
        places = {0, bits.numel() - 1, *rng.integers(bits.numel(), size=20).tolist()}
        for place in places:
            flip = torch.tensor(1 << int(rng.integers(n_bits - 1)), dtype=integers)
            bits[place] ^= flip
            assert fingerprint_of(model) != before
            bits[place] ^= flip
    assert fingerprint_of(model) == before


def test_fingerprint_sees_names_shapes_dtypes_and_order() -> None:
    weight = torch.arange(40_000, dtype=torch.float32)
    one = torch.nn.ParameterDict({"a": weight})
    others = [
        torch.nn.ParameterDict({"b": weight}),
        torch.nn.ParameterDict({"a": weight.view(200, 200)}),
        torch.nn.ParameterDict({"a": weight.to(torch.bfloat16)}),
        torch.nn.ParameterDict({"a": weight.flip(0)}),
    ]
    found = {fingerprint_of(model) for model in [one, *others]}
    assert len(found) == 5


def test_fingerprint_is_that_of_the_values_wherever_they_lie() -> None:
    values = torch.arange(30_000, dtype=torch.bfloat16)
    shifted = torch.cat([values[:1], values])[1:]
    strided = torch.stack([values, values], 1)[:, 0]
    found = {
        fingerprint_of(torch.nn.ParameterDict({"a": torch.nn.Parameter(v)}))
        for v in (values, shifted, strided)
    }
    assert len(found) == 1
