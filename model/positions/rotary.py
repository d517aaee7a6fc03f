"""Rotary positions (Su et al. 2021) of one recorded head: q and k before and after rotation, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.steps.head import head_steps
from model.steps.projections import from_input
from model.steps.step import Matrix, Step
from model.trace.difference import max_difference
from model.trace.rounding import allowed
from model.trace.site import Site
from model.trace.trace import Trace
from model.transformer.positions import Rotary

# As many places as the one query and the one key are put at, where the model's own code has no end of them.
PLACES = 24


@dataclass(frozen=True, eq=False)
class Rotated:
    """q and k of one head before and after rotation, each float64 [n, d_k].

    cos, sin [m, d_k]: of the positions 0 … m − 1 (1 and 0 where a dimension does not rotate). pairs: which two dimensions
    rotate together. own: whether the model rotates them itself; else they are what `Rotary` makes of its q and k.
    error: max |rotated − recorded| over q and k, None where nothing rotated was recorded; limit: how large it may be.
    """

    q: Tensor
    q_rotated: Tensor
    k: Tensor
    k_rotated: Tensor
    cos: Tensor
    sin: Tensor
    pairs: tuple[tuple[int, int], ...]
    own: bool
    error: float | None
    limit: float = 0.0

    def at(self, x: Tensor) -> Tensor:
        """x [d_k] at each position: x ⊙ cos + x⟂ ⊙ sin, [m, d_k] (Su et al. 2021, equation 34)."""
        across = torch.zeros_like(x)
        for a, b in self.pairs:
            across[a], across[b] = -x[b], x[a]
        return x * self.cos + across * self.sin


def rotate(trace: Trace, site: Site, head: int) -> Rotated:
    """The head of `site` with its positions as pairs that turn; of a model without them, what `Rotary` does to its q, k."""
    record = trace.record(site)
    if site.kind == "self" and f"{site}.rotary" in trace.store:
        found = from_input(trace, site, record, head)
        steps = {step.key: step for step in found[0]} if found else {}
        if {"rotate_q", "rotate_k"} <= steps.keys():
            return _of_library(steps["rotate_q"], steps["rotate_k"])
    own = site.kind == "self" and trace.facts.get("positions") == "rotary"
    d_k = record.d_k
    rotary = Rotary(d_k)
    if own:
        steps = {step.key: step for step in head_steps(trace, site, head, 0)}
        q, k = (_projected(steps[name]) for name in "qk")
    else:
        q, k = (record.head(name, head, torch.float64)[:, : d_k - d_k % 2] for name in "qk")
        rotary = Rotary(q.shape[1])
    q_rotated, k_rotated = rotary(q[None, None])[0, 0], rotary(k[None, None])[0, 0]
    error, limit = None, 0.0
    if own:
        limit = max(steps[name].limit for name in "qk")
        error = max(
            max_difference(q_rotated, record.head("q", head)), max_difference(k_rotated, record.head("k", head))
        )
    angle = rotary.angles(PLACES).repeat_interleave(2, dim=1)
    pairs = tuple((i, i + 1) for i in range(0, q.shape[1], 2))
    return Rotated(q, q_rotated, k, k_rotated, angle.cos(), angle.sin(), pairs, own, error, limit)


def _projected(step: Step) -> Tensor:
    """X W + b of one head: what our own model turns."""
    X, W, b = (operand.values for operand in step.operands if isinstance(operand, Matrix))
    return X @ W + b


def _of_library(q: Step, k: Step) -> Rotated:
    """The two steps of `model.steps.projections`: x ⊙ cos + x⟂ ⊙ sin, where i turns with i + r/2 of the r that turn."""
    before, cos, _, sin = (operand.values for operand in q.operands if isinstance(operand, Matrix))
    turns = int((sin.abs().amax(0) > 0).sum()) if len(sin) > 1 else sin.shape[1]
    pairs = tuple((i, i + turns // 2) for i in range(turns // 2))
    error, limit = max((step.error or 0.0, step.limit) for step in (q, k))
    return Rotated(before, q.result.values, k.operands[0].values, k.result.values, cos, sin, pairs, True, error, limit)


def products_at_every_two_positions(rotated: Rotated, query: int, key: int) -> Tensor:
    """The one query and the one key, put at every two positions: float64 [m, m], row m holds q at m times k at m'."""
    return rotated.at(rotated.q[query]) @ rotated.at(rotated.k[key]).T


def products_limit(rotated: Rotated, query: int, key: int) -> float:
    """How far products of the same offset may lie apart, sums of d_k products: as far as the tables of cos and sin are off."""
    size = (rotated.q[query].norm() * rotated.k[key].norm()).item()
    if torch.equal(rotated.cos, rotated.cos.float().double()):  # a library's tables, recorded in float32 or less
        return allowed(size, rotated.q.shape[1])
    return allowed(size * len(rotated.cos), rotated.q.shape[1], torch.float64)  # angles of that many radians


def by_offset(values: Tensor) -> tuple[Tensor, Tensor, float]:
    """(offsets m' − m [2 m − 1], mean over each diagonal, the largest spread within one) of a square matrix."""
    m = values.shape[0]
    offsets = torch.arange(1 - m, m)
    lines = [values.diagonal(int(offset)) for offset in offsets]
    spread = max((line.max() - line.min()).item() for line in lines)
    return offsets, torch.stack([line.mean() for line in lines]), spread
