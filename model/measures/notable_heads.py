"""The heads of a run that one looks at first: the sharpest, and the one that reads the token before most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.measures.cross_alignment import agreement_of_heads, gold
from model.measures.head_statistics import trace_statistics
from model.trace.per_trace import PerTrace
from model.trace.site import Site

if TYPE_CHECKING:
    from model.trace.trace import Trace

# Weights of a run whose heads are compared without being asked for: a tenth of a second.
MOST = 1_000_000
# Measure -> whether the largest of a run is meant, or the smallest.
_MEASURES = {"entropy": False, "previous": True}
# Of fewer rows with more than one key to choose from nothing is said: where there is one key, the entropy is 0 by necessity.
CHOICES = 3
# A share on the token before that is smaller is no habit, though some head has the largest.
LEAST_PREVIOUS = 0.25

_known: PerTrace[tuple[NotableHead, ...]] = PerTrace()


@dataclass(frozen=True)
class NotableHead:
    """A head that is first of its run by a measure: `measure` of `model.measures.registry`, and its number in that unit."""

    measure: str
    site: Site
    head: int
    value: float


def notable_heads(trace: Trace) -> tuple[NotableHead, ...]:
    """The head of the smallest mean entropy (nats) and that with the largest share on the previous token, of at least a quarter.

    Only heads with `CHOICES` rows or more that may attend several keys are ranked.
    () where the run has more than `MOST` weights: every one of them is asked.
    """
    if sum(record.heads * record.queries * record.keys for record in trace.attention.values()) > MOST:
        return ()
    return _known.get(trace, "heads", lambda: _found(trace))


def best_aligned(trace: Trace) -> NotableHead | None:
    """The cross-attention head whose strongest keys are the gold ones in most rows of this run, of equals the one that gives them
    most weight; None where no alignment is known, and where the run has more than `MOST` weights."""
    if sum(record.heads * record.queries * record.keys for record in trace.attention.values()) > MOST:
        return None
    known = gold(trace)
    if known.missing or not any(known.rows):
        return None
    found = agreement_of_heads(trace, known.rows)

    def rank(place: tuple[Site, int]) -> tuple[float, float]:
        right, counted = found[place]
        weights = trace.record(place[0]).weights(place[1])
        return right / counted, sum(float(weights[t, list(row)].sum()) for t, row in enumerate(known.rows) if row)

    site, head = max(found, key=rank)
    return NotableHead("alignment", site, head, rank((site, head))[0])


def _found(trace: Trace) -> tuple[NotableHead, ...]:
    measured, found = trace_statistics(trace), []
    for name, largest in _MEASURES.items():
        known = [
            (float(value), site, head)
            for site, each in measured.items()
            if name in each.values and int((trace.record(site).allowed().sum(1) > 1).sum()) >= CHOICES
            for head, value in enumerate(each.values[name].tolist())
            if value == value
        ]
        if known:
            value, site, head = max(known, key=lambda told: told[0] if largest else -told[0])
            if name != "previous" or value >= LEAST_PREVIOUS:
                found.append(NotableHead(name, site, head, value))
    return tuple(found)
