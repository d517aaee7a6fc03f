"""The joint matrix of an encoder–decoder as the frame of its component, and as a chart for a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from model.attention.joint_matrix import KINDS, Part, bins, kind_of, whole
from model.trace.site import Site
from viz.base import tokens
from viz.base.cell_states import states
from viz.base.payload import pack

if TYPE_CHECKING:
    import altair as alt

    from model.trace.trace import Trace


def labels(trace: Trace, part: Part, query: bool) -> list[tokens.Label]:
    """What stands along one side of a block: its tokens, or the places of its bins."""
    found = tokens.query_labels(trace, part.site) if query else tokens.key_labels(trace, part.site)
    step = part.step[0 if query else 1]
    if step == 1:
        return found
    runs = bins(len(found), step)
    return [{"text": f"{run.start}–{run.stop - 1}" if run.stop - run.start > 1 else str(run.start), "kind": "word"}
            for run in runs]  # fmt: skip


def cell(part: Part, row: int, column: int) -> tuple[int, int]:
    """The cell or bin of a block that holds a pair of tokens."""
    return row // part.step[0], column // part.step[1]


def joint_frame(
    trace: Trace, parts: Mapping[str, Part], selected: tuple[Site, int, int], titles: Mapping[str, str], end: float,
    legend: str, words: dict[str, str],
) -> bytes:  # fmt: skip
    """The three blocks with their titles; `selected` is (site, query, key), `end` has the darkest colour."""
    site, row, column = selected
    at = cell(parts[kind_of(site)], row, column)
    blocks = [
        {
            "name": kind, "title": titles[kind], "rows": labels(trace, part, True), "columns": labels(trace, part, False),
            "row_side": part.site.query_side, "column_side": part.site.key_side, "pooled": max(part.step) > 1,
        }
        for kind, part in parts.items()
    ]  # fmt: skip
    arrays = {}
    for kind, part in parts.items():
        values = part.weights.numpy().astype(np.float32)
        arrays[kind], arrays[f"{kind}_state"] = values, states(values, part.allowed.numpy(), high=end)
    header = {
        "blocks": blocks,
        "selection": {"block": kind_of(site), "row": at[0], "column": at[1]},
        "end": end,
        "legend": legend,
        "words": words,
    }
    return pack(header, **arrays)


def static(
    trace: Trace, parts: Mapping[str, Part], end: float, titles: tuple[str, str, str]
) -> alt.LayerChart | alt.Chart:
    """The joint matrix for a file; cells that are never attended carry ×."""
    from viz.base.static_chart import heat_map

    values = whole(parts).numpy()
    n = parts["encoder"].weights.shape[0]
    allowed = np.zeros(values.shape, bool)
    allowed[:n, :n], allowed[n:, :n], allowed[n:, n:] = (parts[kind].allowed.numpy() for kind in KINDS)
    rows = [item["text"] for item in (*labels(trace, parts["encoder"], True), *labels(trace, parts["decoder"], True))]
    columns = [
        item["text"] for item in (*labels(trace, parts["encoder"], False), *labels(trace, parts["decoder"], False))
    ]
    return heat_map(np.nan_to_num(values), rows, columns, 0.0, end, allowed, titles)
