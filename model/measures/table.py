"""The table of all measures, one row a head, and the role that a head's largest share gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from model.measures.head_statistics import HeadStatistics, trace_statistics
from model.measures.registry import ROLES, TABLE
from model.trace.site import Site

if TYPE_CHECKING:
    from pandas import DataFrame

    from model.trace.trace import Trace

COLUMNS = tuple(measure.column for measure in TABLE)  # after `site` and `head`
LEAST = 0.5  # a role is named where at least this much of the attention goes to it


def table(trace: Trace, statistics: Mapping[Site, HeadStatistics] | None = None) -> DataFrame:
    """One row a head in the order of the computation; NaN where a measure does not apply. Ticks "measures".

    site, head; then every measure of `model.measures.registry`, in its unit: entropy in nats, distances in tokens
    (positive looks back), shares of the attention from 0 to 1.
    statistics: `trace_statistics` with the costly ones, where they are known already.
    """
    import pandas as pd

    statistics = trace_statistics(trace, costly=True) if statistics is None else statistics
    parts = []
    for site, measured in statistics.items():
        heads = trace.record(site).heads
        nothing = [float("nan")] * heads
        numbers = {
            measure.column: measured.values[measure.name].tolist() if measure.name in measured.values else nothing
            for measure in TABLE
        }
        parts.append(pd.DataFrame({"site": str(site), "head": range(heads), **numbers}))
    return pd.concat(parts, ignore_index=True)


def roles(statistics: HeadStatistics) -> list[tuple[str, float] | None]:
    """(name, share) of each head of a sub-layer: the kind of key that most of its attention goes to; see `role`."""
    known = {name: statistics.values[name].tolist() for name in ROLES if name in statistics.values}
    return [role({name: values[head] for name, values in known.items()}) for head in range(len(statistics.received))]


def role(row: Mapping[str, float]) -> tuple[str, float] | None:
    """(name, share) of the kind of key that most of a head's attention goes to, None below `LEAST`."""
    known = {name: row[name] for name in ROLES if row.get(name, float("nan")) >= LEAST}
    return max(known.items(), key=lambda item: item[1]) if known else None
