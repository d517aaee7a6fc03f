"""What an operator makes of scores, and of weights.

Of scores scale, soft cap, mask or bias are read; after any other they are `opaque`. Each function takes the scores,
which of the operator's arguments they are, and the operator, whose result has their shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.notes import Scores, Weights, number
from model.instrumentation.operators.recorder import RANDOM, VIEWS, Operation
from model.trace.mask_and_bias import is_masked


def unknown(scores: Scores, at: int, operation: Operation) -> Scores:
    return scores.unknown()


def _scaled(scores: Scores, at: int, operation: Operation) -> Scores:
    """Times a number, a number a head, or cells of 0 and 1, of which those with 0 are then masked (GPT-1)."""
    divides, other = operation.name == "div", operation.args[1 - at]
    factor = number(other)
    if (divides and (at == 1 or factor == 0)) or "rounding_mode" in operation.kwargs:
        return scores.unknown()
    if factor is not None:
        return scores.times(1 / factor if divides else factor)
    cells = _cells(scores, at, operation, other)
    if cells is not None and cells.shape[1:] == (1, 1):
        return scores.times(1 / cells if divides else cells)
    if cells is None or divides or scores.terms or not bool(((cells == 0) | (cells == 1)).all()):
        return scores.unknown()
    return replace(scores, erased=(*scores.erased, cells == 0))


def _added(scores: Scores, at: int, operation: Operation) -> Scores:
    sign = (-1.0 if operation.name == "sub" else 1.0) * float(operation.kwargs.get("alpha", 1))
    term = operation.args[1 - at]
    if at == 1 and sign != 1:
        return scores.unknown()
    if isinstance(term, Tensor):
        return scores.plus(_cells(scores, at, operation, term), sign)
    return (
        scores
        if term == 0
        else scores.plus(torch.full((1, 1, 1), term, dtype=scores.q.dtype, device=scores.q.device), sign)
    )


def _filled(scores: Scores, at: int, operation: Operation) -> Scores:
    """masked_fill(scores, mask, low number)"""
    low = number(operation.args[2])
    if at != 0 or low is None or not is_masked(low):
        return scores.unknown()
    return scores.without(_cells(scores, at, operation, operation.args[1]))


def _where(scores: Scores, at: int, operation: Operation) -> Scores:
    """where(mask, scores, low number), or the other way round"""
    low = number(operation.args[3 - at]) if at in (1, 2) else None
    cells = _cells(scores, at, operation, operation.args[0])
    if low is None or not is_masked(low) or cells is None:
        return scores.unknown()
    return scores.without(cells if at == 2 else ~cells)


def _floor(scores: Scores, at: int, operation: Operation) -> Scores:
    """Scores that are not let fall below a low number."""
    least = number(operation.args[1 - at]) if at in (0, 1) else None
    above = operation.args[2:3] in ((), (None,))
    return scores if least is not None and is_masked(least) and above else scores.unknown()


def _capped(scores: Scores, at: int, operation: Operation) -> Scores:
    return scores.capped()


def _power_of_two(scores: Scores, at: int, operation: Operation) -> Scores:
    """2ˢ = exp(s · ln 2), as kernels write it."""
    return scores.times(math.log(2)).unknown()


def _cells(scores: Scores, at: int, operation: Operation, other: Tensor) -> Tensor | None:
    return scores.cells(other, operation.args[at].shape)


OPERATORS: dict[str, Callable[[Scores, int, Operation], Scores]] = {
    "mul": _scaled, "div": _scaled, "add": _added, "sub": _added, "masked_fill": _filled, "where": _where,
    "clamp": _floor, "clamp_min": _floor, "maximum": _floor, "tanh": _capped, "exp2": _power_of_two,
}  # fmt: skip


def after(scores: Scores, at: int, operation: Operation) -> Scores | None:
    """What an operator makes of scores, which are its argument number `at`; None where its result has another shape."""
    args, result = operation.args, operation.result
    if not isinstance(result, Tensor) or args[at].shape != result.shape:
        return None
    found = OPERATORS.get(operation.name, unknown)(scores, at, operation)
    rows = any(isinstance(arg, Tensor) and 1 < arg.numel() < result.numel() for arg in args)
    # Of one key alone exp(s − s) is 1 whatever it goes on to be: only what was divided by its sum is a softmax.
    alone = operation.name == "div" and min(scores.shape[1:]) == 1 and isinstance(args[1], Tensor)
    whole = rows or alone or operation.name == "_log_softmax"
    return replace(found, normalised=True) if found.opaque and whole else found


@dataclass(eq=False)
class WeightChanges:
    """What was done to weights that were recorded, before they met their values.

    changed: (call, path, operator) of what read them and was not followed, "" for a view that mixes axes; by_cell: (call, path)
    of weights that met values in no product of matrices; random: paths that drew numbers.
    """

    changed: list[tuple[AttentionCall, str, str]] = field(default_factory=list)
    by_cell: list[tuple[AttentionCall, str]] = field(default_factory=list)
    random: set[str] = field(default_factory=set)

    def after(self, operation: Operation, note: Callable[[object], object], path: str) -> Weights | None:
        """The note of the result, where the operator changed weights cell by cell."""
        if operation.name in RANDOM:
            self.random.add(path)
        if operation.name in VIEWS or operation.name.endswith("_like"):
            return None
        for arg in operation.args:
            weights = note(arg)
            if not isinstance(weights, Weights) or weights.call is None:
                continue
            if (
                operation.name == "mul" and operation.result.numel() > arg.numel()
            ):  # a value times its weight, to be summed
                self.by_cell.append((weights.call, path))
                return None
            self.changed.append((weights.call, path, operation.name))
            alike = isinstance(operation.result, Tensor) and operation.result.shape == arg.shape
            return replace(weights, altered=True) if alike else None
        return None
