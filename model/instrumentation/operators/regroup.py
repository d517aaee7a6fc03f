"""Scores whose rows hold heads besides queries: one einsum over groups of heads, or keys that all heads share.

Which axis is which is told by how many vectors the queries were projected from, by the mask, and where sizes coincide by
the numbers of the projection itself; where nothing tells, the scores cannot be followed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice, permutations

import torch
from torch import Tensor

from model.instrumentation.operators import layout
from model.instrumentation.operators.notes import Scores


def heads_apart(scores: Scores, projection: tuple[int, Tensor | None] | None) -> Scores | None:
    """With heads that were merged into the rows of the product (one einsum over groups, keys that all heads share)
    told from the queries; q and k are told apart already. None where it cannot be told.

    projection: how many vectors the queries were projected from, and the product [·, d] itself, where they are known.
    """
    _, rows, k = scores.shape
    positions, made = projection or (None, None)
    split = [layout.pieces(axis, scores.shape) for axis in scores.layout]
    if any(axis is None for axis in split):
        return None
    of_rows = [
        (at, piece) for at, axis in enumerate(split) for piece in axis if layout.kind(piece[1], scores.shape) == 1
    ]
    if not of_rows or rows == positions:
        return scores
    if len(of_rows) == 1 and positions is not None and 1 < positions < rows and rows % positions == 0:
        return _folded(scores, positions, made)
    axes = {at for at, _ in of_rows}
    if positions == 1 or (positions is None and _one_query(scores, axes, split)):
        return _apart(scores, split, [piece for _, piece in of_rows], (1, k))
    fits = _axes_of_queries(scores, axes, split, positions)
    if fits is None:
        return scores
    found = []
    for at in fits:
        queries = [piece for axis, piece in of_rows if axis == at]
        others = [piece for axis, piece in of_rows if axis != at]
        if len(queries) != 1:
            return scores if rows == k or not others else None
        found.append(_apart(scores, split, others, queries[0]) if others else scores)
    if len(found) > 1:  # as many heads as queries, and nothing but their numbers tells which is which
        found = [each for each in found if made is not None and _made_of(each, made)]
    return found[0] if len(found) == 1 else None


def _apart(
    scores: Scores, split: list[layout.Factors], others: list[tuple[int, int]], queries: tuple[int, int]
) -> Scores:
    of_heads = [piece for axis in split for piece in axis if layout.kind(piece[1], scores.shape) == 0]
    return _regrouped(scores, of_heads, sorted(others, key=_by_stride), queries)


def _folded(scores: Scores, positions: int, made: Tensor | None) -> Scores | None:
    """Heads and queries on one axis, in the order in which the queries are what was projected; None where they are not.

    As many rows may be those of two projections, one after the other: then there are more numbers than in one product.
    """
    _, rows, k = scores.shape
    if made is None or scores.q.numel() > made.numel():
        return scores
    others = rows // positions
    heads_first = (others, positions * k), (positions, k)
    queries_first = (others, k), (positions, others * k)
    for heads, queries in (heads_first, queries_first):
        of_rows = sorted([heads, queries], key=_by_stride)
        found = _apart(
            replace(scores, layout=tuple(_split(scores, axis, of_rows) for axis in scores.layout)),
            [_split(scores, axis, of_rows) for axis in scores.layout],
            [heads],
            queries,
        )
        if made_of(found.q, made):
            return found
    return None


def _split(scores: Scores, axis: layout.Factors, of_rows: list[tuple[int, int]]) -> layout.Factors:
    """An axis with the factor of all rows taken apart."""
    _, rows, k = scores.shape
    return tuple(piece for factor in axis for piece in (of_rows if factor == (rows, k) else [factor]))


def _one_query(scores: Scores, axes: set[int], split: list[layout.Factors]) -> bool:
    """Whether the axis before the keys has one query, and the rows are heads that share their keys."""
    _, rows, k = scores.shape
    keys = next((at for at, axis in enumerate(split) if axis and axis[-1][1] == 1 and k > 1), len(split) - 1)
    return rows != k and keys > 0 and not split[keys - 1] and len(split) > 2


def _axes_of_queries(
    scores: Scores, axes: set[int], split: list[layout.Factors], positions: int | None
) -> list[int] | None:
    """Of the axes that the rows are on, the one of the queries, or those it may be; None where all rows are queries.

    It has as many rows as there are positions, or keys; else the mask varies along it; else it is the last one.
    """
    _, rows, k = scores.shape
    sizes = {at: math.prod(size for size, stride in split[at] if layout.kind(stride, scores.shape) == 1) for at in axes}
    fits = [at for at in axes if sizes[at] == (k if positions is None else positions)]
    if positions is None and rows == k and not fits:
        return None
    if len(fits) == 1:
        return fits
    cells = [*(term for term, _ in scores.terms), *scores.dropped]
    masked = [at for at in fits or axes if any(_varies(scores, each, split[at]) for each in cells)]
    if len(masked) == 1:
        return masked
    return fits if fits and positions is not None else [max(fits or axes)]


def _varies(scores: Scores, cells: Tensor, along: layout.Factors) -> bool:
    """Whether cells [h or 1, q or 1, k or 1] differ along one factor of the rows."""
    if cells.shape[1] == 1 or len(along) != 1:
        return False
    size, stride = along[0]
    inner = stride // scores.shape[2]
    parts = cells.reshape(cells.shape[0], -1, size, inner, cells.shape[2])
    return not torch.equal(parts, parts[:, :, :1].expand_as(parts))


def _regrouped(
    scores: Scores, heads: list[tuple[int, int]], others: list[tuple[int, int]], queries: tuple[int, int]
) -> Scores:
    """Heads [h], then those among the rows, then the queries: q, k, terms, masks and the layout brought to that order."""
    h, rows, k = scores.shape
    of_rows = sorted([*others, queries], key=_by_stride)  # one query alone comes last, as stable sorting leaves it
    order = [*(of_rows.index(piece) for piece in others), of_rows.index(queries)]
    sizes, n = [size for size, _ in of_rows], queries[0]

    def turned(part: Tensor) -> Tensor:
        """[h or 1, rows, ·] -> [heads or 1, n, ·]; what is alike for all rows stays so."""
        if part.shape[1] == 1:
            return part if part.shape[0] == 1 else part.repeat_interleave(rows // n, 0)
        parts = part.reshape(part.shape[0], *sizes, part.shape[2])
        return parts.permute(0, *(1 + at for at in order), len(sizes) + 1).reshape(-1, n, part.shape[2])

    def all_heads(part: Tensor) -> Tensor:
        """A term that was alike for all heads of the product may not be so for those among its rows."""
        found = turned(part)
        return found.repeat(h, 1, 1) if part.shape[0] == 1 and found.shape[0] > 1 else found

    strides, stride = {1: 1}, k
    for size, old in (queries, *others[::-1]):
        strides[old] = stride  # one query and the innermost of the others have the same
        stride *= size
    # The heads of the product keep their strides: h · rows · k cells are as many as before.
    strides |= {old: old for _, old in heads} | {old: old for axis in scores.layout for _, old in axis if old < k}
    return replace(
        scores, q=turned(scores.q), k=scores.k.repeat_interleave(rows // n, 0),
        layout=layout.renamed(scores.layout, scores.shape, strides),
        terms=tuple((all_heads(term), _weight_of_heads(weight, rows // n)) for term, weight in scores.terms),
        dropped=tuple(map(all_heads, scores.dropped)), erased=tuple(map(all_heads, scores.erased)),
    )  # fmt: skip


def _weight_of_heads(weight: float | Tensor, times: int) -> float | Tensor:
    many = isinstance(weight, Tensor) and weight.shape[0] > 1
    return weight.repeat_interleave(times, 0) if many else weight


def _made_of(scores: Scores, made: Tensor) -> bool:
    """Whether the queries are the numbers of a product, its heads in some order of their axes."""
    sizes = layout.head_sizes(scores.layout, scores.shape) or (scores.q.shape[0],)
    parts = scores.q.unflatten(0, sizes)
    orders = islice(permutations(range(len(sizes))), 6)
    return any(made_of(parts.permute(*order, -2, -1).flatten(0, -3), made) for order in orders)


def made_of(q: Tensor, made: Tensor) -> bool:
    """Whether queries [h, n, d] are the numbers of a product [n, ·] as it has them: position by position, head by head."""
    h, n, d = q.shape
    if made.shape[0] != n:
        return False
    flat, size = q.transpose(0, 1).reshape(n, h * d), made.abs().max()
    parts = (made[:, start : start + h * d] for start in range(0, made.shape[1] - h * d + 1, h * d))
    return any(bool(((part - flat).abs() <= 1e-4 * size).all()) for part in parts)


def _by_stride(piece: tuple[int, int]) -> int:
    return -piece[1]
