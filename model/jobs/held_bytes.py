"""How much memory a value holds: the numbers in it, each once, whatever it is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

_SMALL = 64  # of anything else


def held_bytes(value: object, seen: set[int] | None = None) -> int:
    """Bytes of the tensors, arrays, texts and modules in a value; views of one memory are counted once."""
    seen = set() if seen is None else seen
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        return _once(storage.data_ptr(), storage.nbytes(), seen)
    if isinstance(value, np.ndarray):
        base = value if value.base is None or not isinstance(value.base, np.ndarray) else value.base
        return _once(id(base), base.nbytes, seen)
    if isinstance(value, bytes | str):
        return _once(id(value), len(value), seen)
    if id(value) in seen or value is None or isinstance(value, int | float | bool | type | torch.dtype):
        return 0
    seen.add(id(value))
    if isinstance(value, nn.Module):
        return sum(held_bytes(part, seen) for part in (*value.parameters(), *value.buffers()))
    if isinstance(value, Mapping):
        return sum(held_bytes(part, seen) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return sum(held_bytes(part, seen) for part in value)
    if hasattr(value, "memory_usage"):  # a table of pandas
        return int(np.sum(value.memory_usage(deep=True)))
    if dataclasses.is_dataclass(value):
        return sum(held_bytes(getattr(value, each.name, None), seen) for each in dataclasses.fields(value))
    return _SMALL


def _once(key: int, size: int, seen: set[int]) -> int:
    if key in seen:
        return 0
    seen.add(key)
    return size
