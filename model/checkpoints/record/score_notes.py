"""What a tensor on the way from q · kᵀ to W_O is: the notes that `score_chain` hands on from operation to operation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class Scaled:
    """A tensor that is `source` times a number."""

    source: Tensor
    factor: float


@dataclass(frozen=True, eq=False)
class Scores:
    """scale · q · kᵀ + terms: q [h, q, d_k], k [h, k, d_k]; terms and masks [h or 1, q or 1, k or 1]; True is dropped.

    `erased` cells were multiplied by 0 and must end up masked. `rounded`: they were in half precision on their way.
    """

    q: Tensor
    k: Tensor
    scale: float
    rounded: bool
    owner: Any
    terms: tuple[tuple[Tensor, float], ...] = ()
    dropped: tuple[Tensor, ...] = ()
    erased: tuple[Tensor, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.q.shape[0], self.q.shape[1], self.k.shape[1]

    def bare(self) -> Scores:
        """Without what is as large as the weights, and without the module that is running."""
        return replace(self, owner=None, terms=(), dropped=(), erased=())

    def times(self, factor: float) -> Scores:
        terms = tuple((term, weight * factor) for term, weight in self.terms)
        return replace(self, scale=self.scale * factor, terms=terms)


@dataclass(eq=False)
class Attended:
    """One attention call, batch axis gone; `value` is whatever `Chain.attended` made of its scores."""

    scores: Scores
    value: Any
    v: Tensor | None = None
    context: Tensor | None = None  # [h, q, d_v]
    w_o: Tensor | None = None  # [h · d_v, d]
    b_o: Tensor | None = None
    output: Tensor | None = None  # [q, d]


@dataclass(frozen=True, eq=False)
class Weights:
    """The result of a softmax over the last axis; `call` is None where its scores could not be followed."""

    call: Attended | None
    tensor: Tensor | None


@dataclass(frozen=True, eq=False)
class Context:
    call: Attended


@dataclass(frozen=True, eq=False)
class Output:
    call: Attended


def number(value: object) -> float | None:
    """A number, or a tensor that is one."""
    if isinstance(value, int | float):
        return float(value)
    return float(value.item()) if isinstance(value, Tensor) and value.numel() == 1 else None


def flat(term: Tensor) -> Tensor | None:
    """A term of the scores as [h or 1, q or 1, k or 1]; None where it still has a batch axis."""
    while term.dim() > 3 and term.shape[0] == 1:
        term = term[0]
    return term.reshape((1,) * (3 - term.dim()) + tuple(term.shape)) if term.dim() <= 3 else None
