"""The inputs of an attention module, kept for a second run in O(n · d): n × n masks are stored as rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from model.jobs.device import host
from model.trace.mask_and_bias import position_bias
from model.transformer.masks import compress


@dataclass(eq=False)
class Packing:
    """Of one forward: an input that serves many layers is packed once."""

    seen: dict[int, tuple[Tensor, Any]] = field(default_factory=dict)

    def pack(self, value: Any) -> Any:
        """Inputs are kept as they are, but for caches (a second run must not grow them) and what is n × n."""
        if type(value).__name__.endswith("Cache"):
            return None
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self.seen:
            self.seen[id(value)] = value, _square(host(value))
        return self.seen[id(value)][1]


def _square(value: Tensor) -> Any:
    """An n × n input in O(n) where it is a rule: one number an offset, or a mask of two values."""
    shape = tuple(value.shape)
    if len(shape) < 2 or shape[-1] != shape[-2] or value.numel() != shape[-1] ** 2 or shape[-1] < 2:
        return value
    kind, offsets = position_bias(value.reshape(1, *shape[-2:]))
    if kind == "bias_offsets":
        return _Offsets(offsets[0], shape)
    low, high = value.min(), value.max()
    if not bool(((value == low) | (value == high)).all()):
        return value
    return _TwoValues(compress((value == high).reshape(shape[-2:])), low, high, shape)


@dataclass(frozen=True, eq=False)
class _Offsets:
    values: Tensor
    shape: tuple[int, ...]

    def whole(self) -> Tensor:
        i = torch.arange(self.shape[-1])
        return self.values[i[None] - i[:, None] + self.shape[-1] - 1].reshape(self.shape)


@dataclass(frozen=True, eq=False)
class _TwoValues:
    mask: Any
    low: Tensor
    high: Tensor
    shape: tuple[int, ...]

    def whole(self) -> Tensor:
        return torch.where(self.mask.allowed(*self.shape[-2:]), self.high, self.low).reshape(self.shape)


def unpack(value: Any) -> Any:
    return value.whole() if isinstance(value, _Offsets | _TwoValues) else value
