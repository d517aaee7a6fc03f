"""Snapshots that ship: some steps of a history, where room is short with 8 bits a weight and a scale for each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from model.files.atomic import write_bytes
from model.training.run_files.folder import snapshot, steps_of

_SCALE = ".scale"
_LARGEST = 127


def packed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every matrix [rows, columns] as int8 and `name.scale` float32 [rows], max |row| / 127: off by half a scale at most.

    Vectors stay as they are.
    """
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.ndim != 2:
            found[name] = value.contiguous()
            continue
        scale = value.float().abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
        found[name] = (value.float() / scale[:, None]).round().to(torch.int8)
        found[name + _SCALE] = scale
    return found


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """float32 weights by name, of `packed` or of a checkpoint in any precision."""
    scaled = {name.removesuffix(_SCALE) for name in tensors if name.endswith(_SCALE)}
    return {
        name: value.float() * tensors[name + _SCALE][:, None] if name in scaled else value.float()
        for name, value in tensors.items()
        if not name.endswith(_SCALE)
    }


def ship(history: Path, folder: Path, steps: Iterable[int], eight_bits: bool = False) -> int:
    """Write the snapshots of `steps` into the checkpoint `folder`; the bytes they take. Raises OSError.

    The last step of the training is the checkpoint itself and needs none.
    """
    from safetensors.torch import load_file, save

    wanted = set(steps)
    if lacking := wanted - set(steps_of(history)):
        raise ValueError(f"{history} has no snapshot of step {min(lacking)}")
    size = 0
    (snapshot(folder, 0).parent).mkdir(exist_ok=True)
    for step in sorted(wanted):
        weights = load_file(snapshot(history, step))
        data = save(packed(weights) if eight_bits else weights)
        write_bytes(snapshot(folder, step), data)
        size += len(data)
    return size
