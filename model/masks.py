"""Which key may be attended from which query, as a rule.

Masks act on the key axis. A mask built on the query axis turns whole rows into −∞ and the softmax into NaN; here a row
in which every key is masked is defined instead: its weights are all 0 and so is its output ("nothing attended").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Mask:
    """`allowed(i, j) = keys[j] and (j <= i if causal)`, kept as a rule: O(k) memory, never q × k.

    keys: bool [k] for one example or [b, k] for a batch, True where the key may be attended; None allows every key.
    """

    causal: bool = False
    keys: Tensor | None = None

    def allowed(self, queries: int, keys: int, rows: slice = slice(None), columns: slice = slice(None)) -> Tensor:
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

    def example(self, index: int) -> Mask:
        """The mask of one example of a batch."""
        return self if self.keys is None or self.keys.dim() == 1 else Mask(self.causal, self.keys[index])


def padding(ids: Tensor, pad_id: int, causal: bool = False) -> Mask:
    """The mask of a padded batch: ids [b, k] -> keys [b, k]. Without padding it stays a pure rule."""
    keys = ids != pad_id
    return Mask(causal, None if bool(keys.all()) else keys)
