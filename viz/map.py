"""What the map component is given: how long the head is, where its tiles are, the tokens on both axes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from viz.base import tokens
from viz.base.payload import pack

if TYPE_CHECKING:
    import altair as alt

    from model.trace.site import Site
    from model.trace.trace import Trace

HEIGHT = 640
FILE = 96  # cells a side of the figure as a file
Area = tuple[int, int, int]


def area(link: str) -> Area | None:
    """ "q.k.cells" of the link -> (first query, first key, cells along the shorter side); None for the whole."""
    found = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})", link)
    return (int(found[1]), int(found[2]), max(1, int(found[3]))) if found else None


def map_frame(
    trace: Trace, site: Site, head: int, how: str, base: str, at: tuple[int, int] | None, shown: Area | None,
    words: dict[str, str],
) -> bytes:  # fmt: skip
    """No weights: they are fetched under `base` when they come into view."""
    from model.attention.tiles import depth

    record = trace.record(site)
    rows, columns = (
        [label["text"] for label in labels]
        for labels in (tokens.query_labels(trace, site), tokens.key_labels(trace, site))
    )
    return pack({
        "base": base, "head": head, "heads": record.heads, "how": how, "queries": record.queries, "keys": record.keys,
        "depth": depth(record.queries, record.keys), "rows": rows, "columns": columns,
        "square": site.kind == "self" and record.queries == record.keys, "max_height": HEIGHT,
        "selection": None if at is None else {"row": at[0], "column": at[1]},
        "area": None if shown is None else list(shown), "words": words,
    })  # fmt: skip


def part(shown: Area | None, queries: int, keys: int) -> tuple[slice, slice]:
    """The queries and keys in view."""
    if shown is None:
        return slice(0, queries), slice(0, keys)
    q, k, cells = shown
    return slice(min(q, queries - 1), min(queries, q + cells)), slice(min(k, keys - 1), min(keys, k + cells))


def in_view(trace: Trace, site: Site, head: int, shown: Area | None, how: str) -> tuple[np.ndarray, int, int]:
    """(values of at most `FILE` × `FILE` cells, tokens a cell down, tokens a cell across) of what is in view."""
    record = trace.record(site)
    rows, columns = part(shown, record.queries, record.keys)
    high, wide = (max(1, -(-(span.stop - span.start) // FILE)) for span in (rows, columns))
    found = []
    for start in range(rows.start, rows.stop, high):
        weights = record.weights(head, slice(start, min(start + high, rows.stop)))[:, columns].numpy()
        edges = np.arange(0, weights.shape[1], wide)
        if how == "max":
            found.append(np.maximum.reduceat(weights.max(0), edges))
        else:
            sizes = np.minimum(wide, weights.shape[1] - edges) * len(weights)
            found.append(np.add.reduceat(weights.sum(0), edges) / sizes)
    return np.stack(found), high, wide


def static_map(
    trace: Trace, site: Site, head: int, shown: Area | None, how: str, titles: tuple[str, str, str]
) -> alt.Chart | alt.LayerChart:
    """What is in view as a chart for a file; cells of several tokens are called by their first one's place."""
    from viz.base import static_chart

    record = trace.record(site)
    rows, columns = part(shown, record.queries, record.keys)
    values, high, wide = in_view(trace, site, head, shown, how)
    names = [
        [labels[i]["text"] if step == 1 else str(i) for i in range(span.start, span.stop, step)]
        for labels, span, step in (
            (tokens.query_labels(trace, site), rows, high), (tokens.key_labels(trace, site), columns, wide)
        )
    ]  # fmt: skip
    return static_chart.heat_map(values, *names, titles=titles)
