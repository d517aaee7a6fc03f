"""Whose positions the rows of a tensor are, whatever was computed of them: of the ids, the input or the learned vectors.

An attention's context has the positions of its queries, not of what they read; a sum those of its summands. So two streams of
one length are told apart although each reads the other, and rows that were flipped, shifted or picked take their words with
them. Where an operator mixes positions, or is not known, so is which row is which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.descent import Descent
from model.instrumentation.operators.attention_call import AttentionCall, Places
from model.instrumentation.operators.recorder import PRODUCTS, Operation, memory_of, tensors_in
from model.instrumentation.places.kinds import CHOOSES, LOCAL, REDUCES, WRITES
from model.instrumentation.places.moves import MOVES, concatenated, moved, reduced, stacked
from model.instrumentation.places.rows import UNKNOWN, Rows, along, axis_of_positions, merged, of_sequence, plain

_LEARNED = "learned"


class Sequences:
    """Follows every operator, after `descent` has, by whose numbers token ids are called."""

    def __init__(self, inputs: Sequence[Tensor], descent: Descent, is_parameter: Callable[[Tensor], bool]):
        self._descent, self._is_parameter = descent, is_parameter
        self._rows = WeakTensorKeyDictionary()  # tensor -> (its rows, when that was known)
        self._written: dict[int, int] = {}  # memory that was written to through a part of it -> when
        self._clock = count(1)
        self._attended: AttentionCall | None = None
        for number, tensor in enumerate(inputs):
            if tensor not in self._rows:
                self._rows[tensor] = of_sequence(("input", number), tensor, axis_of_positions(tensor)), 0

    def attended(self, call: AttentionCall) -> None:
        """The operator that is seen next made the context of `call`."""
        self._attended = call

    def written(self, call: AttentionCall, tensor: Tensor) -> None:
        """The context of `call` fills a tensor that was written to part by part."""
        self._rows[tensor] = _context(call, None, tensor), next(self._clock)

    def of(self, tensor: Tensor, length: int, inner: int = -1) -> Places:
        """The places of a tensor's `length` rows, of the last two axes on that which is not `inner`, what a product adds up;
        nothing where they lie on another.
        """
        found = self._of(tensor)
        known = found is not None and found.rows is not None and len(found.rows) == length
        there = known and (length == 1 or (tensor.dim() > 1 and found.on(-3 - inner) and not found.on(inner)))
        return Places(found.rows if there else None)

    def on(self, tensor: Tensor, axis: int) -> bool | None:
        """Whether the tensor's positions lie along an axis; None where it is not known."""
        found = self._of(tensor)
        return None if found is None or found.rows is None else found.on(axis)

    def _of(self, tensor: Tensor) -> Rows | None:
        """None of what is no data, nor learned."""
        found, known = self._rows.get(tensor, (None, -1))
        if self._written and self._written.get(memory_of(tensor), -1) > known:
            return UNKNOWN
        if found is None and self._is_parameter(tensor):
            return of_sequence((_LEARNED, memory_of(tensor)), tensor, axis_of_positions(tensor), learned=True)
        return found

    def see(self, operation: Operation) -> None:
        results = list(tensors_in((operation.result,)))
        if not results:
            return
        found, now = self._after(operation, results), next(self._clock)
        if self._attended is not None:
            found = [_context(self._attended, found[0], results[0])] * len(results)
            self._attended = None
        if operation.in_place and operation.name in WRITES:
            whole = (
                operation.args[0].numel() * operation.args[0].element_size()
                == operation.args[0].untyped_storage().nbytes()
            )
            copied = self._of(operation.args[1]) if whole and operation.name == "copy" else UNKNOWN
            self._written[memory_of(operation.args[0])] = now
            found = [copied] * len(results)
        elif self._written and operation.name not in MOVES and not operation.in_place:
            for result in results:  # new numbers, where old ones may have lain
                self._written.pop(memory_of(result), None)
        for result, rows in zip(results, found, strict=True):
            if rows is not None:
                self._rows[result] = rows if rows.fits(result.shape) else UNKNOWN, now
            else:
                self._rows.pop(result, None)

    def _after(self, operation: Operation, results: list[Tensor]) -> list[Rows | None]:
        name, args = operation.name, operation.args
        if name in MOVES:
            own = self._of(args[0])
            return [None] * len(results) if own is None else moved(own, operation)
        if name == "cat":
            return [self._concatenated(operation)]
        if name == "stack":
            parts = [self._of(part) for part in args[0]]
            at = operation.named().get("dim", 0) % results[0].dim()
            return [stacked(parts, at) if any(part is not None for part in parts) else None]
        return [self._made(operation, results[0])] * len(results)

    def _made(self, operation: Operation, result: Tensor) -> Rows | None:
        name, args = operation.name, operation.args
        if name == "embedding":
            return self._looked_up(args[0], args[1])
        if operation.is_kernel:
            own = self._of(args[0])
            return None if own is None else own.resized(result.shape)
        if name in PRODUCTS:
            return self._product(operation)
        given = [(part, own) for part in tensors_in(args) if (own := self._of(part)) is not None]
        if not given or name.endswith("_like") or name.startswith("new_"):
            return None
        if name in REDUCES and isinstance(args[0], Tensor) and result.numel() < args[0].numel():
            own = self._of(args[0])
            return None if own is None else reduced(own, operation)
        if name not in LOCAL | CHOOSES:
            return UNKNOWN
        whole = [_as_wide(own, part, result) for part, own in given if part.numel() == result.numel()]
        if name in CHOOSES and any(part.rows is None or part.rows != whole[0].rows for part in whole):
            return UNKNOWN
        return merged(whole)  # of a vector that is repeated for every row nothing is known

    def _looked_up(self, table: Tensor, ids: Tensor) -> Rows | None:
        """Ids are a sequence of their own, in the order in which they are looked up; places that the module counts are none."""
        if ids.is_floating_point():
            return self._of(ids)
        flat, axis = ids.reshape(-1), axis_of_positions(ids)
        counted = torch.equal(flat, torch.arange(len(flat), device=flat.device)) or not bool((flat != flat[:1]).any())
        learned = len(flat) > 1 and counted and self._of(ids) is None
        origin = (_LEARNED, memory_of(table)) if learned else ("ids", len(self._descent.ids) - 1)
        own = of_sequence(origin, ids, axis, learned)
        return own if own.rows is None else Rows(own.rows, (*own.layout, plain(table.shape[1])), learned)

    def _product(self, operation: Operation) -> Rows | None:
        """Of a layer the rows that it is applied to, of two tensors of data the left one's; unknown where rows are added up."""
        left, right = operation.factors
        learned = self._is_parameter(left), self._is_parameter(right)
        a, b = self._of(left), self._of(right)
        if learned[0] != learned[1]:
            a, b = (None if own else part for part, own in zip((a, b), learned, strict=True))
        if a is not None:
            end = () if right.dim() == 1 else (plain(right.shape[-1]),)
            mixed = a.rows is None or a.on(left.dim() - 1)
            return UNKNOWN if mixed else Rows(a.rows, (*a.layout[:-1], *end), a.learned)
        if b is None or b.rows is None or right.dim() < 2 or b.on(right.dim() - 2):
            return b and UNKNOWN
        return Rows(b.rows, (*b.layout[:-2], plain(left.shape[-2]), b.layout[-1]), b.learned)

    def _concatenated(self, operation: Operation) -> Rows | None:
        shape = operation.result.shape
        tensors = [part for part in operation.args[0] if part.dim() == len(shape) and part.numel()]
        parts = [self._of(part) for part in tensors]
        at = operation.named().get("dim", 0) % max(1, len(shape))
        return concatenated(parts, tensors, at, shape) if any(part is not None for part in parts) else None


def _as_wide(own: Rows, part: Tensor, result: Tensor) -> Rows:
    """Rows on the axes of a result that has more of them than its part."""
    return own if own.rows is None else Rows(own.rows, ((),) * (result.dim() - part.dim()) + own.layout, own.learned)


def _context(call: AttentionCall, found: Rows | None, made: Tensor) -> Rows | None:
    """The context of a call has the rows of its queries."""
    rows = call.places[0].rows
    if rows is None:
        return UNKNOWN
    if found is not None and found.rows is not None and len(found.rows) == len(rows):
        return Rows(rows, found.layout)
    if len(rows) == 1:
        return Rows(rows, tuple(map(plain, made.shape)))
    fitting = [at for at, size in enumerate(made.shape) if size == len(rows)]
    if len(fitting) != 1:
        return UNKNOWN
    return Rows(rows, tuple(along(size) if at == fitting[0] else plain(size) for at, size in enumerate(made.shape)))
