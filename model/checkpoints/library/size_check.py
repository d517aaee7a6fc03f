"""The sizes of a config.json held against the headers of its weights, before a model of such a size is built.

What config.json says costs nothing to write: 100,000 layers or a vocabulary of 60 million would be built for hours, or fill
the memory, and only then be compared with the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch

from model.checkpoints.disk import files as checkpoint_files
from model.checkpoints.disk import quantised
from model.checkpoints.disk.headers import parameters
from model.checkpoints.library_logging import loading
from model.errors import BadConfig, WrongShape

_LAYERS = re.compile(r"(?!max_)(n_layers?|([a-z]+_)*layers)")
# Layers that may be shared (ALBERT's twelve are one), and parameters that files may lack: a head that was added, say.
_MORE_LAYERS, _MORE_NUMBERS, _TIMES = 64, 10**7, 4
_LABELS = 10**6


def before_building(folder: Path) -> None:
    """What config.json alone, and the names of the weights, tell. Raises BadConfig with both numbers."""
    told = checkpoint_files.config(folder)
    if isinstance(labels := told.get("num_labels"), int) and labels > _LABELS:
        raise _refusal(folder, f"it says num_labels {labels:,}, and at most {_LABELS:,} are made")
    for name, value in told.items():
        if name.endswith(("eps", "epsilon")) and isinstance(value, float) and not 0 <= value < 1:
            raise _refusal(folder, f"it says {name} {value}, and a norm adds a small number above zero")
    weights = checkpoint_files.weights(folder)
    if weights[0].suffix != ".safetensors":
        return
    names = [name for path in weights for name in checkpoint_files.tensors(path)]
    there = 1 + max(
        (int(part) for name in names for part in name.split(".") if part.isascii() and part.isdigit()), default=-1
    )
    for name, layers in _layers(told):
        if layers > 2 * there + _MORE_LAYERS:
            raise _refusal(folder, f"it says {name} {layers:,}, and the weights hold {there} layers")


def _layers(told: Mapping[str, Any], depth: int = 3) -> Iterator[tuple[str, int]]:
    for name, value in told.items():
        if isinstance(value, Mapping) and depth:
            yield from _layers(value, depth - 1)
        elif type(value) is int and _LAYERS.fullmatch(name):
            yield name, value


def check(folder: Path, config: Any, named: Any, weights: list[Path]) -> None:
    """The model that is described, without its numbers, against the headers. Raises WrongShape or BadConfig."""
    make = getattr(named, "from_config", None) or getattr(named, "_from_config", None)
    try:
        with loading(), torch.device("meta"):
            module = make(config)
    except Exception:  # `load_errors` says what, when the library has said it too
        return
    shapes = {name: tuple(part.shape) for name, part in (*module.named_parameters(), *module.named_buffers())}
    numbers, there = sum(map(prod, shapes.values())), _numbers(weights)
    if weights[0].suffix == ".safetensors" and not quantised.unpacked(checkpoint_files.config(folder)):
        for name, entry in sorted(_tensors(weights).items(), key=lambda item: -len(item[1]["shape"])):
            got, allowed = tuple(entry["shape"]), shapes.get(name, entry["shape"])
            if abs(prod(allowed) - prod(got)) > _MORE_NUMBERS:
                raise WrongShape(
                    path=folder, tensor=name, got="×".join(map(str, got)), allowed="×".join(map(str, allowed))
                )
    if numbers > _TIMES * there + _MORE_NUMBERS:
        raise _refusal(folder, f"it describes a model of {numbers:,} numbers, and the weights hold {there:,}")


def _tensors(weights: list[Path]) -> dict[str, dict[str, Any]]:
    return {name: entry for path in weights for name, entry in checkpoint_files.tensors(path).items()}


def _numbers(weights: list[Path]) -> int:
    """How many the files hold; without a header as many as they have room for."""
    if weights[0].suffix == ".safetensors":
        return sum(map(parameters, weights))
    return sum(path.stat().st_size for path in weights) // 2


def _refusal(folder: Path, reason: str) -> BadConfig:
    return BadConfig(path=folder, file="config.json", reason=reason)
