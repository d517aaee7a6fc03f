"""Layouts of tensors over the scores [h, q, k]: which of their axes are heads, queries and keys, through any view.

A layout has, for every axis of a tensor, its factors (size, stride): how many cells of a contiguous [h, q, k] one step along
each goes, the outermost factor first, whatever the memory of the tensor itself looks like. An axis has several factors where
axes were merged that are no neighbours in [h, q, k], as an einsum merges groups of heads with queries; one of size 1 has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from model.instrumentation.operators.recorder import COPIES, RESHAPES, Operation

Factors = tuple[tuple[int, int], ...]
Layout = tuple[Factors, ...]


def contiguous(shape: Sequence[int]) -> Layout:
    """The layout of a tensor that is [h, q, k] itself, with or without axes before it."""
    return tuple(((size, math.prod(shape[at + 1 :])),) if size > 1 else () for at, size in enumerate(shape))


def after(operation: Operation, layout: Layout) -> Layout | None:
    """The layout of a view's or copy's result; None where cells are left out or no factors can say where they are."""
    before, result = operation.args[0], operation.result
    if not isinstance(result, Tensor) or result.numel() != before.numel():
        return None
    if operation.name in COPIES:
        return layout
    if operation.in_place:  # what was before is no more: a vector times a matrix ends with squeeze_(0)
        return _squeezed(layout, operation) if operation.name == "squeeze" else None
    if operation.name in RESHAPES:
        return reshaped(layout, result.shape)
    # Strides that name the axes: a view says by them where each has gone.
    names = [1 << at for at in range(before.dim())]
    moved = operation.func(
        torch.empty_strided(before.shape, names, device="meta"), *operation.args[1:], **operation.kwargs
    )
    found = (names.index(name) if size > 1 else None for size, name in zip(moved.shape, moved.stride(), strict=True))
    return tuple(() if at is None else layout[at] for at in found)


def _squeezed(layout: Layout, operation: Operation) -> Layout | None:
    dims = operation.args[1] if len(operation.args) > 1 else [at for at, axis in enumerate(layout) if not axis]
    gone = {at % len(layout) for at in (dims if isinstance(dims, list | tuple) else [dims])}
    found = tuple(axis for at, axis in enumerate(layout) if at not in gone or axis)
    return found if len(found) == operation.result.dim() else None


def reshaped(layout: Layout, shape: Sequence[int]) -> Layout | None:
    """The layout of a reshape's result; None where a factor lies across two of its axes."""
    left = [factor for axis in layout for factor in axis][::-1]
    found: list[Factors] = []
    for size in shape:
        axis = []
        while size > 1:
            own, stride = left.pop()
            if own > size and own % size == 0:
                left.append((own // size, stride))
                own, stride = size, stride * (own // size)
            if size % own:
                return None
            axis.append((own, stride))
            size //= own
        found.append(_joined(axis))
    return tuple(found)


def _joined(factors: Iterable[tuple[int, int]]) -> Factors:
    """Factors with those put together that follow each other in [h, q, k]."""
    found: list[tuple[int, int]] = []
    for size, stride in factors:
        if found and found[-1][1] == size * stride:
            size *= found.pop()[0]
        found.append((size, stride))
    return tuple(found)


def pieces(axis: Factors, scores: tuple[int, int, int]) -> Factors | None:
    """The factors of an axis, each of heads, of queries or of keys alone; None where one lies across a border."""
    _, q, k = scores
    found = []
    for size, stride in axis:
        for border in (q * k, k):
            if stride < border < size * stride:
                if border % stride or (size * stride) % border:
                    return None
                found.append((size * stride // border, border))
                size = border // stride
        found.append((size, stride))
    return tuple(found)


def kind(stride: int, scores: tuple[int, int, int]) -> int:
    """0 for a stride along heads, 1 along queries, 2 along keys."""
    _, q, k = scores
    return 0 if stride >= q * k else 1 if stride >= k else 2


def head_sizes(layout: Layout, scores: tuple[int, int, int]) -> tuple[int, ...]:
    """How many heads each axis of heads has, in the order of the record's heads: (groups, heads of each), say."""
    found = [piece for axis in layout for piece in pieces(axis, scores) or () if kind(piece[1], scores) == 0]
    return tuple(size for size, _ in sorted(found, key=lambda piece: -piece[1]))


def of_queries(axis: Factors, scores: tuple[int, int, int]) -> bool:
    """Whether an axis is of queries alone."""
    found = pieces(axis, scores)
    return bool(found) and all(kind(stride, scores) == 1 for _, stride in found)


def transposed(layout: Layout, rows: int, columns: int) -> Layout:
    """A layout over [h, rows, columns] -> the one over [h, columns, rows]."""

    def turned(stride: int) -> int:
        return stride * rows if stride < columns else stride // columns if stride < rows * columns else stride

    split = (pieces(axis, (1, rows, columns)) or axis for axis in layout)
    return tuple(_joined((size, turned(stride)) for size, stride in axis) for axis in split)


def renamed(layout: Layout, scores: tuple[int, int, int], strides: dict[int, int]) -> Layout:
    """The layout with each stride of a piece replaced by the one that `strides` has for it."""
    split = (pieces(axis, scores) or () for axis in layout)
    return tuple(_joined((size, strides[stride]) for size, stride in axis) for axis in split)


def cells(term: Tensor, shape: torch.Size, layout: Layout, scores: tuple[int, int, int]) -> Tensor | None:
    """What is broadcast against scores of `shape` that lie by `layout` -> [h or 1, q or 1, k or 1]; None where not so."""
    while term.dim() > len(shape) and term.shape[0] == 1:
        term = term[0]
    if term.dim() > len(shape):
        return None
    term = term.reshape((1,) * (len(shape) - term.dim()) + tuple(term.shape))
    if any(own not in (1, size) for own, size in zip(term.shape, shape, strict=True)):
        return None
    # Heads, queries and keys may each be one factor or several (key/value heads and the groups of each).
    split = [pieces(axis, scores) for axis in layout]
    if any(axis is None for axis in split):
        return None
    factors = [factor for axis in split for factor in axis]
    own = [size if there > 1 else 1 for axis, there in zip(split, term.shape, strict=True) for size, _ in axis]
    of = [kind(stride, scores) for _, stride in factors]
    full = {which for which, size in zip(of, own, strict=True) if size > 1}
    sizes = [size if which in full else 1 for (size, _), which in zip(factors, of, strict=True)]
    order = sorted(range(len(factors)), key=lambda at: -factors[at][1])
    found = tuple(size if which in full else 1 for which, size in enumerate(scores))
    if math.prod(sizes) != math.prod(found):  # several examples, or windows in their place
        return None
    return term.reshape(own).expand(sizes).permute(order).reshape(found)


def values_and_context(
    weights: Layout, scores: tuple[int, int, int], v: Tensor, context: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Values [b, k, d_v] and weights · values [b, rows, d_v], heads first: [h, k, d_v] and [h, q, d_v].

    weights: how the factor of that product lies; None where its last axis is not the keys, or its values are of a query.
    """
    split = [pieces(axis, scores) for axis in weights]
    h, q, k = scores
    if any(axis is None for axis in split) or split[-1] != contiguous((k,))[0]:
        return None
    batch, rows = [factor for axis in split[:-2] for factor in axis], list(split[-2])
    if any(kind(stride, scores) != 0 for _, stride in batch) or any(kind(stride, scores) == 2 for _, stride in rows):
        return None
    factors = [*batch, *rows]
    order = sorted(range(len(factors)), key=lambda at: -factors[at][1])
    width = context.shape[-1]
    made = context.reshape(*(size for size, _ in factors), width).permute(*order, len(order)).reshape(h, q, width)
    # One matrix of values serves those heads that are among the rows.
    own = [size for size, _ in batch] + [1 if kind(stride, scores) == 0 else None for _, stride in rows]
    of_heads = [at for at in order if own[at] is not None]
    read = v.reshape(*(size for size in own if size is not None), k, v.shape[-1])
    places = [sum(size is not None for size in own[:at]) for at in of_heads]
    read = read.permute(*places, len(places), len(places) + 1)
    read = read.expand(*(factors[at][0] for at in of_heads), k, v.shape[-1]).reshape(h, k, v.shape[-1])
    return read, made


def single(
    lies: Layout, scores: tuple[int, int, int], weights: Tensor, v: object, context: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Values [h, 1, d_v] and context [h, q, d_v] of one key, whose weights lie by `lies` and multiply v cell by cell."""
    along = [at for at, factors in enumerate(lies) if factors]
    plain = isinstance(v, Tensor) and v.dim() == weights.dim() and all(len(lies[at]) == 1 for at in along)
    h, q, _ = scores
    if not plain or weights.numel() != h * q:
        return None
    of_queries = [at for at in along if kind(lies[at][0][1], scores) != 0]
    if any(v.shape[at] not in ((1,) if at in of_queries else (1, context.shape[at])) for at in along):
        return None
    along.sort(key=lambda at: -lies[at][0][1])
    order = [*along, *(at for at in range(weights.dim()) if at not in along)]
    read, made = (t.expand(context.shape).permute(order).reshape(h, q, -1) for t in (v, context))
    return read[:, :1], made


def cube(tensor: Tensor) -> Tensor:
    """[n, m] -> [1, n, m]; three axes stay."""
    return tensor[None] if tensor.dim() == 2 else tensor


def matrix(tensor: Tensor) -> Tensor:
    """[1, n, m] -> [n, m]; two axes stay."""
    return tensor[0] if tensor.dim() == 3 else tensor
