"""Tiles of one head's map: single weights at level 0, 2^L × 2^L of them in one cell at level L.

A row of tiles is made at once, because a weight needs its whole row; its weights are made in blocks, pooled and dropped as
in `model.attention.downsample`, so that no q × k matrix is single at any length: a block, and the strip that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.attention import downsample, row_blocks
from model.errors import OutOfRange, UnknownOption
from model.trace.attention_record import AttentionRecord

SIDE = 256  # cells of a tile, both ways
MASKED = 255  # the byte of a cell all of whose pairs are masked
STEPS = 254  # the byte of the weight 1: a byte is off by at most 1 / 508


def depth(queries: int, keys: int) -> int:
    """The level at which one tile holds everything; 0 where single cells fit."""
    level = 0
    while SIDE << level < max(queries, keys):
        level += 1
    return level


@dataclass(frozen=True, eq=False)
class Strip:
    """All tiles of one row of tiles, side by side: values and whether all pairs of a cell are masked, [r, c]."""

    values: Float[Tensor, "r c"]
    masked: Bool[Tensor, "r c"]

    def packed(self) -> Tensor:
        """uint8 [r, c]: round(254 · value), 255 where masked."""
        steps = (self.values * STEPS).round().clamp(0, STEPS).to(torch.uint8)
        return steps.masked_fill(self.masked, MASKED)


@torch.no_grad()
def strip(record: AttentionRecord, head: int, level: int, row: int, how: str = "max") -> Strip:
    """The cells of the queries row · 256 · 2^level and on, of all keys: [r, ceil(k / 2^level)] with r ≤ 256.

    how: "max", the largest weight of each cell's pairs, or "mean" over them, masked ones counting 0; at level 0 both are
    the weight. Raises OutOfRange for a head, level or row of tiles that is not there, UnknownOption for another `how`.
    """
    record.check_head(head)
    OutOfRange.check("Level", level, depth(record.queries, record.keys))
    if how not in downsample.HOW:
        raise UnknownOption(what="Pooling", got=how, allowed=", ".join(downsample.HOW))
    step = 1 << level
    first, rows = row * SIDE * step, -(-record.queries // (SIDE * step))
    OutOfRange.check("Row of tiles", row, rows - 1)
    stop = min(record.queries, first + SIDE * step)
    single, queries = record.select([head]), slice(first, stop)
    values = row_blocks.pool(single, queries, step, step, how, lambda done: None)[0]
    free = torch.zeros(values.shape, dtype=torch.bool)
    for part, columns, at in row_blocks.places(single, queries, step, step):
        cells = single.allowed(part, columns)[None].to(values.dtype)
        free[at] |= row_blocks.bins(cells, part, step, step, "max")[0] > 0
    return Strip(values, ~free)
