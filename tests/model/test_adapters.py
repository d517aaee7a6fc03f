"""Adapters of peft: put into their model and said, or not applied and said; never silent."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from model import errors, open_model  # noqa: E402
from model.checkpoints.convert import path_kind  # noqa: E402
from model.checkpoints.disk import discovery, other_folders  # noqa: E402
from model.checkpoints.library import adapter as adapters  # noqa: E402
from model.checkpoints.remarks import remarks  # noqa: E402
from tests import bounds  # noqa: E402
from tests.model.test_hugging_face import write  # noqa: E402

TEXT = "the cat sat on the mat and the dog ran to a house"
HERE = importlib.util.find_spec("peft") is not None
with_peft = pytest.mark.skipif(not HERE, reason="peft is not installed")
CLASSES = {"llama": "AutoModelForCausalLM", "bert": "AutoModelForMaskedLM"}
TARGETS = {"llama": ["q_proj", "o_proj", "down_proj"], "bert": ["query", "value", "dense"]}


def model_of(folder: Path):
    return getattr(
        transformers, CLASSES[json.loads((folder / "config.json").read_text())["model_type"]]
    ).from_pretrained(folder)


def made(tmp_path: Path, family: str) -> tuple[Path, Path]:
    """(the model's folder, that of a random LoRA of it), as peft saves it."""
    from peft import LoraConfig, get_peft_model

    base = write(tmp_path / "base", family)
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.1, target_modules=TARGETS[family], init_lora_weights=False)
    get_peft_model(model_of(base), config).save_pretrained(tmp_path / "adapter")
    return base, tmp_path / "adapter"


def stand_in(tmp_path: Path, base: object, **more: object) -> Path:
    """An adapter's folder as far as its settings go."""
    (tmp_path / "adapter").mkdir(exist_ok=True)
    told = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": 2, "target_modules": ["q_proj"]} | more
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(told))
    return tmp_path / "adapter"


@with_peft
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize("where", ["named", "beside", "inside"])
def test_an_adapter_is_put_into_its_model(family: str, where: str, tmp_path: Path):
    from peft import PeftModel

    base, folder = made(tmp_path, family)
    plain = open_model(base)
    if where == "beside":  # its settings name a place of another computer
        stored = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps(stored | {"base_model_name_or_path": "/elsewhere/base"}))
    if where == "inside":
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copy(folder / file, base)
    model = open_model(base if where == "inside" else folder)
    assert path_kind.kind_at(folder) == "model" and (where == "inside" or model.name == "adapter")
    trace = model.trace(TEXT)
    assert model.card["adapter"]["applied"] and trace.facts["adapter"]["applied"]
    assert (model.card["fresh"], model.card["unused"]) == ([], []) and model.weights_hash != plain.weights_hash
    assert remarks(model.card) == [f"The folder's adapter (LORA of {base}) is applied."]
    peft = PeftModel.from_pretrained(model_of(base), folder).eval()
    ids = torch.tensor([trace.token_ids(next(iter(trace.sides)))])
    with torch.no_grad():
        logits = peft(input_ids=ids).logits[0]
    torch.testing.assert_close(trace.logits, logits, atol=bounds.WEIGHT, rtol=1e-5)
    assert (trace.logits - plain.trace(TEXT).logits).abs().max() > 0.1
    assert trace.fidelity().holds and trace.fidelity().logits_error == 0.0
    merged = peft.merge_and_unload()
    query = "self_attn.o_proj" if family == "llama" else "attention.output.dense"
    weight = next(p for name, p in merged.named_parameters() if "0" in name and name.endswith(f"{query}.weight"))
    torch.testing.assert_close(trace.parameter("decoder.0.self" if family == "llama" else "encoder.0.self", "W_O"),
                               weight.T, atol=1e-5, rtol=1e-5)  # fmt: skip


@with_peft
@pytest.mark.filterwarnings("ignore")
def test_what_the_files_of_both_lack_is_told(tmp_path: Path):
    base, folder = made(tmp_path, "llama")
    for file, lost in (
        (base / "model.safetensors", "norm.weight"),
        (folder / "adapter_model.safetensors", "1.mlp.down_proj.lora_B"),
    ):
        tensors = {name: tensor for name, tensor in load_file(file).items() if lost not in name}
        tensors["too.much"] = torch.zeros(2)
        save_file(tensors, file, {"format": "pt"})
    card = open_model(folder).card
    assert {"model.norm.weight", "model.layers.1.mlp.down_proj.lora_B.default.weight"} <= set(card["fresh"])
    assert len(card["unused"]) == 2


@with_peft
@pytest.mark.filterwarnings("ignore")
def test_an_adapter_of_another_model_is_refused(tmp_path: Path):
    _, folder = made(tmp_path, "llama")
    shutil.rmtree(tmp_path / "base")
    write(tmp_path / "base", "bert")
    with pytest.raises(errors.AdapterRefused, match="LORA of") as caught:
        open_model(folder)
    assert "\n" not in str(caught.value) and "http" not in str(caught.value)


@with_peft
@pytest.mark.filterwarnings("ignore")
def test_a_prompt_in_front_of_the_text_is_not_applied_and_said(tmp_path: Path):
    from peft import PrefixTuningConfig, get_peft_model

    base = write(tmp_path / "base", "llama")
    get_peft_model(model_of(base), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)).save_pretrained(
        tmp_path / "a"
    )
    model = open_model(tmp_path / "a")
    assert model.card["adapter"] == {"kind": "PREFIX_TUNING", "base": str(base), "applied": False}
    assert model.weights_hash == open_model(base).weights_hash


def test_without_peft_the_package_is_named_where_the_model_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for module in (other_folders, adapters):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    base = write(tmp_path / "base", "llama")
    folder = stand_in(tmp_path, base)
    with pytest.raises(errors.NeedsPackage, match=r"pip install peft\.$"):
        open_model(folder)
    assert path_kind.kind_at(folder) == "" and isinstance(path_kind.refusal(folder), errors.NeedsPackage)
    shutil.copy(folder / "adapter_config.json", base)  # the model itself is there: it opens, and says so
    model = open_model(base)
    assert model.card["adapter"]["applied"] is False
    assert remarks(model.card) == [f"The folder's adapter (LORA of {base}) is not applied: this is the base model."]


@pytest.mark.parametrize("base", ["some/base", "/nowhere/at/all", "?", "\0", "~nobody-at-all/x", ""])
def test_an_adapter_whose_model_is_not_here_names_it(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(errors.AdapterAlone, match="is not on this computer"):
        open_model(stand_in(tmp_path, base))


def test_a_stranger_is_not_led_out_of_the_configured_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(other_folders, "find_spec", lambda name: True)
    (tmp_path / "models").mkdir()
    folder = stand_in(tmp_path / "models", write(tmp_path / "secret", "llama"))
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path / "models"))
    with pytest.raises(errors.AdapterAlone):
        open_model(folder, confined=True)
