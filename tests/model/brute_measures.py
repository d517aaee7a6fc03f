"""Every measure of a head by its sentence: float64 sums over the whole weights of one head, none of the model's arithmetic.

A new measure has its function here, under its name; `test_measure_registry` and `test_statistics` hold the measure to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.trace.attention_record import AttentionRecord
from tests.model.attention_kinds import weights

NAN = math.nan


@dataclass(frozen=True)
class Seen:
    """One head: A [q, k] its weights, allowed [q, k] the cells that the mask leaves, and what is known of the keys."""

    A: np.ndarray
    allowed: np.ndarray
    one_sequence: bool
    ids: Sequence[int]
    special: Sequence[bool]
    punctuation: Sequence[bool]
    context: np.ndarray | None

    @cached_property
    def some(self) -> np.ndarray:
        """Which queries may attend anything: [q]."""
        return self.allowed.any(1)

    @cached_property
    def back(self) -> np.ndarray:
        """i − j: [q, k]."""
        return np.arange(len(self.A))[:, None] - np.arange(self.A.shape[1])[None]


def seen(
    found: AttentionRecord, head: int, ids: Sequence[int], special: Sequence[bool], punctuation: Sequence[bool]
) -> Seen:
    name, store = str(found.site), found.store
    context = store[f"{name}.context"][head].double().numpy() if f"{name}.context" in store else None
    allowed = found.mask.allowed(found.queries, found.keys).numpy()
    one_sequence = found.site.kind == "self" and found.queries == found.keys
    return Seen(weights(found, head), allowed, one_sequence, ids, special, punctuation, context)


def mean(values: np.ndarray, counted: np.ndarray) -> float:
    return values[counted].mean() if counted.any() else NAN


def mass(one: Seen, cells: np.ndarray) -> float | None:
    """The mean mass on cells [q, k], over the queries that may attend one of them; None but in one sequence."""
    return mean((one.A * cells).sum(1), (one.allowed & cells).any(1)) if one.one_sequence else None


def key_mass(one: Seen, keys: Sequence[bool]) -> float:
    """The mean mass on keys [k], over all queries."""
    return mean((one.A * np.array(keys)).sum(1), one.some)


def entropies(one: Seen) -> np.ndarray:
    return -(one.A * np.log(np.where(one.A > 0, one.A, 1))).sum(1)


def distance(one: Seen) -> float | None:
    return (one.A * one.back).sum() / (one.A.sum() if one.some.any() else NAN) if one.one_sequence else None


def rms_distance(one: Seen) -> float | None:
    whole = one.A.sum() if one.some.any() else NAN
    return math.sqrt((one.A * one.back**2).sum() / whole) if one.one_sequence else None


def induction(one: Seen) -> float | None:
    if not one.one_sequence:
        return None
    before = np.array([None, *one.ids[:-1]], dtype=object)
    return mass(one, (before[None] == np.array(one.ids)[:, None]) & (one.back >= 0))


def duplicate_token(one: Seen) -> float | None:
    if not one.one_sequence:
        return None
    ids = np.array(one.ids)
    return mass(one, (ids[None] == ids[:, None]) & (one.back != 0))


def positional_share(one: Seen) -> float | None:
    """The variance of the weights that their diagonals' means hold."""
    if not one.one_sequence:
        return None
    told, diagonals = one.A[one.allowed], (one.back - one.back.min())[one.allowed]
    if not told.size:
        return NAN
    means = np.bincount(diagonals, told) / np.maximum(np.bincount(diagonals), 1)
    spread = ((told - told.mean()) ** 2).sum()
    return ((means[diagonals] - told.mean()) ** 2).sum() / spread if spread > 1e-6 * (told**2).sum() else NAN


def effective_rank(one: Seen) -> float | None:
    if one.context is None:
        return None
    sigma = np.linalg.svd(one.context, compute_uv=False)
    p = sigma[sigma > 1e-7 * sigma.max()] / sigma.sum()
    return math.exp(-(p * np.log(p)).sum())


BRUTE: dict[str, Callable[[Seen], float | None]] = {
    "entropy": lambda one: mean(entropies(one), one.some),
    "largest": lambda one: mean(one.A.max(1), one.some),
    "distance": distance,
    "rms_distance": rms_distance,
    "local": lambda one: mass(one, abs(one.back) <= 4),
    "previous": lambda one: mass(one, one.back == 1),
    "next": lambda one: mass(one, one.back == -1),
    "diagonal": lambda one: mass(one, one.back == 0),
    "first": lambda one: mean(one.A[:, 0], one.some),
    "special": lambda one: key_mass(one, one.special),
    "punctuation": lambda one: key_mass(one, one.punctuation),
    "induction": induction,
    "duplicate": duplicate_token,
    "positional_share": positional_share,
    "effective_rank": effective_rank,
}
