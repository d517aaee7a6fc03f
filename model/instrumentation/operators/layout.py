"""Strides of a tensor over the scores [h, q, k]: which of its axes are heads, queries and keys, through any view.

Its `strides` say it: for every axis, how many cells of a contiguous [h, q, k] one step along it goes, whatever the memory
of the tensor itself looks like. An axis of size 1 says nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.instrumentation.operators.recorder import COPIES, RESHAPES, Operation


def strides_after(operation: Operation, strides: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides of a view's or copy's result; None where cells are left out or no strides can say where they are."""
    before, result = operation.args[0], operation.result
    if not isinstance(result, Tensor) or result.numel() != before.numel():
        return None
    if operation.name in COPIES:
        return strides
    cells = torch.empty_strided(before.shape, strides, device="meta")
    if operation.name not in RESHAPES:
        return operation.func(cells, *operation.args[1:], **operation.kwargs).stride()
    try:
        return cells.view(result.shape).stride()
    except RuntimeError:
        return None


def transposed(strides: tuple[int, ...], rows: int, columns: int) -> tuple[int, ...]:
    """Strides over [h, rows, columns] -> those over [h, columns, rows]."""
    return tuple(s * rows if s < columns else s // columns if s < rows * columns else s for s in strides)


def axes(tensor: Tensor, strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """(size, stride) of every axis that counts, in the tensor's order."""
    return [(size, stride) for size, stride in zip(tensor.shape, strides, strict=True) if size > 1]


def cells(term: Tensor, shape: torch.Size, strides: tuple[int, ...], scores: tuple[int, int, int]) -> Tensor | None:
    """What is broadcast against scores of `shape` that lie by `strides` -> [h or 1, q or 1, k or 1]; None where not so."""
    _, q, k = scores
    while term.dim() > len(shape) and term.shape[0] == 1:
        term = term[0]
    if term.dim() > len(shape):
        return None
    term = term.reshape((1,) * (len(shape) - term.dim()) + tuple(term.shape))
    if any(own not in (1, size) for own, size in zip(term.shape, shape, strict=True)):
        return None
    # Heads, queries and keys may each be one axis or several (key/value heads and the groups of each).
    of = [0 if stride >= q * k else 1 if stride >= k else 2 for stride in strides]
    full = {of[axis] for axis, size in enumerate(term.shape) if size > 1}
    order = sorted(range(len(shape)), key=lambda axis: (shape[axis] > 1, -strides[axis]))
    sizes = [size if of[axis] in full else 1 for axis, size in enumerate(shape)]
    found = tuple(size if kind in full else 1 for kind, size in enumerate(scores))
    return term.expand(sizes).permute(order).reshape(found)


def cube(tensor: Tensor) -> Tensor:
    """[n, m] -> [1, n, m]; three axes stay."""
    return tensor[None] if tensor.dim() == 2 else tensor


def matrix(tensor: Tensor) -> Tensor:
    """[1, n, m] -> [n, m]; two axes stay."""
    return tensor[0] if tensor.dim() == 3 else tensor
