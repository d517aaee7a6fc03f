"""The `Scorer` of a model: how its examples are read and how a batch of them is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from model.data_files.read import Line
from model.evaluation.scored import Scored

TASKS = ("causal", "seq2seq", "masked")
_LONGER, _LEAST = 2, 16  # a written answer may be so many times as long as the reference, and so many tokens more


@dataclass(frozen=True, eq=False)
class Example:
    """A line as the model reads it. ids: what is predicted lies in it, from `first` on; source: what an encoder reads.

    inputs: the decoder's ids, which predict `ids`, where they are others than `ids` moved on by one.
    """

    line: Line
    ids: tuple[int, ...]
    first: int
    characters: int
    source: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    reference: str | None = None
    positions: tuple[int, ...] = field(default=())

    @property
    def length(self) -> int:
        return len(self.ids) + len(self.source)


class Predicted(NamedTuple):
    """Of one example: the true tokens' ids [n], −ln p of each [n] (float64), and the ids of the most probable tokens [n]."""

    wanted: Tensor
    losses: Tensor
    best: Tensor


@runtime_checkable
class Scorer(Protocol):
    """task: one of `TASKS`. vocabulary: |V|, how many tokens each prediction chooses among."""

    task: str
    vocabulary: int

    def read(self, line: Line) -> Example:
        """Raises a HeadlightError for a line that this model does not read."""

    def losses(self, batch: Sequence[Example]) -> list[Predicted]:
        """Of each example every predicted token's loss, which a gradient can be taken of."""

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        """The same without a gradient, and what the model writes itself."""


def scored(example: Example, names: Sequence[str], found: Predicted, written: str | None = None) -> Scored:
    """names: of the predicted tokens, one each."""
    line = example.line
    return Scored(
        line.number, line.source, line.target, tuple(names), tuple(found.losses.tolist()),
        tuple((found.best == found.wanted).tolist()), example.characters, written,
        example.reference if written is not None else None,
    )  # fmt: skip


def written_tokens(batch: Sequence[Example]) -> int:
    """How many tokens an answer may have: a model that never ends one would write until there is no room left."""
    return _LONGER * max(len(each.ids) - each.first for each in batch) + _LEAST


def predicted(logits: Tensor, wanted: Sequence[int] | Tensor) -> Predicted:
    """logits [n, V] and the true tokens [n] -> their losses."""
    logits, wanted = logits.double(), torch.as_tensor(wanted)
    return Predicted(wanted, logits.logsumexp(-1) - logits.gather(-1, wanted[:, None])[:, 0], logits.argmax(-1))


def padded(rows: Sequence[Sequence[int]], fill: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """(ids [b, n], 1 where a token stands and 0 where padding does [b, n])."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), fill, dtype=torch.long)
    seen = torch.zeros(len(rows), width, dtype=torch.long)
    for at, row in enumerate(rows):
        here = slice(width - len(row), width) if left else slice(0, len(row))
        ids[at, here], seen[at, here] = torch.tensor(list(row), dtype=torch.long), 1
    return ids, seen
