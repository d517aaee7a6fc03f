"""Whose positions the rows of a tensor are, whatever was computed of them: of the ids, the input or the learned vectors.

An attention's context has the positions of its queries, not of what they read; a sum those of its summands. So two streams of
one length are told apart although each reads the other, and rows that were flipped, shifted or picked are no longer at the
places of the words that they were made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.descent import Descent
from model.instrumentation.operators.attention_call import AttentionCall, Origin, Places
from model.instrumentation.operators.layout import axis_after_reshape, axis_of_positions, only_axis_of_size
from model.instrumentation.operators.recorder import (
    COPIES,
    PRODUCTS,
    RESHAPES,
    VIEWS,
    Operation,
    first_output,
    memory_of,
    tensors_in,
)

# Operators that put rows at other places.
_MOVES = {"flip", "roll", "index_select", "gather", "sort", "constant_pad_nd", "index"}
_REDUCES = {"mean", "sum", "amax", "amin", "max", "min", "logsumexp", "argmax", "argmin", "topk"}


@dataclass(frozen=True)
class _Rows(Places):
    """The places of a tensor's rows, the axis that they are on, None where that cannot be told, and what was concatenated
    along it: (rows, whose they are), in order.
    """

    axis: int | None = None
    parts: tuple[tuple[int, _Rows], ...] = ()


_NONE = _Rows()


class Sequences:
    """Follows every operator, after `descent` has, by whose numbers token ids are called."""

    def __init__(self, inputs: Sequence[Tensor], descent: Descent, is_parameter: Callable[[Tensor], bool]):
        self._descent, self._is_parameter = descent, is_parameter
        self._rows = WeakTensorKeyDictionary()
        self._attended: AttentionCall | None = None
        self._moves = 0
        for number, tensor in enumerate(inputs):
            if tensor not in self._rows:
                self._rows[tensor] = _Rows(frozenset({("input", number)}), axis=axis_of_positions(tensor))

    def attended(self, call: AttentionCall) -> None:
        """The operator that is seen next made the context of `call`."""
        self._attended = call

    def of(self, tensor: Tensor) -> Places:
        found = self._of(tensor)
        return Places(found.origins, found.moved, found.cut, found.span)

    def axis(self, tensor: Tensor) -> int | None:
        """The axis of the tensor's positions, None where it is not known."""
        return self._of(tensor).axis

    def _of(self, tensor: Tensor) -> _Rows:
        known = self._rows.get(tensor)
        if known is None and self._is_parameter(tensor):
            return _Rows(frozenset({("learned", memory_of(tensor))}), axis=axis_of_positions(tensor))
        return known or _NONE

    def see(self, operation: Operation) -> None:
        results = list(tensors_in((operation.result,)))
        found = self._views(operation, results) if operation.name in VIEWS else [self._after(operation)] * len(results)
        if self._attended is not None:
            own, at = self._attended.places[0], found[0].axis
            at = only_axis_of_size(results[0], self._attended.q.shape[1]) if at is None else at
            parts = found[0].parts if found[0].axis == at else ()
            found = [_Rows(own.origins, own.moved, own.cut, own.span, at, parts)] * len(results)
            self._attended = None
        for result, rows in zip(results, found, strict=True):
            if rows.origins or operation.in_place:
                self._rows[result] = rows

    def _after(self, operation: Operation) -> _Rows:
        name, args, result = operation.name, operation.args, first_output(operation.result)
        if result is None:
            return _NONE
        if name == "embedding":
            return self._looked_up(args[0], args[1])
        if operation.is_kernel:
            return self._of(args[0])
        if name in PRODUCTS:
            return self._product(operation, result)
        if name in _REDUCES and isinstance(args[0], Tensor) and result.numel() < args[0].numel():
            read, shape = self._of(args[0]), args[0].shape
            whole = read.axis is not None and result.shape[: read.axis + 1] == shape[: read.axis + 1]
            return read if whole else replace(read, axis=None, parts=(), cut=True, span=None)
        if name == "cat":
            return self._concatenated(operation, result)
        rows = self._pointwise(args, result)
        if rows.origins and name in _MOVES and self._moves_rows(operation):
            self._moves += 1
            return replace(rows, moved=rows.moved | {self._moves}, parts=())
        return rows

    def _looked_up(self, table: Tensor, ids: Tensor) -> _Rows:
        """Ids are a sequence of their own, in the order in which they are looked up; places that the module counts are none."""
        if ids.is_floating_point():
            return self._of(ids)
        flat, axis = ids.reshape(-1), axis_of_positions(ids)
        counted = torch.equal(flat, torch.arange(len(flat), device=flat.device)) or not bool((flat != flat[:1]).any())
        if len(flat) > 1 and counted and not self._of(ids).origins:
            return _Rows(frozenset({("learned", memory_of(table))}), axis=axis)
        return _Rows(frozenset({("ids", len(self._descent.ids) - 1)}), axis=axis)

    def _product(self, operation: Operation, result: Tensor) -> _Rows:
        """Of a layer the rows of what it is applied to; of two tensors of data the rows of both, the left one's on its axis."""
        learned = [self._is_parameter(part) for part in operation.factors]
        left, right = operation.factors
        given = [
            (self._of(left), left.dim() - 2, result.dim() - 2),
            (self._of(right), right.dim() - 1, result.dim() - 1),
        ]
        if learned[0] != learned[1]:
            given = [each for each, own in zip(given, learned, strict=True) if not own]
        rows, at, to = given[0]
        axis = to if rows.origins and rows.axis == at and to >= 0 else None
        read = [each for each, _, _ in given]
        return _Rows(*_union(read), *_cut(read), axis, rows.parts if axis is not None else ())

    def _pointwise(self, args: Sequence[object], result: Tensor) -> _Rows:
        """Of what has as many numbers as the result."""
        given = list(tensors_in(args))
        whole = [part for part in given if part.numel() == result.numel()]
        rows = [(part, found) for part in whole if (found := self._of(part)).origins]
        if not rows:  # a vector that is repeated for every row
            return replace(_Rows(*_union(list(map(self._of, given)))), cut=True)
        still = [each for _, each in rows if not each.moved]
        # A stream to which something is added that was moved stays at its places.
        kept = any(one.origins & each.origins for one in still for _, each in rows if each.moved)
        origins, moved = _union([each for _, each in rows])
        axes = [each.axis + result.dim() - part.dim() for part, each in rows if each.axis is not None]
        axis = axes[0] if axes and axes[0] >= 0 else None
        parts = next((each.parts for _, each in rows if each.parts), ()) if axis is not None else ()
        return _Rows(origins, frozenset() if kept else moved, *_cut([each for _, each in rows]), axis, parts)

    def _moves_rows(self, operation: Operation) -> bool:
        name, args = operation.name, operation.args
        if not isinstance(args[0], Tensor) or not args[0].is_floating_point():
            return False
        axis, dims = self._of(args[0]).axis, args[0].dim()
        if axis is None:
            return True
        if name == "index":
            return len(args[1]) > axis and args[1][axis] is not None
        if name == "constant_pad_nd":
            return any(args[1][2 * (dims - 1 - axis) : 2 * (dims - axis)])
        named = operation.named()
        over = named.get("dims", named.get("dim", -1))
        return axis in {each % dims for each in ([over] if isinstance(over, int) else over)}

    def _concatenated(self, operation: Operation, result: Tensor) -> _Rows:
        """Parts one after the other; what was cut of a sequence and put together is no longer where it was."""
        parts = [part for part in operation.args[0] if part.dim() == result.dim()]
        along = operation.named().get("dim", 0) % max(1, result.dim())
        rows = [self._of(part) for part in parts]
        axes = {each.axis for each in rows if each.origins}
        axis = axes.pop() if len(axes) == 1 else None
        origins, moved = _union(rows)
        if axis != along:
            return _Rows(origins, moved, *_cut(rows), axis)
        spans = [each.span for each in rows]
        alike = None not in spans and len({(each.origins, each.moved) for each in rows}) == 1
        if alike and all(one[1] == other[0] for one, other in pairwise(spans)):
            start, stop, size = spans[0][0], *spans[-1][1:]
            whole = (start, stop) == (0, size)
            return _Rows(origins, moved, not whole, None if whole else (start, stop, size), axis)
        if moved or any(each.cut and not _learned(each) for each in rows):
            self._moves += 1
            return _Rows(origins, moved | {self._moves}, axis=axis)
        sizes = [part.shape[along] for part in parts]
        return _Rows(origins, axis=axis, parts=tuple(zip(sizes, rows, strict=True)))

    def _views(self, operation: Operation, results: Sequence[Tensor]) -> list[_Rows]:
        read, before = self._of(operation.args[0]), operation.args[0]
        if not read.origins or operation.name in COPIES:
            return [read] * len(results)
        if read.axis is None or operation.name in RESHAPES:
            axes = [axis_after_reshape(before.shape, result.shape, read.axis) for result in results]
            return [replace(read, axis=at, parts=() if at is None else read.parts) for at in axes]
        # Strides that name the axes: a view says by them where each has gone, and by its offset where it begins.
        names = [1 << at for at in range(before.dim())]
        moved = operation.func(
            torch.empty_strided(before.shape, names, device="meta"), *operation.args[1:], **operation.kwargs
        )
        found = []
        for view in tensors_in((moved,)):
            at = next((at for at, name in enumerate(view.stride()) if name == names[read.axis]), None)
            if at is None:  # one row, or one repeated
                spread = operation.name == "expand"
                found.append(replace(read, axis=read.axis if spread else None, parts=(), cut=True, span=None))
                continue
            start, size = view.storage_offset() // names[read.axis], view.shape[at]
            whole = size == before.shape[read.axis]
            part = read if whole else _part(read.parts, start, size)
            found.append(replace(part or _run(read, start, size, before.shape[read.axis]), axis=at))
        return found


def _run(rows: _Rows, start: int, size: int, there: int) -> _Rows:
    """The rows from `start` on, of as many as are `there`."""
    first, of = (rows.span[0], rows.span[2]) if rows.span else (0, there)
    span = (first + start, first + start + size, of) if rows.span or not rows.cut else None
    return replace(rows, cut=True, span=span, parts=())


def _cut(rows: Sequence[Places]) -> tuple[bool, tuple[int, int, int] | None]:
    """Whether all of several were cut, and the run of rows that they are, where they are the same."""
    spans = {each.span for each in rows}
    cut = bool(rows) and all(each.cut for each in rows)
    return cut, spans.pop() if cut and len(spans) == 1 else None


def _part(parts: tuple[tuple[int, _Rows], ...], start: int, size: int) -> _Rows | None:
    """Whose the rows from `start` on are, where they are one of the parts of a concatenation."""
    at = 0
    for length, rows in parts:
        if (at, length) == (start, size):
            return rows if rows.origins else None
        at += length
    return None


def _union(rows: Sequence[Places]) -> tuple[frozenset[Origin], frozenset[int]]:
    """Origins and moves of several; learned vectors (of positions) that are added to a sequence are none of their own."""
    origins = frozenset().union(*(each.origins for each in rows))
    given = frozenset(each for each in origins if each[0] != "learned")
    return given or origins, frozenset().union(*(each.moved for each in rows))


def _learned(rows: Places) -> bool:
    return all(kind == "learned" for kind, _ in rows.origins)
