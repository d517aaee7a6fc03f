"""Annotations of tensors between q · kᵀ and W_O (scaled, scores, weights, context, output), which `tracker` hands on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.instrumentation.operators import layout
from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.recorder import Frame
from model.trace.mask_and_bias import is_masked

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
    `opaque`: they passed an operator that is none of these; terms and masks are those after it. `learned`: q is a parameter:
    learned queries, or a layer that has its matrix on the left. `known`: of opaque scores what they were before that. sinks
    [h]: the score beside each row's whose weight is left out. inner: which axis of each factor the product added up.
    `normalised`: opaque ones met numbers of whole rows (a sum).
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
    learned: bool = False
    owner: Frame | None = None
    known: Scores | None = None
    sinks: Tensor | None = None
    inner: tuple[int, int] = (-1, -2)
    normalised: bool = False

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
        rows = any(term.shape[2] == 1 < min(term.shape[1], self.k.shape[1]) for term, _ in self.terms)
        return replace(
            self, terms=(), dropped=(), erased=(), softcap=None, opaque=True, known=self.known if self.opaque else self,
            normalised=self.normalised or rows,
        )  # fmt: skip

    def without_row_terms(self) -> tuple[Scores, Tensor | None]:
        """Without what was added to whole rows (their maximum, taken off), which no softmax sees; and what that was in all."""
        rows = [part for part in self.terms if self._of_rows(part[0])]
        if self.opaque or not rows:
            return self, None
        kept = tuple(part for part in self.terms if not any(part is each for each in rows))
        return replace(self, terms=kept), sum(term * weight for term, weight in rows)

    def _of_rows(self, term: Tensor) -> bool:
        """Whether a term is alike for all keys of a row, and masks none."""
        return term.shape[2] == 1 < self.k.shape[1] and bool(term.isfinite().all()) and not bool(is_masked(term).any())

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
            self, q=self.k, k=self.q, factors=self.factors[::-1], inner=self.inner[::-1],
            layout=layout.transposed(self.layout, rows, columns), dropped=swapped(self.dropped),
            terms=tuple((term.transpose(1, 2), weight) for term, weight in self.terms), erased=swapped(self.erased),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Weights:
    """The result of a softmax; `call` is None where its scores could not be followed, or where it read none (`of_scores`).

    altered: they were changed since, cell by cell.
    """

    call: AttentionCall | None
    layout: layout.Layout = ()
    of_scores: bool = True
    altered: bool = False


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


def scaled(note: object, tensor: object, value: object, divides: bool) -> Scaled | None:
    """The note of a tensor times a number, or over it; None where it is anything else."""
    factor = number(value)
    if not factor or not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        return None
    factor = 1 / factor if divides else factor
    if isinstance(note, Scaled):
        return Scaled(note.factor * factor)
    return Scaled(factor) if note is None else None


def unscaled(tensor: Tensor, note: object) -> tuple[Tensor, float]:
    """A factor before it was multiplied by a number, and the number."""
    factor = note.factor if isinstance(note, Scaled) else 1.0
    if isinstance(note, Scores) and note.learned and not note.opaque:  # what a layer made, times a number
        factor = note.scale
    return (tensor / factor, factor) if factor != 1 else (tensor, 1.0)


def turned(note: object) -> Scores | Weights | None:
    """The note of scores or weights whose last two axes are exchanged."""
    if not isinstance(note, Scores | Weights):
        return None
    return replace(note, layout=(*note.layout[:-2], *note.layout[:-3:-1]))
