"""The next-token distribution at another temperature: p_i = exp(z_i / T) / Σ_j exp(z_j / T).

(Ackley, Hinton & Sejnowski 1985, "A learning algorithm for Boltzmann machines", equation 1.) Of a run that kept whole
logits it is exact. Of one that kept each row's likeliest and its log-sum-exp, the sum over the rest, S = Σ e^{z_j}, is
exact at T = 1 only; at another T, with p = 1 / T, it lies between two bounds, because no other logit exceeds the least
one kept, z_min, and there are N of them:

    T < 1:  0 < Σ e^{p z_j} ≤ e^{(p − 1) z_min} S          T > 1:  e^{(p − 1) z_min} S ≤ Σ e^{p z_j} ≤ N^{1 − p} S^p
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.errors import HeadlightError
from model.trace.tensors import Store
from model.transformer.attention import entropy

# Of a float32 log-sum-exp: what it leaves unsaid of the rest, which is 1 minus what was kept.
_EPSILON = 2.0**-21


@dataclass(frozen=True, eq=False)
class Tempered:
    """One row's candidates, likeliest first: float64 [top] each.

    plain: probabilities at T = 1. low, high: between which those at T lie, equal where they are exact. entropy: in nats at
    T = 1 and at T, over the whole vocabulary; None where it cannot be told.
    """

    ids: Tensor
    logits: Tensor
    plain: Tensor
    low: Tensor
    high: Tensor
    entropy: tuple[float, float] | None

    @property
    def exact(self) -> bool:
        """Whether the probabilities at T are numbers and not ranges."""
        return bool(torch.equal(self.low, self.high))


def tempered(store: Store, position: int, temperature: float, top: int = 10) -> Tempered | None:
    """The `top` likeliest tokens at `position` (at T = 1; no temperature > 0 changes their order); None without logits.

    Raises HeadlightError where the temperature is not a positive number.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise HeadlightError(reason=f"The temperature is {temperature}; it must be a positive number.")
    if "logits" in store:
        return _whole(store["logits"][position].double(), temperature, top)
    if "likeliest.logits" not in store:
        return None
    return _thinned(store, position, temperature, top)


def _whole(row: Tensor, temperature: float, top: int) -> Tempered:
    plain, other = row.log_softmax(-1), (row / temperature).log_softmax(-1)
    ids = row.topk(min(top, row.shape[0])).indices
    p = other[ids].exp()
    return Tempered(ids, row[ids], plain[ids].exp(), p, p, (float(entropy(plain.exp())), float(entropy(other.exp()))))


def _thinned(store: Store, position: int, temperature: float, top: int) -> Tempered:
    row, lse = store["likeliest.logits"][position].double(), store["likeliest.lse"][position].double()
    size = int(store["likeliest.size"]) if "likeliest.size" in store else None
    power = 1 / temperature
    # Everything relative to the log-sum-exp, so that nothing overflows: S + Σ kept = 1.
    z = row - lse
    ids, plain = store["likeliest.ids"][position][:top], z[:top].exp()
    if power == 1:
        return Tempered(ids, row[:top], plain, plain, plain, None)
    slack = _EPSILON * max(1.0, abs(lse.item()), row.abs().max().item())
    rest = 1 - z.exp().sum().item()
    reach = (max(0.0, rest - slack), max(0.0, rest + slack))
    least, most = _rest(reach, float(z.min()), power, None if size is None else size - len(row))
    kept, shares = (power * z).exp().sum(), (power * z[:top]).exp()
    return Tempered(ids, row[:top], plain, shares / (kept + most), shares / (kept + least), None)


def _rest(rest: tuple[float, float], smallest: float, power: float, count: int | None) -> tuple[float, float]:
    """Bounds of Σ e^{p z_j} over what was not kept; `count` of them, None where nobody knows."""
    if count == 0:
        return 0.0, 0.0
    each = math.inf if count is None else count * math.exp(power * smallest)
    edge = [math.exp((power - 1) * smallest) * share for share in rest]
    if power > 1:
        return 0.0, min(edge[1], each)
    return edge[0], each if count is None else min(each, count ** (1 - power) * rest[1] ** power)
