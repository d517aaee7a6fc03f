"""What edits do to the scores of one sub-layer: keys hidden, rows replaced, with or without making the row sum to 1 again.

A step changes a row of scores s and the mass `dropped` whose share of the softmax belongs to no key, as a log-sum-exp:

    hide key j                 s_j = −∞                          the others share what it had
    hide key j, keeping sums   s_j = −∞, dropped ⊕ s_j           the others stay what they were (⊕ adds in the exponent)
    put a row p                s = ln p, dropped = ln(1 − Σ p)   the softmax gives p back
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from model.transformer.attention import softmax

Shape = Callable[
    [Tensor, Tensor], Tensor
]  # (allowed bool [r, k], positions of the rows [r]) -> weights [r, k], not yet summing to 1


@runtime_checkable
class ScoredHead(Protocol):
    """What is asked of a record: its scores as they are without any edit."""

    def unedited_scores(self, head: int, rows: Tensor | slice, *, dtype: torch.dtype) -> Tensor: ...

    def unedited_sink(self, head: int, dtype: torch.dtype) -> Tensor | None: ...


def _one_hot(allowed: Tensor, at: Tensor) -> Tensor:
    """Weight 1 at one key a row, where the mask leaves it."""
    inside = at.clamp(0, allowed.shape[1] - 1)
    return torch.zeros(allowed.shape, dtype=torch.float64).scatter_(1, inside[:, None], 1.0) * allowed


SHAPES: Mapping[str, Shape] = {
    "uniform": lambda allowed, _: allowed.double(),
    "first": lambda allowed, _: _one_hot(allowed, allowed.int().argmax(1)),
    "previous": lambda allowed, i: _one_hot(allowed, (i - 1).clamp(min=0)),
    "itself": lambda allowed, i: _one_hot(allowed, i),
}


@dataclass(frozen=True)
class Hidden:
    """A key closed for a query, None for all of them. keeping: the other weights stay what they were."""

    heads: frozenset[int]
    query: int | None
    key: int
    keeping: bool = False

    def change(
        self, scores: Tensor, dropped: Tensor, i: Tensor, _allowed: Tensor, _other: Callable[[int], Tensor]
    ) -> None:
        rows = torch.ones_like(i, dtype=torch.bool) if self.query is None else i == self.query
        if self.key >= scores.shape[1]:  # of a text that is being written and has not come so far
            return
        if self.keeping:
            dropped[rows] = torch.logaddexp(dropped[rows], scores[rows, self.key])
        scores[rows, self.key] = -torch.inf


@dataclass(frozen=True)
class Put:
    """Rows put in place of a head's own. shape: one of `SHAPES`; or `other`, a head whose rows they are; or `row`, numbers.

    keeping: a `row` is taken as it is, with what it lacks to 1 given to no key.
    """

    heads: frozenset[int]
    query: int | None
    shape: str = ""
    other: int | None = None
    row: tuple[float, ...] = ()
    keeping: bool = False
    whole: Tensor | None = None  # the rows of `other` where that head is not at hand: [q, k]

    def change(
        self, scores: Tensor, dropped: Tensor, i: Tensor, allowed: Tensor, other: Callable[[int], Tensor]
    ) -> None:
        rows = torch.ones_like(i, dtype=torch.bool) if self.query is None else i == self.query
        weights = self._weights(allowed, i, other) * allowed
        total = weights.sum(1, keepdim=True)
        if not self.keeping:
            weights = torch.where(total > 0, weights / total, weights)
            total = (total > 0).double()
        left = (1 - total[:, 0]).clamp(min=0).log()
        # A row that nothing is put in (its keys are masked) stays what it was.
        rows = rows & (total[:, 0] > 0)
        scores[rows], dropped[rows] = weights.log().to(scores)[rows], left.to(dropped)[rows]

    def _weights(self, allowed: Tensor, i: Tensor, other: Callable[[int], Tensor]) -> Tensor:
        if self.whole is not None:
            return self.whole[i]
        if self.other is not None:
            return other(self.other)
        if self.shape:
            return SHAPES[self.shape](allowed, i)
        row = torch.tensor(self.row[: allowed.shape[1]], dtype=torch.float64)
        return torch.nn.functional.pad(row, (0, allowed.shape[1] - len(row))).expand(allowed.shape)


Step = Hidden | Put


@dataclass(frozen=True, eq=False)
class ScoreEdits:
    """The steps of one sub-layer, in their order."""

    steps: tuple[Step, ...]

    @property
    def heads(self) -> frozenset[int]:
        """Those whose weights are not the model's own."""
        return frozenset().union(*(step.heads for step in self.steps))

    def select(self, record: ScoredHead, chosen: Sequence[int]) -> ScoreEdits:
        """The same of some heads, which are counted anew."""
        steps = []
        for step in self.steps:
            heads = frozenset(place for place, head in enumerate(chosen) if head in step.heads)
            if isinstance(step, Put) and step.other is not None and heads:
                step = replace(step, other=None, whole=_own_weights(record, step.other))
            steps.append(replace(step, heads=heads))
        return replace(self, steps=tuple(steps))

    def edited(self, record: ScoredHead, head: int, rows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(scores [r, k], log-sum-exp of what belongs to no key [r]) of whole rows of one head."""
        scores = record.unedited_scores(head, rows, dtype=dtype).clone()
        sink = record.unedited_sink(head, dtype)
        dropped = (
            scores.new_full((len(rows),), -torch.inf) if sink is None else sink.reshape(()).expand(len(rows)).clone()
        )
        allowed = ~scores.isneginf()

        for step in self.steps:
            if head in step.heads:
                step.change(scores, dropped, rows, allowed, lambda which: _own_weights(record, which, rows))
        return scores, dropped


def _own_weights(record: ScoredHead, head: int, rows: Tensor | slice = slice(None)) -> Tensor:
    """A head's weights without any edit, float64 [rows, k]."""
    scores = record.unedited_scores(head, rows, dtype=torch.float64)
    return softmax(scores, record.unedited_sink(head, torch.float64))[0]
