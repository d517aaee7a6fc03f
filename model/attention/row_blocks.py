"""Attention weights in blocks of whole rows that fit a core's cache, for measuring, pooling and tiling.

A block is some rows against the run of keys that any of them may attend; nothing here holds a q × k matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from model.trace.attention_record import AttentionRecord
from model.transformer.attention import softmax
from model.transformer.masks import IntervalMask, RuleMask

ROWS = 128
CELLS = 2**18  # weights that are held at once: 1 MiB, what a core's second cache keeps


def span(record: AttentionRecord, rows: slice) -> slice:
    """A run of keys outside of which none of these rows attends; at least one key."""
    mask = record.mask
    if isinstance(mask, IntervalMask):
        starts, ends = mask.first[rows], mask.last[rows]
        some = ends > starts
        return slice(int(starts[some].min()), int(ends[some].max())) if bool(some.any()) else slice(0, 1)
    if isinstance(mask, RuleMask) and mask.causal:
        return slice(0, min(rows.stop, record.keys))
    return slice(0, record.keys)


def spans(start: int, stop: int, keys: int, step: int) -> Iterator[slice]:
    """Runs of the rows start … stop that fit the cache: several bins of `step` rows, or a part of one."""
    rows = max(step, ROWS // step * step)
    if rows * keys > 4 * CELLS:
        rows = max(1, min(step, 4 * CELLS // keys))
    whole = step * max(1, rows // step)
    for first in range(start, stop, whole):
        end = min(stop, first + whole)
        for part in range(first, end, rows):
            yield slice(part, min(part + rows, end))


def columns_of(record: AttentionRecord, rows: slice, step: int) -> slice:
    """`span`, from the beginning of a bin of `step` keys."""
    found = span(record, rows)
    return slice(found.start // step * step, found.stop)


def masked_cells(record: AttentionRecord, rows: slice, columns: slice) -> tuple[slice, Tensor] | None:
    """(columns within the block, bool [rows, those]): the cells that the mask forbids; None where there are none."""
    if isinstance(record.mask, RuleMask) and record.mask.keys is None:
        first = max(columns.start, rows.start) if record.mask.causal else columns.stop
        if first >= columns.stop:
            return None
        corner = slice(first - columns.start, columns.stop - columns.start)
        return corner, ~record.allowed(rows, slice(first, columns.stop))
    return slice(0, columns.stop - columns.start), ~record.allowed(rows, columns)


def block_scores(
    record: AttentionRecord, heads: slice, rows: slice, columns: slice, masked: tuple[slice, Tensor] | None
) -> Tensor:
    """The scores of a block: [g, rows, columns], −∞ where masked; masked: of `masked_cells`.

    `record.scores` says everything, one head at a time; those of a plain record are one product.
    """
    if not record.plain:
        return torch.stack([record.scores(h, rows, columns, record.q.dtype) for h in range(heads.start, heads.stop)])
    keys = record.k[heads] if record.groups == 1 else record.k[torch.arange(record.heads)[heads] // record.groups]
    scores = torch.bmm(record.q[heads, rows] * record.scale, keys[:, columns].transpose(1, 2))
    if masked is not None:
        scores[..., masked[0]].masked_fill_(masked[1], -torch.inf)
    return scores


def block_weights(
    record: AttentionRecord, heads: slice, rows: slice, columns: slice, masked: tuple[slice, Tensor] | None
) -> Tensor:
    """The weights of a block, all keys that its rows may attend: [g, rows, columns], 0 where masked."""
    scores = block_scores(record, heads, rows, columns, masked)
    if not record.plain:
        each = zip(range(heads.start, heads.stop), scores, strict=True)
        return torch.stack([softmax(s, record.sink(h, s.dtype, rows))[0] for h, s in each])
    weights = torch.softmax(scores, -1, out=scores)
    if masked is not None and masked[1].shape[1] == scores.shape[2]:  # a row may have no key at all
        weights.masked_fill_(masked[1].all(-1)[:, None], 0)
    return weights


def places(
    record: AttentionRecord, queries: slice, high: int, wide: int
) -> Iterator[tuple[slice, slice, tuple[slice, slice]]]:
    """(rows, columns, their bins) of each block of these queries; bins of `high` of them, from the first on, × `wide` keys."""
    start = queries.start
    for rows in spans(start, queries.stop, record.keys, high):
        columns = columns_of(record, rows, wide)
        tall = slice((rows.start - start) // high, -(-(rows.stop - start) // high))
        yield rows, columns, (tall, slice(columns.start // wide, -(-columns.stop // wide)))


def pool(
    record: AttentionRecord, queries: slice, high: int, wide: int, how: str, on_progress: Callable[[float], None]
) -> Tensor:
    """[h, R, C]: the largest weight of each bin, or their mean over its cells, masked ones counting 0; a record in memory."""
    total = queries.stop - queries.start
    found = torch.zeros(record.heads, -(-total // high), -(-record.keys // wide), dtype=record.q.dtype)
    for rows, columns, (tall, across) in places(record, queries, high, wide):
        on_progress((rows.start - queries.start) / total)
        masked = masked_cells(record, rows, columns)
        together = max(1, CELLS // ((rows.stop - rows.start) * (columns.stop - columns.start)))
        for first in range(0, record.heads, together):
            heads = slice(first, min(first + together, record.heads))
            block = bins(block_weights(record, heads, rows, columns, masked), rows, high, wide, how)
            here = found[heads, tall, across]
            found[heads, tall, across] = torch.maximum(here, block) if how == "max" else here + block
    if how == "max":
        return found.float()
    return (found / (lengths(total, high)[:, None] * lengths(record.keys, wide))).float()


def lengths(total: int, step: int) -> Tensor:
    """How many positions each bin of `step` has: float32 [bins]; the last may have fewer."""
    return (total - torch.arange(0, total, step)).clamp(max=step).float()


def bins(weights: Tensor, rows: slice, high: int, wide: int, how: str) -> Tensor:
    """[g, r, c] -> the largest, or the sum, of each bin that these rows have a part in: [g, bins, bins]."""
    count = -(-rows.stop // high) - rows.start // high
    each = weights.split(high if count > 1 else weights.shape[1], 1)  # the last bin may be short
    whole = weights.shape[1] == count * high
    many = [weights.unflatten(1, (count, high))] if whole else [part[:, None] for part in each]
    tall = torch.cat([part.amax(2) if how == "max" else part.sum(2) for part in many], 1)
    across = functional.pad(tall, (0, -tall.shape[2] % wide)).unflatten(2, (-1, wide))
    return across.amax(-1) if how == "max" else across.sum(-1)
