"""Quantised weights, told from a folder's settings and from the names of its tensors: what packed them, and of which model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from model.checkpoints.disk import files as checkpoint_files
from model.errors import HeadlightError, Quantised, QuantisedFrom

# What the installed library unpacks by itself on a processor, exactly: each weight is its code times its scale.
UNPACKED = {"fp8": "FP8", "mxfp8": "MXFP8", "mxfp4": "MXFP4"}
_TITLES = UNPACKED | {
    "aqlm": "AQLM", "auto-round": "AutoRound", "awq": "AWQ", "bitnet": "BitNet", "bitsandbytes": "bitsandbytes", "eetq": "EETQ",
    "exl2": "EXL2", "exl3": "EXL3", "fbgemm_fp8": "FBGEMM FP8", "gptq": "GPTQ", "higgs": "HIGGS", "hqq": "HQQ", "metal": "Metal",
    "modelopt": "ModelOpt", "nvfp4": "NVFP4", "quanto": "Quanto", "quark": "Quark", "spqr": "SpQR", "vptq": "VPTQ",
}  # fmt: skip
_BITS = ("bits", "w_bit", "nbits", "wbits")
# Files in which older tools keep what config.json does not say -> the method.
_BESIDE = {
    "quantize_config.json": "gptq", "quant_config.json": "awq", "hf_quant_config.json": "modelopt",
    "quanto_qmap.json": "quanto",
}  # fmt: skip
# Ends of the names of tensors that only packed weights have; the first kind whose ends are all there is it.
_ENDS = (
    ("GPTQ", (".qweight", ".qzeros", ".g_idx")), ("AWQ or GPTQ", (".qweight", ".scales")),
    ("bitsandbytes, 8 bits", (".SCB",)), ("bitsandbytes, 4 bits", (".weight.absmax",)),
    ("compressed-tensors", (".weight_packed",)), ("FP8", (".weight_scale_inv",)), ("FP8", (".weight_scale",)),
    ("MXFP4", ("_blocks", "_scales")), ("HQQ", (".W_q",)), ("Quanto", (".weight._data",)), ("EXL2", (".q_weight", ".q_scale")),
    ("EXL3", (".trellis",)), ("AQLM", (".codebooks", ".codes")), ("torchao", ("weight_qdata",)),
    ("Metal", (".scales", ".qbiases")), ("MLX", (".scales", ".biases")),
)  # fmt: skip
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check(folder: Path, told: Mapping[str, Any]) -> None:
    """Raises Quantised, naming the kind, where the weights are packed in a way that is not unpacked here.

    told: config.json. Where it names no packing, older tools' settings and the names in safetensors headers do.
    """
    method, kind = _told(folder, told)
    if method in UNPACKED:
        return
    if kind := kind or by_names(_names(folder)):
        refuse(folder, told, kind)


def refuse(folder: Path, told: Mapping[str, Any], kind: str) -> None:
    """Raises Quantised, or QuantisedFrom where the folder says of which model the weights are."""
    if base := original(folder, told):
        raise QuantisedFrom(path=folder, kind=kind, base=base)
    raise Quantised(path=folder, kind=kind)


def unpacked(told: Mapping[str, Any]) -> str:
    """What the library unpacks while it opens the folder of this config.json, as a person calls it; "" for plain weights."""
    method = str(_settings(told).get("quant_method", "")).lower()
    return UNPACKED.get(method, "")


def by_names(names: Iterable[str]) -> str:
    """The kind of packing that tensors of these names come from, "" for plain ones."""
    names = list(names)
    there = {end for _, ends in _ENDS for end in ends if any(name.endswith(end) for name in names)}
    return next((kind for kind, ends in _ENDS if there.issuperset(ends)), "")


def original(folder: Path, told: Mapping[str, Any]) -> str:
    """The model that was quantised, as the folder's model card or its settings name it; "" where nothing does."""
    named = [*_card(folder), told.get("_name_or_path")]
    named += [_beside(folder / file).get("model_name_or_path") for file in _BESIDE]
    here = {folder.name, str(folder)}
    return next(
        (name for name in named if isinstance(name, str) and _HUB_NAME.fullmatch(name) and name not in here), ""
    )


def _told(folder: Path, told: Mapping[str, Any]) -> tuple[str, str]:
    """(method, what a person calls it), both "" where no settings tell of a packing."""
    found = _settings(told)
    if told.get("quantization_config") or found:
        method = str(found.get("quant_method") or ("bitsandbytes" if _bitsandbytes(found) else "")).lower()
        if not method and found.keys() >= {"group_size", "bits"}:
            return "mlx", f"MLX, {found['bits']} bits"
        return method, _title(method, found)
    for file, method in _BESIDE.items():
        if (folder / file).is_file():
            return method, _title(method, _beside(folder / file))
    return "", ""


def _settings(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of config.json about its packing: the library's, that of the text inside a larger model, or MLX's."""
    inner = told.get("text_config")
    places = (told, inner if isinstance(inner, Mapping) else {})
    found = [place.get(name) for place in places for name in ("quantization_config", "quantization")]
    return next((entry for entry in found if isinstance(entry, Mapping) and entry), {})


def _bitsandbytes(found: Mapping[str, Any]) -> bool:
    return bool(found.get("load_in_4bit") or found.get("load_in_8bit"))


def _title(method: str, found: Mapping[str, Any]) -> str:
    title = _TITLES.get(method, method) or "in a way that config.json does not name"
    bits = next((found[name] for name in _BITS if isinstance(found.get(name), int)), None)
    if _bitsandbytes(found):
        bits = 4 if found.get("load_in_4bit") else 8
    return f"{title}, {bits} bits" if bits else title


def _names(folder: Path) -> list[str]:
    """The tensors in the safetensors of a folder, as far as their headers tell: whether these are whole is asked later."""
    names: list[str] = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            names += checkpoint_files.tensors(path)
        except (ValueError, OSError, KeyError, TypeError):
            continue
    return names


def _card(folder: Path) -> list[str]:
    """What the head of the model card has under base_model: one name, or one a line."""
    found: list[str] = []
    head = checkpoint_files.card_head(folder)
    for number, line in enumerate(head):
        if not line.startswith("base_model:"):
            continue
        found = [line.partition(":")[2]]
        for more in head[number + 1 :]:
            if not more.lstrip().startswith("- "):
                break
            found.append(more.lstrip()[2:])
    return [name.strip().strip("\"'[]") for name in found]


def _beside(path: Path) -> Mapping[str, Any]:
    try:
        return checkpoint_files.settings(path)
    except HeadlightError:  # its kind is told by its name
        return {}
