"""Sound files that hostile ones are made from, each made once and kept in the folder of originals."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from tests.model import tiny


def _once(place: Path, write: Callable[[Path], object]) -> Path:
    if not place.exists():
        write(place)
    return place


def own(sound: Path, shape: str = "both") -> Path:
    """A tiny checkpoint of ours."""
    name = "own" if shape == "both" else f"own-{shape}"
    return _once(sound / name, lambda place: tiny.write_checkpoint(place, shape=shape))


def run(sound: Path) -> Path:
    """A saved trace of it."""
    from model import open_model

    return _once(
        sound / "run.safetensors", lambda place: open_model(own(sound)).trace(tiny.TEXT, tiny.WRITTEN).save(place)
    )


def library(sound: Path, name: str = "gpt2") -> Path:
    """A tiny folder of the library, one of `tests.app.checkpoints.MADE`."""
    from tests.app import checkpoints

    return _once(sound / name, lambda place: checkpoints.write(place, name))


def copied(original: Path, folder: Path) -> Path:
    """A copy that may be damaged."""
    if original.is_dir():
        return Path(shutil.copytree(original, folder / original.name))
    return Path(shutil.copy(original, folder))


def edited(path: Path, change: Callable[[Any], Any]) -> Path:
    """A JSON file after `change`, which returns the new value or changes the old in place."""
    value = json.loads(path.read_text(encoding="utf-8"))
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed, ensure_ascii=False), encoding="utf-8")
    return path


def header(path: Path) -> tuple[dict[str, Any], bytes]:
    """(header, data) of a safetensors file."""
    raw = path.read_bytes()
    (size,) = struct.unpack_from("<Q", raw)
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def with_header(path: Path, told: dict[str, Any] | bytes, data: bytes) -> Path:
    """A safetensors file of this header, true or not."""
    text = told if isinstance(told, bytes) else json.dumps(told).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def retold(
    path: Path, tensors: Callable[[dict[str, torch.Tensor]], object] | None, tell: Callable[[dict], object] | None
) -> Path:
    """A saved trace with other tensors and another description; the sizes that it tells are made to fit."""
    raw = path.read_bytes()
    told, values = header(path)[0]["__metadata__"], load(raw)
    document = json.loads(told["trace"])
    if tensors is not None:
        tensors(values)
        document["tensors"] = {name: list(tensor.shape) for name, tensor in values.items()}
    if tell is not None:
        document = tell(document) or document
    told["trace"] = json.dumps(document, ensure_ascii=False)
    path.write_bytes(save({name: tensor.contiguous() for name, tensor in values.items()}, told))
    return path
