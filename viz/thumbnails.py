"""Every head of a sub-layer, small: its cells as bytes, in blocks where there are more than a thumbnail has pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from viz.axes import block_axis, by_block
from viz.matrix import head_weights, states

if TYPE_CHECKING:
    from model.record import AttentionRecord

Thumbnail = tuple[np.ndarray, np.ndarray]
# A record never changes, and drawing a page again must not cost what its first drawing did.
_made: WeakKeyDictionary[AttentionRecord, list[Thumbnail]] = WeakKeyDictionary()
# From here on a thumbnail is in blocks.
BLOCKS = 48
# From here on its blocks hold shares of attention, which the record gives without its n × n weights.
LONG = 256


def how(queries: int, keys: int) -> str:
    """What a cell of a thumbnail is: "weight", "strongest" of its block, or the "share" from block to block."""
    longest = max(queries, keys)
    return "weight" if longest <= BLOCKS else "strongest" if longest <= LONG else "share"


def heads(record: AttentionRecord) -> list[Thumbnail]:
    """(weights in 255 steps, states) of each head, both uint8 [rows, columns]; made once for a record."""
    if record not in _made:
        _made[record] = _heads(record)
    return _made[record]


def _heads(record: AttentionRecord) -> list[Thumbnail]:
    kind = how(record.queries, record.keys)
    if kind == "share":
        return _shares(record)
    axes = (block_axis(record.queries, BLOCKS), block_axis(record.keys, BLOCKS))
    found = []
    for head in range(record.heads):
        values, allowed = head_weights(record, head)
        if kind == "strongest":
            values, allowed = by_block(values, allowed, axes)
        found.append((_bytes(values), states(values, allowed)))
    return found


def _shares(record: AttentionRecord) -> list[Thumbnail]:
    from model.pooled import allowed_bins, block_shares

    found, open_ = block_shares(record, BLOCKS).numpy(), allowed_bins(record, BLOCKS).numpy()
    return [(_bytes(values), states(values, open_)) for values in found]


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
