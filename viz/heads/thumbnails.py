"""Every head of a sub-layer, small: its cells as bytes, in blocks where there are more than a thumbnail has pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.trace.per_trace import PerTrace
from viz.base.cell_states import states
from viz.heads.matrix import head_weights

if TYPE_CHECKING:
    from model.trace.attention_record import AttentionRecord

Thumbnail = tuple[np.ndarray, np.ndarray]
# What a block shows: its largest weight, so that a single bright cell survives, or the share of attention that it takes.
HOW = ("max", "mean")
# Drawing a page again must not cost what its first drawing did.
_made: PerTrace[list[Thumbnail]] = PerTrace()
# From here on a thumbnail is in blocks.
BLOCKS = 48


def pooled(record: AttentionRecord) -> bool:
    """Whether a cell of a thumbnail stands for several weights."""
    return max(record.queries, record.keys) > BLOCKS


def is_made(record: AttentionRecord, how: str = "max") -> bool:
    """Whether the thumbnails of this record are cached already."""
    return _made.has(record, _kind(record, how))


def heads(record: AttentionRecord, how: str = "max") -> list[Thumbnail]:
    """(weights in 255 steps, states) of each head, both uint8 [rows, columns]; made once for a record.

    how: of a long text "max", the largest weight of each block, or "mean", the share of attention from block to block.
    """
    make = (lambda: _blocks(record, how)) if pooled(record) else (lambda: _cells(record))
    return _made.get(record, _kind(record, how), make)


def _kind(record: AttentionRecord, how: str) -> str:
    return how if pooled(record) else "cells"


def _cells(record: AttentionRecord) -> list[Thumbnail]:
    found = (head_weights(record, head) for head in range(record.heads))
    return [(_bytes(values), states(values, allowed)) for values, allowed in found]


def _blocks(record: AttentionRecord, how: str) -> list[Thumbnail]:
    from model.attention.downsample import allowed_bins, block_shares, thumbnails

    found = thumbnails(record, BLOCKS) if how == "max" else block_shares(record, BLOCKS)
    open_ = allowed_bins(record, BLOCKS).numpy()
    return [(_bytes(values), states(values, open_)) for values in found.numpy()]


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(np.nan_to_num(values) * 255), 0, 255).astype(np.uint8)  # what is NaN is told by the states
