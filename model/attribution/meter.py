"""The meter: may one believe a method here? Edges of this very run are knocked out, and each method is asked to have ranked them.

Edges are drawn over the range of weights, 0.02 to 0.98, from all heads; each is hidden in a real run, its row sharing the rest.
A method's figure is the rank correlation (Spearman) of |what it says| with |the true change of the number|, with a bootstrap
interval over the edges. It says how well a picture ranks edges of this run, not what a head is for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.attribution.attribution import explain
from model.attribution.heads_off import every_head
from model.attribution.metric import Metric
from model.attribution.registry import METHODS
from model.errors import HeadlightError
from model.jobs.progress import tick
from model.trace.site import Site
from model.trace.trace import Trace

EDGES, DRAWS, LEAST = 120, 1000, 8
LOWEST, HIGHEST = 0.02, 0.98  # a weight of nearly 1 is no edge among others, one of nearly 0 changes nothing
WEIGHT = "weight"  # the attention weight itself, which every method is held beside
_SLOW = ("value_zeroing",)  # methods that take runs of their own for every head


@dataclass(frozen=True)
class Edge:
    site: Site
    head: int
    query: int
    key: int
    weight: float


@dataclass(frozen=True)
class Reading:
    """A method's rank correlation with the true changes, and its 95 % bootstrap interval; NaN where either is constant."""

    name: str
    correlation: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Meter:
    """edges: those that were knocked out; changes: of the number, [edges]; readings: of every method that could be asked."""

    metric: Metric
    edges: tuple[Edge, ...]
    changes: np.ndarray
    readings: tuple[Reading, ...]


def draw(trace: Trace, count: int = EDGES, seed: int = 0) -> list[Edge]:
    """At most `count` edges of all heads, as many from each tenth of the weights between `LOWEST` and `HIGHEST`."""
    found: list[Edge] = []
    for site, head in every_head(trace):
        weights = trace.weights(site, head)
        for i, j in ((weights > LOWEST) & (weights < HIGHEST)).nonzero().tolist():
            found.append(Edge(site, head, i, j, float(weights[i, j])))
    random = np.random.default_rng(seed)
    order = sorted((found[place] for place in random.permutation(len(found))), key=lambda edge: edge.weight)
    parts = np.array_split(np.arange(len(order)), 10)
    drawn = [int(place) for part in parts for place in random.permutation(part)[: -(-count // 10)]]
    return [order[place] for place in sorted(drawn)[:count]]


def measured(
    model: Any, trace: Trace, metric: Metric, methods: Iterable[str] | None = None, count: int = EDGES, seed: int = 0
) -> Meter:
    """Knock the edges out and ask every method. methods: all that speak of edges and need no runs of their own.

    Ticks "runs" and can be stopped. Raises NotEditable or NotInThisModel where a run cannot be made again, ValueError for a run
    with fewer than `LEAST` edges between the bounds.
    """
    edges = draw(trace, count, seed)
    if len(edges) < LEAST:
        raise ValueError(f"{len(edges)} edges have a weight between {LOWEST} and {HIGHEST}")
    plain, changes = metric.value(trace), []
    for done, edge in enumerate(edges):
        tick("runs", done / len(edges))
        edit = f"hide:{edge.site}.{edge.head}:q{edge.query}:k{edge.key}"
        changes.append(metric.value(model.again(trace, [edit])) - plain)
    known = np.array(changes)
    said = {WEIGHT: np.array([edge.weight for edge in edges])}
    for name in methods if methods is not None else (name for name in METHODS if name not in _SLOW):
        values = _said(name, model, trace, metric, edges)
        if values is not None:
            said[name] = values
    readings = [reading(name, np.abs(values), np.abs(known), seed) for name, values in said.items()]
    return Meter(metric, tuple(edges), known, tuple(readings))


def _said(name: str, model: Any, trace: Trace, metric: Metric, edges: list[Edge]) -> np.ndarray | None:
    """What a method says of each edge, None of one that speaks of no edges or cannot be asked here."""
    try:
        found = explain(model, trace, name, metric)
        if found.parts.cells is None:
            return None
        return np.array([float(found.weights(edge.site, edge.head, edge.query, edge.key)) for edge in edges])
    except HeadlightError:
        return None


def reading(name: str, said: np.ndarray, known: np.ndarray, seed: int = 0) -> Reading:
    """Spearman's correlation of two rows of numbers, and its percentile bootstrap interval."""
    random, draws = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        rows = random.integers(0, len(known), len(known))
        draws.append(correlation(said[rows], known[rows]))
    low, high = np.nanquantile(draws, [0.025, 0.975]) if np.isfinite(draws).any() else (np.nan, np.nan)
    return Reading(name, correlation(said, known), float(low), float(high))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's: Pearson's of the ranks, ties sharing theirs; NaN where either is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(each) - (len(each) + 1) / 2 for each in (one, other)]
    sizes = [float(each @ each) for each in ranks]
    return float(ranks[0] @ ranks[1]) / (sizes[0] * sizes[1]) ** 0.5 if all(sizes) else float("nan")
