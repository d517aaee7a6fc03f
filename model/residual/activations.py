"""Distributions of recorded activations by layer, cosine similarity between tokens, and their principal components."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.trace.trace import Trace

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_SAMPLE = 2**22  # numbers that are sorted whole; of more, every k-th row is taken


def names(trace: Trace, stack: str) -> list[str]:
    """The recorded activations of `stack` that are one row a token, in the order of the record."""
    n = len(trace.tokens(stack))
    found = []
    for name in trace.store.names():
        if not name.startswith(f"{stack}.") or "rotary" in name:
            continue
        shape = trace.store.shape(name)
        if len(shape) == 2 and shape[0] == n:
            found.append(name)
    return found


def kinds(names: Sequence[str]) -> list[str]:
    """What the names are called without their layer, each once: `encoder.0.ffn.post` is `ffn.post`."""
    return list(dict.fromkeys(kind_of(name) for name in names))


def kind_of(name: str) -> str:
    """`encoder.0.ffn.post` -> `ffn.post`; `encoder.input` -> `input`."""
    parts = name.split(".")[1:]
    return ".".join(parts[1:] if parts[0].isdigit() and len(parts) > 1 else parts)


def layers_of(names: Sequence[str], kind: str) -> list[str]:
    """The names of one kind, by layer."""
    return [name for name in names if kind_of(name) == kind]


def thinned(shape: tuple[int, ...]) -> int:
    """Every how many-th row of an activation of this shape `quantiles` takes: 1 is all."""
    return -(-math.prod(shape) // _SAMPLE)


def quantiles(values: Tensor) -> Tensor:
    """The `QUANTILES` of all numbers of an activation, linear between neighbours: float64 [7]; see `thinned`."""
    values = values[:: max(1, thinned(tuple(values.shape)))]
    place = torch.tensor(QUANTILES, dtype=torch.float64) * (values.numel() - 1)
    low, high = place.floor().long(), place.ceil().long()
    # Only these places need be in order: a twentieth of the time of sorting all.
    flat = (values if values.dtype == torch.float64 else values.float()).flatten().numpy()
    numbers = torch.from_numpy(np.partition(flat, sorted({*low.tolist(), *high.tolist()})))
    return numbers[low].double() + (numbers[high].double() - numbers[low].double()) * (place - low)


def similarity(values: Tensor) -> Tensor:
    """Cosine of every two tokens: [n, d] -> float64 [n, n]."""
    unit = _unit(values)
    return unit @ unit.T


def _unit(values: Tensor) -> Tensor:
    """Every token's vector with length 1; 0 stays 0."""
    found = values.double()
    return found / found.norm(dim=-1, keepdim=True).clamp_min(1e-300)


def mean_similarity(values: Tensor) -> float:
    """The mean cosine of two different tokens, without n × n: (‖Σ u‖² − n) / (n (n − 1)). NaN for one token.

    (Ethayarajh 2019, "How Contextual are Contextualized Word Representations?", section 3.3: anisotropy.)
    """
    unit = _unit(values)
    n = len(unit)
    if n < 2:
        return float("nan")
    return ((unit.sum(0).square().sum() - unit.square().sum()) / (n * (n - 1))).item()


@dataclass(frozen=True, eq=False)
class Plane:
    """points [n, 2]: the tokens on the two directions of largest variance; share: what part of the variance each has."""

    points: Tensor
    share: tuple[float, float]


def plane(values: Tensor) -> Plane:
    """Principal components of the tokens of one layer, by SVD of the centred activations in float64 (Jolliffe 2002, 3.5).

    The sign of a direction is free: the largest of its loadings is made positive. Fewer than 3 tokens leave a direction
    without variance; it is 0 then.
    """
    x = values.double()
    x = x - x.mean(0)
    directions, (first, second) = principal_directions(x, 2)
    return Plane(x @ directions.T, (first, second))


def principal_directions(centred: Tensor, axes: int) -> tuple[Tensor, tuple[float, ...]]:
    """The directions of largest variance of points [n, d] about 0: orthonormal rows [axes, d], and the share that each has.

    Where there are fewer directions with variance the rest are 0; the largest loading of each is made positive.
    """
    _, size, right = torch.linalg.svd(centred, full_matrices=False)
    largest = right.gather(1, right.abs().argmax(1, keepdim=True))
    # A direction without variance is any: it is left out.
    real = size > size.max().clamp_min(1e-300) * 1e-12
    directions = (right * torch.where(largest < 0, -1.0, 1.0))[real][:axes]
    shares = (size.square()[real][:axes] / size.square().sum().clamp_min(1e-300)).tolist()
    missing = axes - len(directions)
    return torch.cat([directions, directions.new_zeros(missing, centred.shape[1])]), (*shares, *[0.0] * missing)
