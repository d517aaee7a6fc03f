"""Heads made small: a q × k matrix of any length as at most `size` × `size` bins, without ever holding it.

Weights are made in blocks of whole rows that fit a core's cache, pooled and dropped. A bin is ceil(n / size) positions
long; the last one of an axis may be shorter, and is pooled over the cells it has.

The log-sum-exp of the record would save the softmax of a block, a fifth of the time, but not without loss: its rounding is
not that of these scores, and weights near 1 of trained models were off by up to 1.5·10⁻⁵ (2·10⁻⁶ with the softmax).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from model.attention import softmax
from model.errors import UnknownOption
from model.masks import Explicit, Intervals, Mask
from model.record import AttentionRecord
from model.store import MemoryStore

BLOCKS = 48
HOW = ("max", "mean")
_ROWS = 128
_CELLS = 2**18  # scores that are held at once: 1 MiB, what a core's second cache keeps


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
    starts = torch.arange(0, total, block_size(total, size))
    return (total - starts).clamp(max=block_size(total, size)).float()


def pooled(record: AttentionRecord, head: int, size: int = 256, how: str = "max") -> Float[Tensor, "r c"]:
    """The weights of one head in at most `size` × `size` bins: float32.

    how: "max", the largest weight of each bin, or "mean", Σ A_ij over the bin / its q × k cells; masked cells are 0.
    Raises OutOfRange for a head that is not there, UnknownOption for another `how`, ValueError for a size below 1.
    """
    _check(size, how)
    return _pool(_held(record, [record.check_head(head)]), size, how, _quiet)[0]


def thumbnails(
    record: AttentionRecord, size: int = 64, how: str = "max", told: Callable[[float], None] | None = None
) -> Float[Tensor, "h r c"]:
    """`pooled` of every head of a record: float32. told: hears how much is done, 0–1, between the blocks."""
    _check(size, how)
    heads = list(range(record.heads))
    if f"{record.site}.bias" not in record.store:
        return _pool(_held(record, heads), size, how, told or _quiet)
    found = []  # a dense bias [h, q, k] is read one head at a time
    for head in heads:
        (told or _quiet)(head / len(heads))
        found.append(_pool(_held(record, [head]), size, how, _quiet))
    return torch.cat(found)


def allowed_bins(record: AttentionRecord, size: int = 64) -> Bool[Tensor, "r c"]:
    """Which bins hold a cell that the mask leaves; O(q · C) for every mask that is a rule."""
    q, k, mask = record.queries, record.keys, record.mask
    first = torch.arange(0, k, block_size(k, size))
    last = (first + block_size(k, size)).clamp(max=k)
    if isinstance(mask, Explicit):
        cells = functional.pad(mask.tile, (0, -k % block_size(k, size)))
        rows = cells.unflatten(1, (len(first), -1)).any(-1)
    elif isinstance(mask, Intervals):
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


def _held(record: AttentionRecord, heads: list[int]) -> AttentionRecord:
    """What scores are made of, of these heads, in memory and in the precision of the sums; other tensors stay behind."""
    site, store = record.site, record.store
    dtype = torch.promote_types(store.first(f"{site}.q", 0).dtype, torch.float32)
    whole = len(heads) == record.heads
    parts = {
        part: getattr(record, part).to(dtype) if whole else torch.stack([record.head(part, h, dtype) for h in heads])
        for part in "qk"
    }
    for part in ("bias", "bias_offsets", "sinks"):
        if f"{site}.{part}" in store:
            parts[part] = torch.stack([store.first(f"{site}.{part}", h) for h in heads]).to(dtype)
    if record.distance is not None:
        parts["relative_keys"] = store[f"{site}.relative_keys"].to(dtype)
    held = MemoryStore({f"{site}.{part}": tensor for part, tensor in parts.items()})
    return dataclasses.replace(record, store=held, slopes=None if record.slopes is None else record.slopes[heads])


def _spans(queries: int, keys: int, step: int) -> Iterator[slice]:
    """Runs of rows that fit the cache: several bins of `step` rows, or a part of one."""
    rows = max(step, _ROWS // step * step)
    if rows * keys > 4 * _CELLS:
        rows = max(1, min(step, 4 * _CELLS // keys))
    for first in range(0, queries, step * max(1, rows // step)):
        end = min(queries, first + step * max(1, rows // step))
        for start in range(first, end, rows):
            yield slice(start, min(start + rows, end))


def _columns(record: AttentionRecord, rows: slice, step: int) -> slice:
    """The keys outside of which none of these rows attends, from the beginning of a bin; at least one."""
    first, last, mask = 0, record.keys, record.mask
    if isinstance(mask, Intervals):
        starts, ends = mask.first[rows], mask.last[rows]
        some = ends > starts
        first, last = (int(starts[some].min()), int(ends[some].max())) if bool(some.any()) else (0, 1)
    elif isinstance(mask, Mask) and mask.causal:
        last = min(rows.stop, record.keys)
    return slice(first // step * step, last)


def _closed(record: AttentionRecord, rows: slice, columns: slice) -> tuple[slice, Tensor] | None:
    """(columns within the block, bool [rows, those]): the cells that the mask closes; None where there are none."""
    if isinstance(record.mask, Mask) and record.mask.keys is None:
        first = max(columns.start, rows.start) if record.mask.causal else columns.stop
        if first >= columns.stop:
            return None
        corner = slice(first - columns.start, columns.stop - columns.start)
        return corner, ~record.allowed(rows, slice(first, columns.stop))
    return slice(0, columns.stop - columns.start), ~record.allowed(rows, columns)


def _weights(
    record: AttentionRecord, heads: slice, rows: slice, columns: slice, closed: tuple[slice, Tensor] | None
) -> Tensor:
    """The weights of a block, all keys that its rows may attend: [g, rows, columns], 0 where masked."""
    site, store = record.site, record.store
    added = any(f"{site}.{part}" in store for part in ("bias", "bias_offsets", "relative_keys", "sinks"))
    if added or record.softcap is not None or record.slopes is not None:
        each = range(heads.start, heads.stop)
        scores = [record.scores(h, rows, columns, record.q.dtype) for h in each]
        return torch.stack([softmax(s, record.sink(h, s.dtype))[0] for h, s in zip(each, scores, strict=True)])
    keys = record.k[heads] if record.groups == 1 else record.k[torch.arange(record.heads)[heads] // record.groups]
    scores = torch.bmm(record.q[heads, rows] * record.scale, keys[:, columns].transpose(1, 2))
    if closed is None:
        return torch.softmax(scores, -1, out=scores)
    part, cells = closed
    scores[..., part].masked_fill_(cells, -torch.inf)
    weights = torch.softmax(scores, -1, out=scores)
    if cells.shape[1] == scores.shape[2]:  # a row may have no key at all
        weights.masked_fill_(cells.all(-1)[:, None], 0)
    return weights


@torch.no_grad()
def _pool(record: AttentionRecord, size: int, how: str, told: Callable[[float], None]) -> Tensor:
    """[h, R, C] of a record in memory."""
    high, wide = block_size(record.queries, size), block_size(record.keys, size)
    shape = (record.heads, -(-record.queries // high), -(-record.keys // wide))
    found = torch.zeros(shape, dtype=record.q.dtype)
    for rows in _spans(record.queries, record.keys, high):
        told(rows.start / record.queries)
        columns = _columns(record, rows, wide)
        closed = _closed(record, rows, columns)
        together = max(1, _CELLS // ((rows.stop - rows.start) * (columns.stop - columns.start)))
        at = (slice(rows.start // high, -(-rows.stop // high)), slice(columns.start // wide, -(-columns.stop // wide)))
        for first in range(0, record.heads, together):
            heads = slice(first, min(first + together, record.heads))
            block = _bins(_weights(record, heads, rows, columns, closed), rows, high, wide, how)
            here = found[heads, at[0], at[1]]
            found[heads, at[0], at[1]] = torch.maximum(here, block) if how == "max" else here + block
    if how == "max":
        return found.float()
    cells = bin_lengths(record.queries, size)[:, None] * bin_lengths(record.keys, size)
    return (found / cells).float()


def _bins(weights: Tensor, rows: slice, high: int, wide: int, how: str) -> Tensor:
    """[g, r, c] -> the largest, or the sum, of each bin that these rows have a part in: [g, bins, bins]."""
    count = -(-rows.stop // high) - rows.start // high
    each = weights.split(high if count > 1 else weights.shape[1], 1)  # the last bin may be short
    whole = weights.shape[1] == count * high
    many = [weights.unflatten(1, (count, high))] if whole else [part[:, None] for part in each]
    tall = torch.cat([part.amax(2) if how == "max" else part.sum(2) for part in many], 1)
    across = functional.pad(tall, (0, -tall.shape[2] % wide)).unflatten(2, (-1, wide))
    return across.amax(-1) if how == "max" else across.sum(-1)
