"""What edits do to one attention sub-layer: to its scores, and to the contexts that its heads hand on to W_O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from model.edits.scores import ScoredHead, ScoreEdits
from model.transformer.attention import softmax

_ROWS = 256  # of scores that are held at once


@runtime_checkable
class EditedHead(ScoredHead, Protocol):
    """What is asked of a record besides: its sizes, and A · v."""

    @property
    def queries(self) -> int: ...

    def times_values(self, head: int, weights: Tensor, rows: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class ContextEdit:
    """The context z of some heads becomes factor · z + put, at one position or, where `query` is None, at all.

    put: by head, [d_v] for every position or [q, d_v], a row a position; None for nothing.
    """

    heads: frozenset[int]
    factor: float
    put: Mapping[int, Tensor] | None = None
    query: int | None = None

    @property
    def until(self) -> int:
        """The first position that is not meant: beyond the last that there is something to put at."""
        lengths = [len(put) for put in (self.put or {}).values() if put.dim() == 2]
        return min(lengths, default=2**62)


@dataclass(frozen=True, eq=False)
class SiteEdits:
    """Of one sub-layer: `scores`, None where they stay; `contexts`, in their order."""

    scores: ScoreEdits | None = None
    contexts: tuple[ContextEdit, ...] = ()

    @property
    def heads(self) -> frozenset[int]:
        """Heads that are changed in any way."""
        own = frozenset() if self.scores is None else self.scores.heads
        return own.union(*(edit.heads for edit in self.contexts))

    def scored(self, head: int) -> bool:
        """Whether the weights of this head are not the model's own."""
        return self.scores is not None and head in self.scores.heads

    def select(self, record: ScoredHead, chosen: Sequence[int]) -> SiteEdits:
        """The same of some heads, which are counted anew."""
        contexts = []
        for edit in self.contexts:
            places = {head: place for place, head in enumerate(chosen) if head in edit.heads}
            put = None if edit.put is None else {place: edit.put[head] for head, place in places.items()}
            contexts.append(replace(edit, heads=frozenset(places.values()), put=put))
        scores = None if self.scores is None else self.scores.select(record, chosen)
        return replace(self, scores=scores, contexts=tuple(contexts))

    def run(self, record: EditedHead, context: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """(contexts [h, q, d_v] with what is edited in place of the model's own, the log-sum-exp [q] of heads whose scores are).

        record: of the same run. Heads that no edit names keep their bits.
        """
        sums: dict[int, Tensor] = {}
        context = context.clone()
        dtype = torch.promote_types(context.dtype, torch.float32)
        for head in () if self.scores is None else sorted(self.scores.heads):
            parts = []
            for rows in torch.arange(record.queries).split(_ROWS):
                scores, dropped = self.scores.edited(record, head, rows, dtype)
                weights, part = softmax(scores, dropped[:, None])
                context[head, rows] = record.times_values(head, weights, rows).to(context)
                parts.append(part)
            sums[head] = torch.cat(parts)
        return self.handed_on(context), sums

    def handed_on(
        self, context: Tensor, heads: Sequence[int] | None = None, rows: slice | Tensor = slice(None), once: bool = True
    ) -> Tensor:
        """Contexts [h, rows, d_v] as they are handed on to W_O.

        heads, rows: which these are, all of them unless told. once: whether numbers are put in; without it the factors alone.
        """
        numbers = list(range(context.shape[0])) if heads is None else list(heads)
        context = context.clone()
        i = _positions(rows, context.shape[1])
        for edit in self.contexts:
            here = i < edit.until if edit.query is None else i == edit.query
            for place, head in enumerate(numbers):
                if head not in edit.heads or not bool(here.any()):
                    continue
                context[place, here] *= edit.factor
                if edit.put is not None and once:
                    put = edit.put[head].to(context)
                    context[place, here] += put if put.dim() == 1 else put[i[here]]
        return context


def _positions(rows: slice | Tensor, count: int) -> Tensor:
    if isinstance(rows, Tensor):
        return rows
    return torch.arange(rows.start or 0, (rows.start or 0) + count)
