"""Folders of quantised weights: unpacked exactly where the library can, else the kind named and where to point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file

from model import errors, open_model
from model.checkpoints.disk import cost
from tests.model.test_hugging_face import write

TEXT = "the cat sat on the mat and the dog ran"
FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=torch.float64)


def settings(folder: Path, name: str = "config.json", **values: object) -> None:
    file = folder / name
    file.write_text(json.dumps((json.loads(file.read_text()) if file.is_file() else {}) | values))


def repacked(folder: Path, pack) -> dict[str, Tensor]:
    """Put what `pack(name, weight)` makes (tensors by name, and the float64 weight they stand for) in each weight's place;
    None leaves one as it is. -> name -> the float64 weight."""
    file, out, stands_for = folder / "model.safetensors", {}, {}
    for name, tensor in load_file(file).items():
        if (found := pack(name, tensor)) is None:
            out[name] = tensor.clone()
        else:
            packed, stands_for[name] = found
            out |= packed
    save_file(out, file, {"format": "pt"})
    return stands_for


def fp8(name: str, weight: Tensor):
    if not name.endswith("_proj.weight"):
        return None
    scale = weight.abs().max() / 448
    codes = (weight / scale).to(torch.float8_e4m3fn)
    return {name: codes, f"{name}_scale_inv": scale.reshape(1, 1)}, codes.double() * scale.double()


def mxfp8(name: str, weight: Tensor):
    if not name.endswith("_proj.weight"):
        return None
    blocks = weight.reshape(weight.shape[0], -1, 32)
    exponents = blocks.abs().amax(-1).log2().floor() - 8
    codes = (blocks / 2 ** exponents[..., None]).to(torch.float8_e4m3fn)
    stands_for = codes.double() * 2 ** exponents.double()[..., None]
    scales = (exponents + 127).to(torch.uint8)
    return {name: codes.reshape(weight.shape), f"{name}_scale_inv": scales}, stands_for.reshape(weight.shape)


def mxfp4(name: str, weight: Tensor):
    if "experts" not in name or not name.endswith("_proj"):
        return None
    blocks = weight.double().transpose(1, 2).contiguous()
    blocks = blocks.reshape(*blocks.shape[:2], -1, 32)
    exponents = blocks.abs().amax(-1).log2().floor() - 2
    codes = ((blocks / 2 ** exponents[..., None])[..., None] - FP4).abs().argmin(-1)
    packed = (codes[..., 0::2] | (codes[..., 1::2] << 4)).to(torch.uint8)
    stands_for = (FP4[codes] * 2 ** exponents[..., None]).flatten(2).transpose(1, 2)
    return {f"{name}_blocks": packed, f"{name}_scales": (exponents + 127).to(torch.uint8)}, stands_for


@pytest.mark.parametrize(
    ("family", "pack", "told", "kind"),
    [
        ("llama", fp8, {"quant_method": "fp8", "weight_block_size": [128, 128]}, "FP8"),
        ("llama", mxfp8, {"quant_method": "mxfp8", "weight_block_size": [1, 32], "scale_fmt": "ue8m0"}, "MXFP8"),
        ("gpt_oss", mxfp4, {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}, "MXFP4"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_library_unpacks_is_exactly_what_the_file_says(family, pack, told, kind, tmp_path: Path):
    pytest.importorskip("accelerate")
    folder = write(tmp_path / family, family)
    plain = cost.before_loading(folder).parameters
    wanted = repacked(folder, pack)
    settings(folder, quantization_config=told)
    # Its codes count as what they become; the scales beside them are a few more.
    assert plain <= cost.before_loading(folder).parameters < 1.1 * plain
    model = open_model(folder)
    found = model.module.state_dict()
    assert wanted and all(found[name].dtype == torch.float32 for name in wanted)
    for name, weight in wanted.items():
        torch.testing.assert_close(found[name].double(), weight, rtol=2**-23, atol=0)
    trace = model.trace(TEXT)
    assert (model.card["fresh"], model.card["unused"], trace.facts["unpacked"]) == ([], [], kind)
    assert trace.fidelity().holds


def refused(folder: Path, kind: str, base: str = "") -> None:
    with pytest.raises(errors.Quantised) as caught:
        open_model(folder)
    said = str(caught.value)
    assert f"({kind})" in said and "\n" not in said and "pip install" not in said and "Train it again" not in said
    assert type(caught.value) is (errors.QuantisedFrom if base else errors.Quantised) and said.endswith(f"{base}.")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "GPTQ, 4 bits"),
        ({"quant_method": "awq", "bits": 4}, "AWQ, 4 bits"), ({"load_in_8bit": True}, "bitsandbytes, 8 bits"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes, 4 bits"), ({"quant_method": "hqq"}, "HQQ"),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors"), ({"quant_method": "exl2"}, "EXL2"),
        ({"quant_method": "quanto"}, "Quanto"), ({"quant_method": "torchao"}, "torchao"),
        ({"quant_method": "modelopt"}, "ModelOpt"), ({"quant_method": "fbgemm_fp8"}, "FBGEMM FP8"),
        ({"quant_method": "of tomorrow"}, "of tomorrow"), ({"group_size": 64, "bits": 4}, "MLX, 4 bits"),
        ("?", "in a way that config.json does not name"),
    ],
    ids=str,
)  # fmt: skip
def test_a_config_that_names_a_packing_is_refused_by_it(told, kind: str, tmp_path: Path):
    folder = write(tmp_path / "llama", "llama")
    save_file({"transformer.weight": torch.zeros(1)}, folder / "model.safetensors")  # said before any weight is read
    settings(folder, quantization_config=told)
    refused(folder, kind)


@pytest.mark.parametrize(
    ("ends", "kind"),
    [
        ((".qweight", ".qzeros", ".scales", ".g_idx"), "GPTQ"), ((".qweight", ".qzeros", ".scales"), "AWQ or GPTQ"),
        ((".weight", ".SCB"), "bitsandbytes, 8 bits"), ((".weight", ".weight.absmax"), "bitsandbytes, 4 bits"),
        ((".weight_packed", ".weight_scale"), "compressed-tensors"), ((".weight", ".weight_scale_inv"), "FP8"),
        ((".weight", ".scales", ".biases"), "MLX"), ((".weight._data", ".weight._scale"), "Quanto"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_names_of_packed_tensors_are_enough(ends, kind: str, file: str, tmp_path: Path):
    folder = write(tmp_path / "llama", "llama")
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith("q_proj.weight")]:
        weight = tensors.pop(name)
        tensors |= {name.removesuffix(".weight") + end: weight.clone() for end in ends}
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / file, {"format": "pt"}) if file.endswith("s") else torch.save(tensors, folder / file)
    refused(folder, kind)


def test_the_model_that_was_packed_is_named(tmp_path: Path):
    folder = write(tmp_path / "llama", "llama")
    settings(folder, "quantize_config.json", bits=4)  # as old AutoGPTQ: config.json says nothing
    refused(folder, "GPTQ, 4 bits")
    settings(folder, "quantize_config.json", model_name_or_path="/somebodys/own/folder")
    refused(folder, "GPTQ, 4 bits")
    settings(folder, "config.json", _name_or_path="some/model-7b")
    refused(folder, "GPTQ, 4 bits", base="some/model-7b")
    for entry in ("base_model: their/model", "base_model:\n- their/model", 'base_model:\n  - "their/model"'):
        (folder / "README.md").write_text(f"---\nlicense: mit\n{entry}\ntags:\n- x\n---\n# A model\n")
        refused(folder, "GPTQ, 4 bits", base="their/model")
    (folder / "quantize_config.json").write_text("{")
    refused(folder, "GPTQ", base="their/model")
