"""The tokens' paths through the layers: the residual stream at every depth on three principal components of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.residual import stream
from model.residual.activations import principal_directions
from model.trace.trace import Trace

AXES = 3


@dataclass(frozen=True, eq=False)
class Paths:
    """points: a run each, float64 [depths, n, 3]: where each token stands before the first layer and after each.

    share: what part of the variance of all points each axis has. directions [3, d]: orthonormal rows, 0 where there are fewer
    than three; mean [d]: what the points are counted from, so that mean + points · directions is the nearest there is to the
    stream in three dimensions.
    """

    points: tuple[Tensor, ...]
    share: tuple[float, float, float]
    directions: Tensor
    mean: Tensor


def paths(runs: Sequence[Tensor]) -> Paths:
    """Principal components of every token at every depth of all runs together, by SVD in float64 (Jolliffe 2002, 3.5).

    runs: [depths, n, d] each, of the same d. The sign of a direction is free: the largest of its loadings is made positive.
    """
    flat = torch.cat([run.double().flatten(0, 1) for run in runs])
    mean = flat.mean(0)
    directions, (first, second, third) = principal_directions(flat - mean, AXES)
    points = tuple((run.double() - mean) @ directions.T for run in runs)
    return Paths(points, (first, second, third), directions, mean)


def recorded(trace: Trace, stack: str, cut: slice, unit: bool = False) -> Tensor:
    """The residual stream of the tokens `cut` before the first layer and after each: float64 [depths, n, d].

    unit: each token at each depth divided by its length, so that growing lengths do not hide where it points; 0 stays 0.
    """
    found = torch.stack([trace.activation(name)[cut].double() for name in stream.streams(trace, stack)])
    return found / found.norm(dim=-1, keepdim=True).clamp_min(1e-300) if unit else found
