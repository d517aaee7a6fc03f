"""Checkpoint folders with something wrong, in another format, or too large: each opens, or is one sentence."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("transformers")

from model import (
    errors,
    open_model,
)
from model.checkpoints.convert import convert
from model.checkpoints.disk import cost, discovery, packages
from model.checkpoints.disk.families import FAMILIES, small_model
from model.checkpoints.library import load as loading
from model.checkpoints.record import offload
from tests.model.test_hugging_face import write


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("whole") / "bert", "bert")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A sound checkpoint that a test may break."""
    return Path(shutil.copytree(whole, tmp_path / "bert"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No internet, no packages, a cache of the test's own."""
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv(discovery.VARIABLE, raising=False)
    monkeypatch.setattr(packages, "PACKAGES", ())


def refused(folder: Path | str, kind: type, *parts: str) -> None:
    with pytest.raises(kind) as caught:
        open_model(folder)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value) and all(part in str(caught.value) for part in parts), str(caught.value)


def edit(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_shards_open_and_a_missing_one_is_named(folder: Path, whole: Path):
    sound = loading.read(whole).module
    (folder / "model.safetensors").unlink()
    sound.save_pretrained(folder, max_shard_size="30KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2 and same(open_model(folder).module, sound)
    shards[1].unlink()
    refused(folder, errors.MissingShard, shards[1].name)
    (folder / "model.safetensors.index.json").write_text("{")
    refused(folder, errors.BadFile, "index.json")


def test_a_bin_file_opens_and_gives_the_same_weights(folder: Path, whole: Path):
    torch.save(tensors(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert same(open_model(folder).module, loading.read(whole).module)
    data = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(data[: len(data) // 2])
    refused(folder, errors.BadFile)


class Trap:
    """Makes a folder when unpickled."""

    def __reduce__(self):
        return os.mkdir, ("trap-was-run",)


def test_a_bin_file_that_would_run_code_is_not_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Trap()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refused(folder, errors.UnsafeWeights, "pytorch_model.bin", "mkdir")
    assert not (tmp_path / "trap-was-run").exists()


def test_a_config_that_disagrees_names_the_tensor(folder: Path):
    edit(folder, intermediate_size=65)
    refused(folder, errors.WrongShape, "intermediate.dense", "64×32", "65×32")


def test_what_is_missing_is_said(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path / "a")
    for file in (tmp_path / "a").glob("tokenizer*"):
        file.unlink()
    refused(tmp_path / "a", errors.NoTokenizer, "tokenizer.json")
    (folder / "model.safetensors").unlink()
    refused(folder, errors.NoWeights, "model.safetensors")


@pytest.mark.parametrize("text", ["{", "[1]", "", "\xff"])
def test_a_config_that_is_no_json(folder: Path, text: str):
    (folder / "config.json").write_text(text, encoding="latin-1")
    refused(folder, errors.BadFile, "config.json")


def test_families_that_do_not_open_are_named(folder: Path):
    edit(folder, model_type="no_such_family")
    refused(folder, errors.UnsupportedFamily, "no_such_family", "bert, roberta", "python -m model families")
    edit(folder, model_type="no_such_family", auto_map={"AutoModel": "modeling.Own"})
    (folder / "modeling.py").write_text("raise SystemExit('run')")
    refused(folder, errors.RemoteCode, "no_such_family", "never run")


def test_a_family_outside_the_registry_opens_where_it_checks_and_is_named_where_not(folder: Path):
    import transformers

    config = transformers.CodeGenConfig(
        vocab_size=97, n_positions=64, n_embd=32, n_layer=1, n_head=4, rotary_dim=4, bos_token_id=1, eos_token_id=2
    )
    transformers.CodeGenForCausalLM(config).save_pretrained(folder)
    model = open_model(folder)
    assert model.opening.holds and not model.opening.missing and model.trace("the cat").fidelity().holds
    config = transformers.FNetConfig(vocab_size=97, hidden_size=32, num_hidden_layers=1, intermediate_size=64)
    transformers.FNetModel(config).save_pretrained(folder)
    refused(
        folder,
        errors.UnsupportedFamily,
        "fnet",
        "no attention over whole rows of keys was met",
        "bert, roberta",
        "python -m model families",
    )


def test_a_picture_model_opens_without_a_tokenizer(tmp_path: Path):
    small_model(next(f for f in FAMILIES if f.model_type == "vit")).save_pretrained(tmp_path / "vit")
    model = open_model(tmp_path / "vit")
    assert model.tokenizer is None and model.family == "vit" and model.card["processor"] is None
    (tmp_path / "vit/preprocessor_config.json").write_text('{"size": 16}')
    assert open_model(tmp_path / "vit").card["processor"] == {"size": 16}


def test_fresh_layers_are_named_and_always_the_same(folder: Path):
    found = tensors(folder)
    kept = {name: tensor for name, tensor in found.items() if not name.startswith("cls.predictions.transform")}
    assert 0 < len(kept) < len(found)
    save_file(kept | {"left.over": torch.zeros(1)}, str(folder / "model.safetensors"), metadata={"format": "pt"})
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = open_model(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.card["fresh"] == sorted(found.keys() - kept.keys()) and first.card["unused"] == ["left.over"]
    torch.manual_seed(4)
    assert same(first.module, open_model(folder).module)


def test_a_tied_head_is_not_fresh(tmp_path: Path):
    made = write(tmp_path / "llama", "llama")
    edit(made, tie_word_embeddings=True)
    save_file(
        {k: v for k, v in tensors(made).items() if k != "lm_head.weight"}, str(made / "model.safetensors"),
        metadata={"format": "pt"},
    )  # fmt: skip
    model = open_model(made)
    assert model.card["fresh"] == [] and model.module.lm_head.weight is model.module.model.embed_tokens.weight


def test_weights_of_another_model_are_refused(folder: Path):
    save_file({"some.tensor": torch.zeros(2)}, str(folder / "model.safetensors"), metadata={"format": "pt"})
    refused(folder, errors.NoMatchingWeights, "some.tensor", "BertForMaskedLM")


def test_a_base_model_opens_without_a_head(folder: Path):
    edit(folder, architectures=["BertModel"])
    model = open_model(folder)
    assert type(model.module).__name__ == "BertModel" and model.card["architectures"] == ["BertModel"]
    edit(folder, architectures=["pipeline", "NoSuchClass"])
    assert type(open_model(folder).module).__name__ == "BertModel"


def test_the_hub_cache_and_a_name_that_is_not_here(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(whole, tmp_path / "hub/models--org--small/snapshots/abc")
    assert open_model("org/small").name == "org/small"
    refused("org/absent", errors.NotFetched, "org/absent", "“translate”", "“org/small”")
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    asked = []

    def unreachable(name: str, **options: object):
        asked.append((name, options["allow_patterns"]))
        raise OSError("no route to host")

    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    refused("org/absent", errors.NotHere, "no internet")
    assert len(asked) == 1 and not any(pattern.endswith((".py", ".bin", "*")) for pattern in asked[0][1])
    refused("absent", errors.UnknownModel, "absent")
    refused("../absent", errors.NothingThere)


def test_discovered_names_and_confinement(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(whole, tmp_path / "models/named")
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path / "models"))
    assert open_model("named", confined=True).name == "named"
    assert open_model(tmp_path / "models/named", confined=True).name == "named"
    with pytest.raises(errors.NotAllowed):
        open_model(whole, confined=True)
    with pytest.raises(errors.NotFetched, match="none is fetched"):
        open_model("org/absent", confined=True)


def test_progress_is_told_and_stops(folder: Path):
    told: list[tuple[float | None, str]] = []
    open_model(folder, progress=lambda fraction, what: told.append((fraction, what)))
    assert (1.0, "hashing") in told and (None, "loading") in told
    with pytest.raises(errors.Stopped):
        open_model(folder, stop=lambda: True)


def test_too_large_without_accelerate(folder: Path, monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "accelerate" else find(name, *a))
    monkeypatch.setenv(cost.LIMIT, "60KB")
    refused(folder, errors.WeightsTooLarge, "60 kB", "accelerate")


@pytest.mark.parametrize("family", ["llama", "gpt2", "bart"])
def test_weights_left_on_disk_give_the_same_record(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("accelerate")
    made = write(tmp_path / family, family)
    whole = open_model(made).trace("the cat sat on the mat")
    monkeypatch.setenv(cost.LIMIT, "60KB")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    model = open_model(made)
    assert any(parameter.is_meta for parameter in model.module.parameters())
    left = tmp_path / "cache" / "offload"
    convert.sweep()
    assert len(list(left.iterdir())) == 1  # a model that is open needs it
    parts = model.trace("the cat sat on the mat")
    assert set(parts.sites) == set(whole.sites) and torch.equal(parts.logits, whole.logits)
    for site in whole.sites:
        assert all(torch.equal(parts.weights(site, head), whole.weights(site, head)) for head in range(2))
        assert torch.equal(parts.record(site).output, whole.record(site).output)
    held = dict(loading.read(made).module.named_modules())
    monkeypatch.delenv(cost.LIMIT)
    for name, module in loading.read(made).module.named_modules():
        for part in ("weight", "bias"):
            if isinstance(module, torch.nn.Linear) and getattr(module, part) is not None:
                assert torch.equal(offload.parameter(held[name], part), getattr(module, part))
    del model, parts, held, module
    gc.collect()
    assert not list(left.iterdir())


def test_what_a_killed_process_left_of_weights_on_disk_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    program = """
import os, pathlib, sys
from model.checkpoints.convert import cache_entry
folder, _ = cache_entry.scratch("a", pathlib.Path(sys.argv[1]) / "offload" / "of-a-model")
(folder / "weight.dat").write_bytes(b"0" * 1000)
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert list((tmp_path / "offload").iterdir())
    convert.sweep()
    assert not list((tmp_path / "offload").iterdir())
