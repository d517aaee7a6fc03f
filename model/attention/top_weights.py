"""The largest attention weights of a head as a list of lines, and the share that they leave out, at any length.

Of a head of n tokens there are n² lines; nobody sees more than some thousands. A rule says which are asked for: those of
at least some weight, or of each row the fewest that together hold some share of it. They are found in blocks of rows,
in float64, and never is a matrix of the head's length held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.attention.rows import blocks
from model.errors import UnknownOption
from model.jobs.progress import tick
from model.trace.attention_record import AttentionRecord

MOST = 6000
KINDS = ("share", "least")


@dataclass(frozen=True)
class Rule:
    """kind "share": of each row the fewest lines that hold `value` of it; "least": every line of weight `value` or more."""

    kind: str
    value: float

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UnknownOption(what="Rule", got=self.kind, allowed=", ".join(KINDS))


@dataclass(frozen=True, eq=False)
class Lines:
    """rows, columns int32 [L], weights float64 [L], the strongest first: at most as many as were allowed.

    asked: how many the rule asks for; cells: how many the mask leaves; held: Σ weights listed; mass: Σ of all weights of
    these rows (one a row, less what a sink takes).
    """

    rows: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    asked: int
    cells: int
    held: float
    mass: float


def strong_lines(
    record: AttentionRecord, head: int, rule: Rule, most: int = MOST, rows: slice = slice(None), columns: slice = slice(None)
) -> Lines:  # fmt: skip
    """The lines of one head that `rule` asks for, the `most` strongest of them; ticks "lines".

    rows, columns: the window that is looked at; shares are of whole rows, whatever part of them the window has.
    """
    inside = range(*columns.indices(record.keys))
    first, last, _ = rows.indices(record.queries)
    found, asked, cells, mass = _nothing(), 0, 0, 0.0
    for here, start, block in blocks(record, head, rows):
        tick("lines", (here.start - first) / max(1, last - first))
        weights = block.numpy()
        mass += float(weights.sum())
        keys = slice(max(start, inside.start) - start, max(0, min(start + weights.shape[1], inside.stop) - start))
        kept = lines_of_rule(weights, rule)[:, keys]
        cells += int(record.allowed(here, columns).sum())
        i, j = np.nonzero(kept)
        asked += len(i)
        each = weights[:, keys][i, j]
        found = _strongest(
            tuple(np.concatenate(pair) for pair in zip(found, (i + here.start, j + keys.start + start, each), strict=True)),
            most,
        )  # fmt: skip
    order = np.lexsort((found[1], found[0], -found[2]))
    i, j, weights = (part[order] for part in found)
    return Lines(i.astype(np.int32), j.astype(np.int32), weights, asked, cells, float(weights.sum()), mass)


def lines_of_rule(weights: np.ndarray, rule: Rule) -> np.ndarray:
    """The lines that a rule selects, bool [rows, keys]; weights [rows, keys] are whole rows. Among equals the first."""
    if rule.kind == "least":
        return (weights >= rule.value) & (weights > 0)
    falling = -np.sort(-weights, axis=-1)
    held = np.cumsum(falling, axis=-1)
    # A sum may fall short of its share by rounding alone.
    count = (held < (rule.value - 1e-12) * weights.sum(-1, keepdims=True)).sum(-1, keepdims=True) + 1
    count = np.minimum(count, (weights > 0).sum(-1, keepdims=True))
    least = np.take_along_axis(falling, np.maximum(count - 1, 0), axis=-1)
    above = weights > least
    equal = (weights == least) & (weights > 0)
    left = count - above.sum(-1, keepdims=True)
    return above | (equal & (np.cumsum(equal, axis=-1) <= left))


def _nothing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)


def _strongest(found: tuple[np.ndarray, ...], most: int) -> tuple[np.ndarray, ...]:
    """The `most` largest by the last of the arrays."""
    if len(found[2]) <= most:
        return found
    keep = np.argpartition(-found[2], most - 1)[:most] if most else np.zeros(0, np.int64)
    return tuple(part[keep] for part in found)
