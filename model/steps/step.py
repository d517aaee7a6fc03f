"""Data types of a head's arithmetic: matrices, steps from one to the next, and one cell written out."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

# As many queries or keys as are written out of a long text: those around the selected one.
WINDOW = 48
# Up to here the steps hold every query: beyond, scores of all rows and heads would take seconds to make.
WHOLE = 256


def window(total: int, at: int, size: int = WINDOW) -> slice:
    """`size` places that hold `at`, or all of fewer."""
    start = min(max(0, at - size // 2), max(0, total - size))
    return slice(start, min(total, start + size))


@dataclass(frozen=True, eq=False)
class Matrix:
    """float64 [rows, columns] with what its axes are: "query", "key", "dim" or None; `masked` marks dead cells."""

    symbol: str
    values: Tensor
    rows: str | None = None
    columns: str | None = None
    masked: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """`operands` are matrices and operators in reading order; `error` is max |recomputed − recorded|, where recorded, and
    `limit` how large `model.trace.fidelity` allows that to be."""

    key: str
    latex: str
    operands: tuple[Matrix | str, ...]
    result: Matrix
    error: float | None = None
    product: tuple[str, str] | None = None  # symbols of the two operands whose matrix product `result` is
    start: int = 0  # the query that the first row of the step's "query" matrices belongs to
    limit: float = 0.0


@dataclass(frozen=True)
class WeightDerivation:
    """One weight, written out: Σ terms = product; product · scale (+ bias) = scaled; exp(score − lse) = weight.

    capped: the scaled score after the soft cap, None without one. added: the position bias B. score = capped or scaled,
    + added. sink: the score whose weight is dropped, None without one; row_sum counts it.
    """

    terms: tuple[tuple[float, float], ...]
    product: float
    scale: float
    bias: float
    score: float
    allowed: bool
    row_scores: tuple[float, ...]
    row_sum: float
    row_max: float
    weight: float
    scaled: float = 0.0
    capped: float | None = None
    added: float = 0.0
    sink: float | None = None


def verbatim(name: object) -> str:
    """A name as LaTeX's text mode reads it: the underscores of a foreign module's stacks are none of its commands."""
    return str(name).replace("_", r"\_")
