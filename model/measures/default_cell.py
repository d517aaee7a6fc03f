"""The cell of a head that is selected where nobody has chosen one."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace

_WORTH = 0.2  # a weight above this is worth showing
_FIRST = itemgetter(0)


def first_cell(trace: Trace, site: Site | str, head: int, after: str = "") -> tuple[int, int]:
    """The cell that is selected where nobody has: the strongest, the first row aside (it often has no choice).

    In self-attention a weight on the first token, on a special one or on the query itself is a habit of most heads: the
    strongest of the others is taken where there is one worth showing.

    after: a token; where the text holds it, only rows behind its first occurrence count, and keys before it.
    """
    from model.attention.rows import in_blocks  # a page begins without torch

    record = trace.record(site)
    best = other = (-1.0, 0, 0)
    for rows, weights in in_blocks(record, head):
        weights = _behind(trace, record.site, weights, after, rows.start)
        if record.queries > 2 and rows.start == 0:
            weights = np.concatenate([np.zeros_like(weights[:1]), weights[1:]])
        best = max(best, _largest(weights, rows.start), key=_FIRST)
        if record.site.kind == "self":
            others = elsewhere(trace, record.site, weights, 0, rows.start)
            other = max(other, _largest(others, rows.start), key=_FIRST)
    return (other if other[0] > _WORTH else best)[1:]


def _largest(weights: np.ndarray, start: int) -> tuple[float, int, int]:
    """(weight, query, key) of rows that begin with query `start`."""
    row, column = divmod(int(weights.argmax()), weights.shape[1])
    return float(weights[row, column]), start + row, column


def _behind(trace: Trace, site: Site, weights: np.ndarray, after: str, start: int) -> np.ndarray:
    """Weights of the rows behind the token `after` on the keys before it; all of them where there is no such token.

    start: which query the first row is.
    """
    texts = list(trace.side(site.key_side).texts)
    at = texts.index(after) if site.kind == "self" and after in texts else 0
    if not 0 < at < len(texts) - 1:
        return weights
    found, first = np.zeros_like(weights), max(0, at + 1 - start)
    found[first:, :at] = weights[first:, :at]
    return found


def elsewhere(trace: Trace, site: Site, weights: np.ndarray, near: int, start: int = 0) -> np.ndarray:
    """Self-attention weights without those on the first token, on special ones and up to `near` places from the query.

    start: which query the first row is.
    """
    i, j = np.indices(weights.shape, sparse=True)
    i = i + start
    habit = (np.abs(i - j) <= near) | np.array(trace.side(site.key_side).special) | (j == 0)
    return np.where(habit, np.float32(0), weights)
