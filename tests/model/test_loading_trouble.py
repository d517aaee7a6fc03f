"""More folders that people really have: weights that are none, settings of other computers, tokenizers of other models."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

transformers = pytest.importorskip("transformers")

from model import errors, open_model  # noqa: E402
from model.checkpoints.disk import cost, discovery, packages  # noqa: E402
from model.checkpoints.library import load as loading  # noqa: E402
from tests.model.test_hugging_face import write  # noqa: E402


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = write(tmp_path_factory.mktemp(family) / family, family)
        return made[family]

    return make


@pytest.fixture
def copy(sound, tmp_path: Path):
    """`copy("gpt2", **values)`: a sound folder of the family with these values in its config.json."""

    def make(family: str, **values: object) -> Path:
        folder = Path(shutil.copytree(sound(family), tmp_path / f"{family}-{len(list(tmp_path.iterdir()))}"))
        edit(folder / "config.json", **values)
        return folder

    return make


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch: pytest.MonkeyPatch):
    for variable in ("HEADLIGHT_CACHE", "HF_HUB_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv(discovery.VARIABLE, raising=False)
    monkeypatch.setattr(packages, "PACKAGES", ())


def edit(file: Path, **values: object) -> None:
    old = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(old | values))


def put(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})


def refused(folder: Path, kind: type, *parts: str) -> None:
    with pytest.raises(kind) as caught:
        open_model(folder)
    said = str(caught.value)
    assert type(caught.value) is kind and "\n" not in said and all(part in said for part in parts), said


def test_a_file_without_tensors_is_no_model(copy):
    folder = copy("gpt2")
    put(folder, {})
    refused(folder, errors.NoTensors, "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    refused(folder, errors.NoTensors, "pytorch_model.bin")


@pytest.mark.parametrize("name", ["foo", "transformer.h.0.attn.bias"])  # the second the library passes over silently
def test_a_file_with_none_of_the_models_tensors_is_no_model(copy, name: str):
    folder = copy("gpt2")
    put(folder, {name: torch.zeros(2)})
    refused(folder, errors.NoMatchingWeights, name, "GPT2LMHeadModel")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_git_lfs_pointer_is_named(copy, name: str):
    folder = copy("gpt2")
    (folder / "model.safetensors").unlink()
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 548105171\n")
    refused(folder, errors.PointerFile, name, "git lfs pull")


def test_packed_weights_without_their_packing_are_refused(copy):
    folder = copy("gpt2")
    tensors = load_file(folder / "model.safetensors")
    put(folder, {name: (t * 20).to(torch.int8) for name, t in tensors.items()})
    refused(folder, errors.Quantised, "I8 codes", "config.json says nothing")
    put(
        folder,
        {name: t.half() for name, t in tensors.items()} | {"transformer.h.0.attn.bias": torch.ones(1, 1, 4, 4).byte()},
    )
    assert open_model(folder).module.dtype == torch.float32  # halves are numbers, and an old mask is no weight


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("llama", {"_attn_implementation": "flash_attention_2"}), ("llama", {"attn_implementation": "flash_attention_2"}),
        ("llama", {"_attn_implementation": "kernels-community/flash-attn2"}), ("llama", {"attn_implementation": "eager"}),
        ("llama", {"attn_implementation": {"": "flash_attention_2"}}), ("bert", {"_attn_implementation": "flex_attention"}),
        ("bart", {"_attn_implementation": "flash_attention_3"}), ("falcon", {"_attn_implementation": "flash_attention_2"}),
        ("xlnet", {"_attn_implementation": "flash_attention_2"}), ("gpt2", {"_attn_implementation": "no such thing"}),
    ],
    ids=str,
)  # fmt: skip
def test_what_computed_attention_elsewhere_is_not_asked_for(sound, copy, family: str, told: dict):
    ours = open_model(copy(family, **told)).trace("the cat sat on the mat")
    assert torch.equal(ours.logits, open_model(sound(family)).trace("the cat sat on the mat").logits)


@pytest.mark.parametrize(
    "weight_map", [{}, {"a": 3}, {"a": ".."}, {"a": ""}, {"a": "../b"}, {"a": "/b"}, None], ids=str
)
def test_an_index_that_names_no_shard_beside_it(copy, weight_map: object):
    folder = copy("gpt2")
    (folder / "model.safetensors").rename(folder / "b")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    refused(folder, errors.BadFile, "index.json")


def test_an_index_without_metadata(copy):
    folder = copy("gpt2")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    names = load_file(folder / "model-1.safetensors")
    table = {"weight_map": dict.fromkeys(names, "model-1.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(table))
    refused(folder, errors.BadFile, "index.json")
    (folder / "model.safetensors.index.json").write_text(json.dumps(table | {"metadata": {}}))
    assert open_model(folder).card["fresh"] == []


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_a_broken_generation_config_is_named(copy, text: str):
    folder = copy("gpt2")
    (folder / "generation_config.json").write_text(text)
    refused(folder, errors.BadFile, "generation_config.json")


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ({"eos_token_id": "x"}, "eos_token_id 'x'"), ({"forced_bos_token_id": 9999}, "forced_bos_token_id 9999"),
        ({"bad_words_ids": [[1], [5000]]}, "bad_words_ids 5000"), ({"suppress_tokens": [97]}, "the ids 0 to 96"),
    ],
)  # fmt: skip
def test_tokens_of_writing_that_the_model_lacks_are_named(copy, told: dict, part: str):
    folder = copy("bart")
    edit(folder / "generation_config.json", **told)
    refused(folder, errors.BadConfig, "generation_config.json", part)


def test_an_end_that_never_comes_is_no_fault(copy):
    folder = copy("gpt2")
    edit(folder / "generation_config.json", eos_token_id=50256, suppress_tokens=[-1, 96], begin_suppress_tokens=None)
    assert len(open_model(folder).trace("the cat", new_tokens=2).tokens("decoder")) == 4


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ({"hidden_act": "wiggle"}, "does not know 'wiggle'"), ({"num_attention_heads": 0}, "config.json"),
        ({"hidden_size": "big"}, "'hidden_size' expected int"), ({"architectures": ["GPT2LMHeadModel"]}, "GPT2LMHeadModel"),
        ({"torch_dtype": "float7", "dtype": "float7"}, "float7"), ({"vocab_size": -5}, "-5"),
    ],
    ids=str,
)  # fmt: skip
def test_a_config_that_builds_nothing_says_why(copy, told: dict, part: str):
    refused(copy("bert", **told), errors.BadConfig, part)


@pytest.mark.parametrize("name", ["BertPreTrainedModel", "PreTrainedModel"])
def test_a_class_that_is_no_whole_model_opens_as_the_bare_one(copy, name: str):
    model = open_model(copy("bert", architectures=[name]))
    assert type(model.module).__name__ == "BertModel" and len(model.trace("the cat sat").tokens("encoder")) == 3


@pytest.mark.parametrize(
    "file", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
)
@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_broken_tokenizer_is_one_sentence(copy, file: str, text: str):
    folder = copy("gpt2")
    (folder / file).write_text(text)
    try:
        open_model(folder)
    except errors.NoTokenizer:
        return
    assert file in ("special_tokens_map.json", "added_tokens.json")  # these the library may pass over


@pytest.mark.parametrize("files", [{"vocab.json": '{"the": 0}'}, {"merges.txt": "#v\nt h\n"}, {"spiece.model": "nonsense"},
                                   {"vocab.json": "{", "merges.txt": "#v\n"}], ids=str)  # fmt: skip
def test_half_a_tokenizer_is_one_sentence(copy, files: dict[str, str]):
    folder = copy("t5" if "spiece.model" in files else "gpt2")
    for file in [*folder.glob("tokenizer*"), *folder.glob("special*")]:
        file.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)
    refused(folder, errors.NoTokenizer, "tokenizer.json")


def test_an_unknown_picture_model_is_named(tmp_path: Path):
    config = transformers.DeiTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=4
    )
    transformers.DeiTModel(config).save_pretrained(tmp_path / "deit")
    refused(tmp_path / "deit", errors.UnsupportedFamily, "deit", "vit, clip")


def test_memory_that_runs_out_while_opening_is_said(copy, monkeypatch: pytest.MonkeyPatch):
    folder = copy("gpt2")
    monkeypatch.setattr(loading, "_class", lambda _config: Greedy)
    refused(folder, errors.OutOfMemory, "memory")


class Greedy:
    @staticmethod
    def from_pretrained(*_args: object, **_options: object):
        return torch.empty(10**16)


def test_how_memory_runs_out():
    with pytest.raises(errors.OutOfMemory), cost.within_memory():
        torch.empty(10**16)
    with pytest.raises(errors.OutOfMemory), cost.within_memory():
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes"), cost.within_memory():
        raise RuntimeError("shapes do not match")


def links(folder: Path, target: Path, names: list[str]) -> Path:
    """A copy of `target` in `folder` whose files `names` are links to it."""
    folder.mkdir(parents=True)
    for file in target.iterdir():
        if file.name in names:
            (folder / file.name).symlink_to(os.path.relpath(file, folder))
        else:
            shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_links_out_of_the_configured_folders_do_not_open_for_strangers(
    sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    links(tmp_path / "models/linked", sound("gpt2"), [name])
    shutil.copytree(sound("gpt2"), tmp_path / "models/whole")
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path / "models"))
    assert "linked" in discovery.discover()
    for asked in ("linked", tmp_path / "models/linked"):
        with pytest.raises(errors.NotAllowed):
            open_model(asked, confined=True)
    assert open_model("linked").name == "linked" and open_model("whole", confined=True).name == "whole"
    links(tmp_path / "models/near", tmp_path / "models/whole", [name])
    assert open_model("near", confined=True).name == "near"  # leads from one allowed place to another
    monkeypatch.setenv(discovery.VARIABLE, os.pathsep.join([str(tmp_path / "models"), str(sound("gpt2").parent)]))
    assert open_model("linked", confined=True).name == "linked"


def test_the_caches_own_links_open_and_others_do_not(sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name, store in (("good", tmp_path / "hub/models--org--good/blobs"), ("bad", tmp_path / "outside")):
        snapshot = tmp_path / f"hub/models--org--{name}/snapshots/abc"
        store.mkdir(parents=True)
        for file in sound("gpt2").iterdir():
            shutil.copy(file, store / f"blob-{file.name}")
        snapshot.mkdir(parents=True)
        for blob in store.iterdir():
            (snapshot / blob.name.removeprefix("blob-")).symlink_to(os.path.relpath(blob, snapshot))
    assert open_model("org/good", confined=True).name == "org/good"
    with pytest.raises(errors.NotAllowed):
        open_model("org/bad", confined=True)


def test_memory_that_runs_out_while_converting_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from model.checkpoints.convert import convert

    weights = tmp_path / "model.bin"
    weights.write_bytes(b"weights")
    monkeypatch.setattr(convert, "kind_of", lambda _source: ("ctranslate2", weights, lambda *_: torch.empty(10**16)))
    with pytest.raises(errors.OutOfMemory):
        convert.convert(weights)
