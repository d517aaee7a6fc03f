"""Which key may be attended from which query, as a rule.

Masks act on the key axis. A mask built on the query axis turns whole rows into −∞ and the softmax into NaN; here a row
in which every key is masked is defined instead: its weights are all 0 and so is its output ("nothing attended").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RuleMask:
    """`allowed(i, j) = keys[j] and (j <= i if causal)`, kept as a rule: O(k) memory, never q × k.

    keys: bool [k] for one example or [b, k] for a batch, True where the key may be attended; None allows every key.
    """

    causal: bool = False
    keys: Tensor | None = None

    def allowed(
        self, queries: int, keys: int, rows: slice | Tensor = slice(None), columns: slice = slice(None)
    ) -> Tensor:
        """The tile `rows` × `columns` of the mask: bool [rows, columns], or [b, 1, rows, columns] for a batch."""
        i = torch.arange(queries)[rows, None]
        j = torch.arange(keys)[None, columns]
        tile = (j <= i) if self.causal else torch.ones(i.shape[0], j.shape[1], dtype=torch.bool)
        if self.keys is None:
            return tile
        return tile.to(self.keys.device) & (
            self.keys[columns] if self.keys.dim() == 1 else self.keys[:, None, None, columns]
        )

    def kernel(self, queries: int, keys: int, device: torch.device) -> tuple[Tensor | None, bool]:
        """(mask tensor or None, is_causal) as the fused kernels take them; the causal rule alone needs no tensor."""
        if self.keys is None:
            return None, self.causal
        tile = self.allowed(queries, keys).to(device)
        return (tile[None, None] if tile.dim() == 2 else tile), False

    def parts(self) -> tuple[str, dict[str, Tensor]]:
        """(kind, tensors) for a file; `from_parts` is the inverse."""
        if self.keys is None:
            return ("causal" if self.causal else "all"), {}
        return ("causal and keys" if self.causal else "keys"), {"keys": self.keys.to(torch.uint8)}

    def example(self, index: int) -> RuleMask:
        """The mask of one example of a batch."""
        return self if self.keys is None or self.keys.dim() == 1 else RuleMask(self.causal, self.keys[index])


def padding(ids: Tensor, pad_id: int, causal: bool = False) -> RuleMask:
    """The mask of a padded batch: ids [b, k] -> keys [b, k]. Without padding it stays a pure rule."""
    keys = ids != pad_id
    return RuleMask(causal, None if bool(keys.all()) else keys)


@dataclass(frozen=True, eq=False)
class IntervalMask:
    """Each query may attend one run of keys, `first[i] <= j < last[i]`: every causal, sliding and padded mask is one.

    first, last: int32 [q]; first == last is a fully masked row. O(q) memory for a mask that came as q × k.
    """

    first: Tensor
    last: Tensor
    keys: None = None

    @property
    def causal(self) -> bool:
        """Whether no query attends a later key."""
        return bool((self.last <= torch.arange(1, self.last.shape[0] + 1)).all())

    def parts(self) -> tuple[str, dict[str, Tensor]]:
        return "intervals", {"first": self.first, "last": self.last}

    def allowed(
        self, queries: int, keys: int, rows: slice | Tensor = slice(None), columns: slice = slice(None)
    ) -> Tensor:
        """The tile `rows` × `columns`: bool [rows, columns]."""
        j = torch.arange(keys)[None, columns]
        return (j >= self.first[rows, None]) & (j < self.last[rows, None])


@dataclass(frozen=True, eq=False)
class DenseMask:
    """A mask that is no run of keys a row, kept as it came: bool [q, k]."""

    tile: Tensor
    keys: None = None

    @property
    def causal(self) -> bool:
        return not bool(self.tile.triu(1).any())

    def parts(self) -> tuple[str, dict[str, Tensor]]:
        return "explicit", {"tile": self.tile.to(torch.uint8)}

    def allowed(
        self, queries: int, keys: int, rows: slice | Tensor = slice(None), columns: slice = slice(None)
    ) -> Tensor:
        return self.tile[rows, columns]


def from_parts(kind: str, read: Callable[[str], Tensor]) -> RuleMask | IntervalMask | DenseMask:
    """The mask that `parts` took apart; `read(name)` gives a tensor. Raises ValueError for an unknown kind."""
    if kind == "intervals":
        return IntervalMask(read("first"), read("last"))
    if kind == "explicit":
        return DenseMask(read("tile").bool())
    if kind not in ("causal", "all", "causal and keys", "keys"):
        raise ValueError(f"a mask of kind {kind!r} is not known")
    return RuleMask(kind.startswith("causal"), read("keys").bool() if kind.endswith("keys") else None)


def compress(allowed: Tensor) -> IntervalMask | DenseMask:
    """bool [q, k] -> the smallest mask that says the same."""
    count = allowed.sum(-1, dtype=torch.int32)
    first = allowed.to(torch.uint8).argmax(-1).to(torch.int32)
    found = IntervalMask(first, first + count)
    same = torch.equal(found.allowed(*allowed.shape), allowed)
    return found if same else DenseMask(allowed.clone())
