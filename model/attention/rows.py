"""One row or column of a head as float64, at any length, without its q × k weights.

A row is the softmax of its own scores: O(k · d). A column needs the log-sum-exp of every row. The recorded ones are
rounded to float32, which moves a weight near 1 by up to 1.5·10⁻⁵, so where a weight is not small its row is added up
again in float64; what was found is kept with the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model.attention.row_blocks import span
from model.errors import UnknownOption
from model.jobs.progress import tick
from model.trace.attention_record import CELLS, AttentionRecord
from model.trace.fidelity import sums_are_used
from model.trace.per_trace import PerTrace
from model.transformer.attention import softmax

HOW = ("mean", "max")
_SMALL = 0.01  # a weight below this is within 2·10⁻⁷ with the recorded log-sum-exp

# The log-sum-exp in float64 of a head's rows, NaN where it was not needed yet.
_sums: PerTrace[Tensor] = PerTrace()


def row(record: AttentionRecord, head: int, i: int) -> Float[Tensor, " k"]:
    """What query `i` attends to: float64, 0 where masked. Raises OutOfRange."""
    i = record.check_query(i)
    return record.weights(record.check_head(head), slice(i, i + 1), dtype=torch.float64)[0]


def column(record: AttentionRecord, head: int, j: int) -> Float[Tensor, " q"]:
    """How much every query attends to key `j`: float64, 0 where masked. Raises OutOfRange; ticks "rows"."""
    j = record.check_key(j)
    scores = record.scores(record.check_head(head), slice(None), slice(j, j + 1), torch.float64)[:, 0]
    sums = _sums.get(record, head, lambda: torch.full((record.queries,), torch.nan, dtype=torch.float64))
    weights = (scores - torch.where(sums.isnan(), _recorded(record, head), sums)).exp()
    # Not "above", so that a log-sum-exp that is not known (NaN) is found too.
    needed = sums.isnan() & ~(weights <= _SMALL) & ~scores.isneginf()
    if bool(needed.any()):
        sums[needed] = _log_sums(record.select([head], torch.float64), needed.nonzero()[:, 0])
        weights = torch.where(needed, (scores - sums).exp(), weights)
    return weights.masked_fill(scores.isneginf(), 0)


def _recorded(record: AttentionRecord, head: int) -> Float[Tensor, " q"]:
    """The recorded log-sum-exp; NaN where there is none, or where q and k were rounded after it was computed."""
    if sums_are_used(record):
        return record.head("lse", head, torch.float64)
    return torch.full((record.queries,), torch.nan, dtype=torch.float64)


def _log_sums(record: AttentionRecord, rows: Tensor) -> Tensor:
    """log Σ_j exp(score) of these rows, rising, of a record of one head, in blocks: float64 [rows]."""
    found = []
    step = max(1, CELLS // record.keys)
    for start in range(0, len(rows), step):
        tick("rows", start / len(rows))
        part = rows[start : start + step]
        scores = record.scores(0, part, span(record, slice(int(part[0]), int(part[-1]) + 1)), torch.float64)
        found.append(softmax(scores, record.sink(0, torch.float64, part))[1])
    return torch.cat(found)


def combined(looks: Sequence[Tensor], how: str) -> Tensor:
    """Rows, or columns, of several heads as one: their mean or, token by token, their largest weight."""
    if how not in HOW:
        raise UnknownOption(what="Combining", got=how, allowed=", ".join(HOW))
    stacked = torch.stack(list(looks))
    return stacked.mean(0) if how == "mean" else stacked.amax(0)


def strongest(weights: Tensor, most: int) -> list[tuple[int, float]]:
    """(place, weight) of the largest weights above 0, largest first, among equals the first."""
    order = torch.sort(weights, descending=True, stable=True).indices[:most]
    return [(int(i), float(weights[i])) for i in order if weights[i] > 0]


def blocks(record: AttentionRecord, head: int, rows: slice = slice(None)) -> Iterator[tuple[slice, int, Tensor]]:
    """(rows, first key, float64 weights) of a head, block by block; keys outside of a block are masked for all its rows."""
    single = record.select([head], torch.float64)
    first, last, _ = rows.indices(record.queries)
    start = first
    while start < last:
        stop = min(last, start + max(1, CELLS // record.keys))
        here = slice(start, stop)
        columns = span(record, here)
        sink = single.sink(0, torch.float64, here)
        yield here, columns.start, softmax(single.scores(0, here, columns, torch.float64), sink)[0]
        start = stop


def whole_rows(
    record: AttentionRecord, head: int, rows: slice = slice(None)
) -> Iterator[tuple[slice, Float[Tensor, "r k"]]]:
    """(rows, all their weights in float64, 0 where masked) of a head, block by block; heads of as many keys go in step."""
    for here, first, weights in blocks(record, head, rows):
        if weights.shape[1] < record.keys:
            whole = weights.new_zeros(len(weights), record.keys)
            whole[:, first : first + weights.shape[1]] = weights
            weights = whole
        yield here, weights


def in_blocks(record: AttentionRecord, head: int) -> Iterator[tuple[slice, np.ndarray]]:
    """(queries, their weights [r, k], rounded to float32 as a figure's are) of a head of any length, block by block."""
    for rows, weights in whole_rows(record, head):
        yield rows, weights.numpy().astype(np.float32)
