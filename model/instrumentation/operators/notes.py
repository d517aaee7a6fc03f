"""Annotations of tensors between q · kᵀ and W_O (scaled, scores, weights, context, output), which `tracker` hands on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.instrumentation.operators import layout
from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.recorder import Frame

HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class Scaled:
    """A tensor that was multiplied by a number: queries or keys, scaled before their product."""

    factor: float


@dataclass(frozen=True, eq=False)
class Scores:
    """scale · q · kᵀ + terms: q [h, q, d_k], k [h, k, d_k]; terms and masks [h or 1, q or 1, k or 1]; True is dropped.

    layout: how the tensor lies over [h, q, k] (`layout`); until the softmax says which axis the keys are on, q and k are
    the left and the right factor. factors: the tensors that were multiplied. softcap c makes c · tanh(scale · q · kᵀ / c).
    `erased` cells were multiplied by 0 and must end up masked. `rounded`: they were in half precision on their way.
    `opaque`: they passed an operator that is none of these; terms and masks are those after it.
    """

    q: Tensor
    k: Tensor
    factors: tuple[Tensor, Tensor]
    layout: layout.Layout
    scale: float = 1.0
    softcap: float | None = None
    terms: tuple[tuple[Tensor, float | Tensor], ...] = ()
    dropped: tuple[Tensor, ...] = ()
    erased: tuple[Tensor, ...] = ()
    rounded: bool = False
    opaque: bool = False
    owner: Frame | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.q.shape[0], self.q.shape[1], self.k.shape[1]

    def cells(self, tensor: Tensor, shape: torch.Size) -> Tensor | None:
        """A tensor that meets these scores, which have `shape`, as [h or 1, q or 1, k or 1]."""
        return layout.cells(tensor, shape, self.layout, self.shape)

    def times(self, factor: float | Tensor) -> Scores:
        """The scores times a number, or times a number a head [h, 1, 1]."""
        terms = tuple((term, weight * factor) for term, weight in self.terms)
        if isinstance(factor, Tensor):
            q = self.q * factor.to(self.q.dtype)
            return self.unknown() if self.softcap is not None else replace(self, q=q, terms=terms)
        if self.softcap is not None:
            return replace(self, softcap=self.softcap * factor, scale=self.scale * factor, terms=terms)
        return replace(self, scale=self.scale * factor, terms=terms)

    def capped(self) -> Scores:
        """tanh of the scores."""
        changed = self.terms or self.dropped or self.erased or self.softcap is not None
        return self.unknown() if changed else replace(self, softcap=1.0)

    def plus(self, term: Tensor | None, weight: float = 1.0) -> Scores:
        return self.unknown() if term is None else replace(self, terms=(*self.terms, (term, weight)))

    def without(self, cells: Tensor | None) -> Scores:
        return self.unknown() if cells is None else replace(self, dropped=(*self.dropped, cells))

    def unknown(self) -> Scores:
        """The scores after an operator that is not read; what was added before it is in there somewhere."""
        return replace(self, terms=(), dropped=(), erased=(), softcap=None, opaque=True)

    def with_keys_on(self, axis: int) -> Scores | None:
        """With q and k told apart by the axis of the softmax: the keys are on it, whole."""
        _, rows, columns = self.shape
        along = self.layout[axis]
        if along == layout.contiguous((columns,))[0]:
            return self
        if along != (((rows, columns),) if rows > 1 else ()):
            return None

        def swapped(cells: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(part.transpose(1, 2) for part in cells)

        return replace(
            self, q=self.k, k=self.q, factors=self.factors[::-1],
            layout=layout.transposed(self.layout, rows, columns), dropped=swapped(self.dropped),
            terms=tuple((term.transpose(1, 2), weight) for term, weight in self.terms), erased=swapped(self.erased),
        )  # fmt: skip

    def with_heads_apart(self, projection: tuple[int, Tensor | None] | None) -> Scores | None:
        """With heads that were merged into the rows of the product (one einsum over groups, keys that all heads share)
        told from the queries; q and k are told apart already. None where it cannot be told.

        projection: how many vectors the queries were projected from, and the product [·, d] itself, where they are known.
        """
        _, rows, k = self.shape
        positions, made = projection or (None, None)
        split = [layout.pieces(axis, self.shape) for axis in self.layout]
        if any(axis is None for axis in split):
            return None
        of_rows = [
            (at, piece) for at, axis in enumerate(split) for piece in axis if layout.kind(piece[1], self.shape) == 1
        ]
        if not of_rows or rows == positions:
            return self
        if len(of_rows) == 1 and positions is not None and 1 < positions < rows and rows % positions == 0:
            return self._folded(positions, made)
        axes = {at for at, _ in of_rows}
        if positions == 1 or (positions is None and self._one_query(axes, split)):
            return self._apart(split, [piece for _, piece in of_rows], (1, k))
        fits = self._axes_of_queries(axes, split, positions)
        if fits is None:
            return self
        found = []
        for at in fits:
            queries = [piece for axis, piece in of_rows if axis == at]
            others = [piece for axis, piece in of_rows if axis != at]
            if len(queries) != 1:
                return self if rows == k or not others else None
            found.append(self._apart(split, others, queries[0]) if others else self)
        if len(found) > 1:  # as many heads as queries, and nothing but their numbers tells which is which
            found = [each for each in found if made is not None and made_of(each.q, made)]
        return found[0] if len(found) == 1 else None

    def _apart(self, split: list[layout.Factors], others: list[tuple[int, int]], queries: tuple[int, int]) -> Scores:
        of_heads = [piece for axis in split for piece in axis if layout.kind(piece[1], self.shape) == 0]
        return self._regrouped(of_heads, sorted(others, key=_by_stride), queries)

    def _folded(self, positions: int, made: Tensor | None) -> Scores | None:
        """Heads and queries on one axis, in the order in which the queries are what was projected; None where they are not.

        As many rows may be those of two projections, one after the other: then there are more numbers than in one product.
        """
        _, rows, k = self.shape
        if made is None or self.q.numel() > made.numel():
            return self
        others = rows // positions
        outer = lambda size, inner: (size, inner * k)  # noqa: E731
        ways = [
            (outer(others, positions), (positions, k)),  # heads, then queries
            ((others, k), outer(positions, others)),
        ]
        for heads, queries in ways:
            of_rows = sorted([heads, queries], key=_by_stride)
            found = replace(self, layout=tuple(self._split(axis, of_rows) for axis in self.layout))._apart(
                [self._split(axis, of_rows) for axis in self.layout], [heads], queries
            )
            if made_of(found.q, made):
                return found
        return None

    def _split(self, axis: layout.Factors, of_rows: list[tuple[int, int]]) -> layout.Factors:
        """An axis with the factor of all rows taken apart."""
        _, rows, k = self.shape
        return tuple(piece for factor in axis for piece in (of_rows if factor == (rows, k) else [factor]))

    def _one_query(self, axes: set[int], split: list[layout.Factors]) -> bool:
        """Whether the axis before the keys has one query, and the rows are heads that share their keys."""
        _, rows, k = self.shape
        keys = next((at for at, axis in enumerate(split) if axis and axis[-1][1] == 1 and k > 1), len(split) - 1)
        return rows != k and keys > 0 and not split[keys - 1] and len(split) > 2

    def _axes_of_queries(self, axes: set[int], split: list[layout.Factors], positions: int | None) -> list[int] | None:
        """Of the axes that the rows are on, the one of the queries, or those it may be; None where all rows are queries.

        It has as many rows as there are positions, or keys; else the mask varies along it; else it is the last one.
        """
        _, rows, k = self.shape
        sizes = {
            at: math.prod(size for size, stride in split[at] if layout.kind(stride, self.shape) == 1) for at in axes
        }
        fits = [at for at in axes if sizes[at] == (k if positions is None else positions)]
        if positions is None and rows == k and not fits:
            return None
        if len(fits) == 1:
            return fits
        cells = [*(term for term, _ in self.terms), *self.dropped]
        masked = [at for at in fits or axes if any(self._varies(each, split[at]) for each in cells)]
        if len(masked) == 1:
            return masked
        return fits if fits and positions is not None else [max(fits or axes)]

    def _varies(self, cells: Tensor, along: layout.Factors) -> bool:
        """Whether cells [h or 1, q or 1, k or 1] differ along one factor of the rows."""
        if cells.shape[1] == 1 or len(along) != 1:
            return False
        size, stride = along[0]
        inner = stride // self.shape[2]
        parts = cells.reshape(cells.shape[0], -1, size, inner, cells.shape[2])
        return not torch.equal(parts, parts[:, :, :1].expand_as(parts))

    def _regrouped(
        self, heads: list[tuple[int, int]], others: list[tuple[int, int]], queries: tuple[int, int]
    ) -> Scores:
        """Heads [h], then those among the rows, then the queries: q, k, terms, masks and the layout brought to that order."""
        h, rows, k = self.shape
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
        strides |= {old: old for _, old in heads} | {old: old for axis in self.layout for _, old in axis if old < k}
        return replace(
            self, q=turned(self.q), k=self.k.repeat_interleave(rows // n, 0),
            layout=layout.renamed(self.layout, self.shape, strides),
            terms=tuple((all_heads(term), self._weight_of_heads(weight, rows // n)) for term, weight in self.terms),
            dropped=tuple(map(all_heads, self.dropped)), erased=tuple(map(all_heads, self.erased)),
        )  # fmt: skip

    @staticmethod
    def _weight_of_heads(weight: float | Tensor, times: int) -> float | Tensor:
        many = isinstance(weight, Tensor) and weight.shape[0] > 1
        return weight.repeat_interleave(times, 0) if many else weight


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


@dataclass(frozen=True, eq=False)
class Weights:
    """The result of a softmax; `call` is None where its scores could not be followed, or where it read none (`of_scores`)."""

    call: AttentionCall | None
    layout: layout.Layout = ()
    of_scores: bool = True


@dataclass(frozen=True, eq=False)
class Context:
    """weights · v, in any order of its axes."""

    call: AttentionCall


@dataclass(frozen=True, eq=False)
class Output:
    """context · W_O, before its bias."""

    call: AttentionCall


def number(value: object) -> float | None:
    """A number, or a tensor that is one."""
    if isinstance(value, int | float):
        return float(value)
    return float(value.item()) if isinstance(value, Tensor) and value.numel() == 1 else None


def unscaled(tensor: Tensor, note: object) -> tuple[Tensor, float]:
    """A factor before it was multiplied by a number, and the number."""
    return (tensor / note.factor, note.factor) if isinstance(note, Scaled) else (tensor, 1.0)
