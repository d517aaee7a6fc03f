"""All heads of a sub-layer, measured in one pass over blocks of their weights.

The weights are made in blocks of rows that fit a core's cache, looked at once and dropped: no q × k tensor is held, only
O(h · (q + k) · d). With s the scores of a row, m = max s and Z = Σ_j exp(s_j − m),

    A_j = exp(s_j − m) / Z        max_j A_j = 1 / Z        H = −Σ_j A_j ln A_j = ln Z − Σ_j A_j (s_j − m)

and one product A · [1, j, j², which keys] gives the moments and the masses on kinds of keys. Fused attention calls with a
changed V (as in `pooled`) would say most of this too, but need three passes where this needs one, and cannot say the
largest weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.attention.row_blocks import CELLS, ROWS, block_scores, masked_cells
from model.measures.measure import BlockSum, BlockSums, CellMass, CellMean, KeyMass, Measure, QueryMean
from model.measures.weight_block import CellBlock, SubLayer, WeightBlock
from model.trace.attention_record import AttentionRecord


@dataclass(frozen=True, eq=False)
class PassResult:
    """values: one number a head, by measure; rows: one a query, of each `QueryMean`; received: Σ_i A_ij of each key."""

    values: dict[str, Float[Tensor, " h"]]
    rows: dict[str, Float[Tensor, "h q"]]
    received: Float[Tensor, "h k"]


def measured_in_one_pass(
    record: AttentionRecord, layer: SubLayer, measures: Sequence[Measure], on_progress: Callable[[float], None]
) -> PassResult:
    """`measures` of every head of a record in memory (`AttentionRecord.select`); on_progress: called with the fraction done."""
    by_keys = [measure for measure in measures if isinstance(measure.compute, KeyMass)]
    keys = [measure.compute.keys(layer) for measure in by_keys]
    sums = {
        measure.name: measure.compute.start(record.heads, layer)
        for measure in measures
        if isinstance(measure.compute, BlockSums)
    }
    received = torch.zeros(record.heads, record.keys, dtype=torch.float64)
    rows: list[dict[str, Tensor]] = []  # by block: [h, r] of each measure
    may: list[dict[str, Tensor]] = []  # by block: [r], which queries may attend such a key
    for start in range(0, record.queries, ROWS):
        on_progress(start / record.queries)
        cells = CellBlock.of(record, layer, slice(start, min(start + ROWS, record.queries)))
        pairs = {m.name: torch.where(cells.allowed & m.compute.cells(cells))
                 for m in measures if isinstance(m.compute, CellMass)}  # fmt: skip
        for one in sums.values():
            one.count(cells)
        blocks = []
        for block in _weights(record, cells, keys):
            blocks.append(_rows_of(block, measures, by_keys, pairs))
            received[block.heads.start : block.heads.stop, cells.columns] += block.weights.sum(1)
            for one in sums.values():
                one.add(block)
        rows.append({name: torch.cat([block[name] for block in blocks]) for name in blocks[0]})
        none = torch.zeros(len(cells.i), dtype=torch.bool)
        may.append({name: none.index_fill(0, r, True) for name, (r, _) in pairs.items()})
    whole = {name: torch.cat([block[name] for block in rows], dim=1) for name in rows[0]}
    return _means(whole, {name: torch.cat([block[name] for block in may]) for name in may[0]}, measures, sums, received)


def _weights(record: AttentionRecord, cells: CellBlock, keys: Sequence[Bool[Tensor, " k"]]) -> Iterator[WeightBlock]:
    """The weights of a block, as many heads at once as fit the cache."""
    name = f"{record.site}.sinks"
    sinks = record.store[name] if name in record.store else None
    masked, together = masked_cells(record, cells.rows, cells.columns), max(1, CELLS // cells.allowed.numel())
    for first in range(0, record.heads, together):
        heads = range(first, min(first + together, record.heads))
        taken = None if sinks is None else sinks[heads.start : heads.stop, None, None]
        if not record.plain and record.edits is not None:
            taken = _dropped(record, heads, cells)
        scores = block_scores(record, slice(heads.start, heads.stop), cells.rows, cells.columns, masked)
        yield WeightBlock.of(cells, heads, scores, taken, keys)


def _dropped(record: AttentionRecord, heads: range, cells: CellBlock) -> Tensor:
    """What belongs to no key in each row of an edited run, as a score: [h, r, 1], −∞ for nothing."""
    none = torch.full((len(cells.i), 1), -torch.inf, dtype=record.q.dtype)
    each = (record.sink(head, record.q.dtype, cells.rows) for head in heads)
    return torch.stack([none if sink is None else sink.expand_as(none) for sink in each])


def _rows_of(
    block: WeightBlock,
    measures: Sequence[Measure],
    by_keys: Sequence[Measure],
    pairs: dict[str, tuple[Tensor, Tensor]],
) -> dict[str, Tensor]:
    """[h, r] each: what every measure says of the queries of a block. pairs: (rows, columns) of the cells of a `CellMass`."""
    found = {"attends": block.attends, "mass": block.mass.double()}
    found |= {measure.name: mass for measure, mass in zip(by_keys, block.key_mass, strict=True)}
    found |= {m.name: m.compute.value(block) for m in measures if isinstance(m.compute, QueryMean)}
    found |= {m.name: m.compute.sums(block) for m in measures if isinstance(m.compute, CellMean)}
    for name, (r, c) in pairs.items():
        found[name] = block.weights.new_zeros(block.weights.shape[:2]).index_add_(1, r, block.weights[:, r, c])
    return found


def _means(
    rows: dict[str, Tensor],
    may: dict[str, Tensor],
    measures: Sequence[Measure],
    sums: dict[str, BlockSum],
    received: Tensor,
) -> PassResult:
    """[h, q] of each measure -> its mean [h]."""
    attends, mass = rows["attends"], rows["mass"].sum(1)
    values: dict[str, Tensor] = {name: one.result() for name, one in sums.items()}
    of_queries: dict[str, Tensor] = {}
    for measure in measures:
        name, compute = measure.name, measure.compute
        if isinstance(compute, CellMean):
            values[name] = compute.finish(rows[name].sum(1) / mass)
        elif isinstance(compute, KeyMass | CellMass | QueryMean):
            counted = attends & may[name] if name in may else attends
            values[name] = rows[name].double().masked_fill(~counted, 0).sum(1) / counted.sum(1)
        if isinstance(compute, QueryMean):
            of_queries[name] = rows[name].masked_fill(~attends, torch.nan)
    return PassResult(values, of_queries, received)
