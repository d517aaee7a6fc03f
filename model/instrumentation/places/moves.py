"""What views, and operators that put rows elsewhere, make of the rows of a tensor: a function by the operator's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from model.instrumentation.operators.recorder import COPIES, RESHAPES, Operation, tensors_in
from model.instrumentation.places.rows import NOTHING, UNKNOWN, Rows, along, merged, plain

Shape = list[int]


def moved(own: Rows, operation: Operation) -> list[Rows]:
    """The rows of each result of an operator of `MOVES`, whose first argument has `own`."""
    results = list(tensors_in((operation.result,)))
    if own.rows is None:
        return [UNKNOWN] * len(results)
    if operation.name in COPIES:
        return [own] * len(results)
    if operation.name in RESHAPES:
        return [own.reshaped(result.shape) for result in results]
    # By the rows' own shape: an operator in place has changed that of its argument.
    found = _MOVES[operation.name](own, own.shape, operation.named(), results)
    return found if isinstance(found, list) else [found] * len(results)


def concatenated(parts: Sequence[Rows | None], tensors: Sequence[Tensor], axis: int, shape: Sequence[int]) -> Rows:
    """The rows of tensors one after the other along an axis; a part of which nothing is known by constants is none."""
    known = [part for part in parts if part is not None]
    if any(part.rows is None for part in known):
        return UNKNOWN
    single = all(part is not None and len(part.rows) == 1 for part in parts) and len({part.rows for part in known}) > 1
    if not single and not any(part.on(axis) for part in known):
        return merged([part.put(axis, plain(shape[axis])) for part in known])
    rows: list[Any] = []
    for part, tensor in zip(parts, tensors, strict=True):
        size = tensor.shape[axis]
        if part is None:
            rows += [NOTHING] * size
        elif part.layout[axis] == along(size) and len(part.rows) == size:
            rows += part.rows
        else:
            return UNKNOWN
    layout = (*known[0].layout[:axis], along(len(rows)), *known[0].layout[axis + 1 :])
    return Rows(tuple(rows), layout, all(part is not None and part.learned for part in parts))


def stacked(parts: Sequence[Rows | None], axis: int) -> Rows:
    """The rows of tensors on a new axis: those that all have, or one of each."""
    if any(part is None or part.rows is None for part in parts):
        return UNKNOWN
    first = parts[0]
    if all(part.rows == first.rows and part.layout == first.layout for part in parts):
        rows, factors = first.rows, plain(len(parts))
    elif all(len(part.rows) == 1 for part in parts):
        rows, factors = tuple(part.rows[0] for part in parts), along(len(parts))
    else:
        return UNKNOWN
    return Rows(rows, (*first.layout[:axis], factors, *first.layout[axis:]), first.learned)


def reduced(own: Rows, operation: Operation) -> Rows:
    """The rows of what is left where axes are summed, averaged or searched."""
    named, dims = operation.named(), operation.args[0].dim()
    axes = named.get("dim")
    axes = range(dims) if axes is None or axes == [] else [axes] if isinstance(axes, int) else axes
    axes = {at % max(1, dims) for at in axes}
    if own.rows is None or any(own.on(at) for at in axes):
        return UNKNOWN
    if not named.get("keepdim", False):
        return own.without(axes)
    for at in axes:
        own = own.put(at, ())
    return own


def _permuted(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    if "dims" in named:
        order = [at % len(shape) for at in named["dims"]]
    else:
        order = list(range(len(shape)))
        one, other = named.get("dim0", 0) % len(shape), named.get("dim1", len(shape) - 1) % len(shape)
        order[one], order[other] = order[other], order[one]
    return Rows(own.rows, tuple(own.layout[at] for at in order), own.learned)


def _squeezed(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    axes = named.get("dim", range(len(shape)))
    axes = [axes] if isinstance(axes, int) else axes
    return own.without(at % len(shape) for at in axes if shape[at] == 1)


def _unsqueezed(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    at = named["dim"] % (len(shape) + 1)
    return Rows(own.rows, (*own.layout[:at], (), *own.layout[at:]), own.learned)


def _spread(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    """expand, repeat: along any axis but that of the rows."""
    layout = ((),) * (results[0].dim() - len(shape)) + own.layout
    return Rows(own.rows, layout, own.learned).resized(results[0].shape)


def _selected(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    at = named["dim"] % len(shape)
    return own.taken(at, [named["index"] % shape[at]]).without([at])


def _sliced(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    at = named.get("dim", 0) % len(shape)
    return own.taken(at, range(shape[at])[named.get("start") : named.get("end") : named.get("step", 1)])


def _split(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> list[Rows]:
    at, start, found = named.get("dim", 0) % len(shape), 0, []
    for result in results:
        found.append(own.taken(at, range(start, start + result.shape[at])))
        start += result.shape[at]
    return found


def _unbound(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> list[Rows]:
    at = named.get("dim", 0) % len(shape)
    return [own.taken(at, [place]).without([at]) for place in range(len(results))]


def _flipped(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    for at in named["dims"]:
        own = own.taken(at % len(shape), range(shape[at])[::-1])
    return own


def _rolled(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    if not named.get("dims"):
        return UNKNOWN
    for shift, at in zip(named["shifts"], named["dims"], strict=True):
        size = shape[at]
        own = own.taken(at % len(shape), [(place - shift) % size for place in range(size)])
    return own


def _padded(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    pad = named["pad"]
    for pair in range(len(pad) // 2):
        at, (before, after) = len(shape) - 1 - pair, pad[2 * pair : 2 * pair + 2]
        size = shape[at]
        places = range(-before, size + after)
        own = own.taken(at, [place if 0 <= place < size else -1 for place in places])
    return own


def _indexed(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    indices = named["indices"]
    chosen = [at for at, index in enumerate(indices) if index is not None]
    if len(chosen) != 1 or indices[chosen[0]].dim() != 1 or indices[chosen[0]].dtype == torch.bool:
        return UNKNOWN
    return own.taken(chosen[0], _places(indices[chosen[0]], shape[chosen[0]]))


def _index_selected(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    at = named["dim"] % len(shape)
    return own.taken(at, _places(named["index"].reshape(-1), shape[at]))


def _places(index: Tensor, size: int) -> list[int]:
    return [place % size for place in index.tolist()]


def _along_one(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    """sort, topk, gather, glu: along any axis but that of the rows."""
    return UNKNOWN if own.on(named.get("dim", -1) % len(shape)) else own.resized(results[0].shape)


def _same_axes(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    """Convolutions that keep the length, recurrent layers."""
    return own.resized(results[0].shape)


def _complex(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    return own.without([len(shape) - 1])


def _real(own: Rows, shape: Shape, named: dict, results: list[Tensor]) -> Rows:
    return Rows(own.rows, (*own.layout, plain(2)), own.learned)


_MOVES: dict[str, Callable[[Rows, Shape, dict[str, Any], list[Tensor]], Rows | list[Rows]]] = {
    "transpose": _permuted, "t": _permuted, "permute": _permuted, "squeeze": _squeezed, "unsqueeze": _unsqueezed,
    "expand": _spread, "repeat": _spread, "select": _selected, "slice": _sliced, "split": _split, "split_with_sizes": _split,
    "unbind": _unbound, "flip": _flipped, "roll": _rolled, "constant_pad_nd": _padded, "index": _indexed,
    "index_select": _index_selected, "sort": _along_one, "topk": _along_one, "gather": _along_one, "glu": _along_one,
    "convolution": _same_axes, "mkldnn_rnn_layer": _same_axes, "view_as_complex": _complex, "view_as_real": _real,
}  # fmt: skip
MOVES = COPIES | RESHAPES | _MOVES.keys()
