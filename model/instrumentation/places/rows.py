"""The rows of a tensor: which position of which sequence each is, and on which of the tensor's axes they lie."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from model.instrumentation.operators import layout as layouts
from model.instrumentation.operators.attention_call import Row

# As over scores, but a step along a factor goes so many rows, and 0 along anything else.
Factors, Layout = layouts.Factors, layouts.Layout
NOTHING: Row = (frozenset(), -1)  # a row that is no position of a sequence: padding, a constant


@dataclass(frozen=True, eq=False)
class Rows:
    """rows: in their order, None where it is not known; layout: how they lie over the axes; learned: of parameters alone."""

    rows: tuple[Row, ...] | None = None
    layout: Layout = ()
    learned: bool = False

    @property
    def shape(self) -> list[int]:
        """That of the tensor which the rows are of."""
        return [math.prod(size for size, _ in factors) for factors in self.layout]

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether the layout is one of a tensor of this shape."""
        return self.rows is None or self.shape == list(shape)

    def on(self, axis: int) -> bool:
        """Whether rows, or runs of them, lie along an axis."""
        return self.rows is not None and any(stride for _, stride in self.layout[axis])

    def resized(self, shape: Sequence[int]) -> Rows:
        """With the axes as long as they are in `shape`; unknown where rows are on one that has another length."""
        if self.rows is None or len(shape) != len(self.layout):
            return UNKNOWN
        sizes = self.shape
        if any(own != size and self.on(at) for at, (own, size) in enumerate(zip(sizes, shape, strict=True))):
            return UNKNOWN
        changed = (
            factors if own == size else plain(size)
            for factors, own, size in zip(self.layout, sizes, shape, strict=True)
        )
        return replace(self, layout=tuple(changed))

    def taken(self, axis: int, places: Sequence[int]) -> Rows:
        """With the places of an axis chosen anew, in this order; −1 is one of nothing."""
        if self.rows is None:
            return UNKNOWN
        if not self.on(axis):
            return self.put(axis, plain(len(places)))
        if self.layout[axis] != ((len(self.rows), 1),):
            return UNKNOWN
        rows = tuple(self.rows[place] if place >= 0 else NOTHING for place in places)
        return replace(self, rows=rows, layout=(*self.layout[:axis], along(len(rows)), *self.layout[axis + 1 :]))

    def put(self, axis: int, factors: Factors) -> Rows:
        return replace(self, layout=(*self.layout[:axis], factors, *self.layout[axis + 1 :]))

    def without(self, axes: Iterable[int]) -> Rows:
        """Without these axes; unknown where rows lie on one of them."""
        left_out = set(axes)
        if self.rows is None or any(self.on(at) for at in left_out):
            return UNKNOWN
        return replace(self, layout=tuple(factors for at, factors in enumerate(self.layout) if at not in left_out))

    def reshaped(self, shape: Sequence[int]) -> Rows:
        """After a reshape: runs of rows that come to lie on one axis are its rows, in their new order."""
        if self.rows is None:
            return UNKNOWN
        found = layouts.reshaped(self.layout, shape)
        return UNKNOWN if found is None else replace(self, layout=found)._in_order()

    def _in_order(self) -> Rows:
        """With rows whose runs lie on one axis in another order put into that order."""
        for at, factors in enumerate(self.layout):
            runs = [factor for factor in factors if factor[1]]
            if len(runs) > 1 and len(runs) == len(factors) and math.prod(size for size, _ in runs) == len(self.rows):
                places = [0]
                for size, stride in runs:
                    places = [place + step * stride for place in places for step in range(size)]
                rows = tuple(self.rows[place] for place in places)
                return replace(self, rows=rows).put(at, along(len(rows)))
        return self


UNKNOWN = Rows()


def plain(size: int) -> Factors:
    """The factors of an axis of anything but rows."""
    return ((size, 0),) if size > 1 else ()


def along(size: int) -> Factors:
    """The factors of an axis of all rows."""
    return ((size, 1),) if size > 1 else ()


def of_sequence(origin: tuple[str, int], tensor: Tensor, axis: int | None, learned: bool = False) -> Rows:
    """The rows of a sequence itself, in order, on one axis of a tensor; unknown without one."""
    if axis is None:
        return UNKNOWN
    sequence = frozenset({origin})
    layout = tuple(along(size) if at == axis else plain(size) for at, size in enumerate(tensor.shape))
    return Rows(tuple((sequence, place) for place in range(tensor.shape[axis])), layout, learned)


def axis_of_positions(tensor: Tensor) -> int | None:
    """The axis of positions of ids [1, n] or vectors [1, n, d], [n, 1, d], [n, d]; None of anything else."""
    shape = tensor.shape[:-1] if tensor.is_floating_point() else tensor.shape
    long = [at for at, size in enumerate(shape) if size != 1]
    return long[0] if len(long) == 1 else len(shape) - 1 if shape and not long else None


def merged(parts: Sequence[Rows]) -> Rows:
    """The rows of a sum: those of its summands where they are the same ones, of both sequences where they are two.

    Learned vectors that are added, and rows of the same sequence that were put elsewhere, leave a stream where it is.
    """
    known = [part for part in parts if part.rows is not None]
    known = [part for part in known if not part.learned] or known
    if not known:
        return UNKNOWN
    first = next((part for part in known if _in_place(part)), known[0])
    rows = first.rows
    for part in known:
        if part is first or part.rows is rows or part.rows == rows:
            continue
        alike = len(part.rows) == len(rows) and all(
            one[1] == other[1] for one, other in zip(part.rows, rows, strict=True)
        )
        if alike and part.layout == first.layout:
            rows = tuple((one[0] | other[0], one[1]) for one, other in zip(rows, part.rows, strict=True))
        elif not _in_place(first) or not _share(part.rows, rows):
            return UNKNOWN
    return replace(first, rows=rows)


def _in_place(part: Rows) -> bool:
    return all(place == at for at, (_, place) in enumerate(part.rows))


def _share(one: tuple[Row, ...], other: tuple[Row, ...]) -> bool:
    """Whether two have a sequence in common."""
    return bool(frozenset().union(*(of for of, _ in one)) & frozenset().union(*(of for of, _ in other)))
