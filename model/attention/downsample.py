"""Downsampled attention maps: a q × k matrix of any length as at most `size` × `size` bins, without ever holding it.

Weights are made in blocks of whole rows that fit a core's cache, pooled and dropped. A bin is ceil(n / size) positions
long; the last one of an axis may be shorter, and is pooled over the cells it has.

The log-sum-exp of the record would save the softmax of a block, a fifth of the time, but not without loss: its rounding is
not that of these scores, and weights near 1 of trained models were off by up to 1.5·10⁻⁵ (2·10⁻⁶ with the softmax).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from model.attention import row_blocks
from model.errors import UnknownOption
from model.trace.attention_record import AttentionRecord
from model.transformer.masks import DenseMask, IntervalMask

BLOCKS = 48
HOW = ("max", "mean")


def block_size(total: int, blocks: int = BLOCKS) -> int:
    """Tokens in each block; the last may have fewer."""
    return -(-total // blocks)


def block_shares(record: AttentionRecord, blocks: int = BLOCKS) -> Tensor:
    """How much of the attention goes from where to where: float32 [h, R, C] with at most `blocks` blocks a side.

    share[R, C] = mean over the queries i of block R of Σ_{j in block C} A_ij; a row sums to 1 (less what a sink takes).
    """
    return thumbnails(record, blocks, "mean") * bin_lengths(record.keys, blocks)


def bin_lengths(total: int, size: int) -> Float[Tensor, " bins"]:
    """How many positions each bin has."""
    return row_blocks.lengths(total, block_size(total, size))


def pooled(record: AttentionRecord, head: int, size: int = 256, how: str = "max") -> Float[Tensor, "r c"]:
    """The weights of one head in at most `size` × `size` bins: float32.

    how: "max", the largest weight of each bin, or "mean", Σ A_ij over the bin / its q × k cells; masked cells are 0.
    Raises OutOfRange for a head that is not there, UnknownOption for another `how`, ValueError for a size below 1.
    """
    _check(size, how)
    return _pool(record.select([head]), size, how, _quiet)[0]


def thumbnails(
    record: AttentionRecord, size: int = 64, how: str = "max", on_progress: Callable[[float], None] | None = None
) -> Float[Tensor, "h r c"]:
    """`pooled` of every head of a record: float32. on_progress: called with how much is done, 0–1, between the blocks."""
    _check(size, how)
    heads = list(range(record.heads))
    if f"{record.site}.bias" not in record.store:
        return _pool(record.select(), size, how, on_progress or _quiet)
    found = []  # a dense bias [h, q, k] is read one head at a time
    for head in heads:
        (on_progress or _quiet)(head / len(heads))
        found.append(_pool(record.select([head]), size, how, _quiet))
    return torch.cat(found)


def allowed_bins(record: AttentionRecord, size: int = 64) -> Bool[Tensor, "r c"]:
    """Which bins hold a cell that the mask leaves; O(q · C) for every mask that is a rule."""
    q, k, mask = record.queries, record.keys, record.mask
    first = torch.arange(0, k, block_size(k, size))
    last = (first + block_size(k, size)).clamp(max=k)
    if isinstance(mask, DenseMask):
        cells = functional.pad(mask.tile, (0, -k % block_size(k, size)))
        rows = cells.unflatten(1, (len(first), -1)).any(-1)
    elif isinstance(mask, IntervalMask):
        rows = (mask.first[:, None] < last) & (mask.last[:, None] > first) & (mask.last > mask.first)[:, None]
    else:
        free = torch.ones(k, dtype=torch.bool) if mask.keys is None else mask.keys.cpu()
        # The first key of each bin that may be attended at all; k where there is none.
        at = torch.where(free, torch.arange(k), k)
        earliest = functional.pad(at, (0, -k % block_size(k, size)), value=k).view(len(first), -1).amin(-1)
        rows = (earliest <= torch.arange(q)[:, None]) if mask.causal else (earliest < k).expand(q, -1)
    step = block_size(q, size)
    return functional.pad(rows, (0, 0, 0, -q % step)).view(-1, step, len(first)).any(1)


def _quiet(done: float) -> None:
    pass


def _check(size: int, how: str) -> None:
    if how not in HOW:
        raise UnknownOption(what="Pooling", got=how, allowed=", ".join(HOW))
    if size < 1:
        raise ValueError(f"{size} bins were asked for: at least one is needed")


@torch.no_grad()
def _pool(record: AttentionRecord, size: int, how: str, on_progress: Callable[[float], None]) -> Tensor:
    """[h, R, C] of a record in memory."""
    high, wide = block_size(record.queries, size), block_size(record.keys, size)
    return row_blocks.pool(record, slice(0, record.queries), high, wide, how, on_progress)
