"""Parallel coordinates: a line a head across axes of measures; brushing an axis leaves the heads that pass through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from model.measures.registry import TABLE
from viz.base import palette
from viz.plotly_figures import checks, style
from viz.plotly_figures.notebook import for_notebook

if TYPE_CHECKING:
    from pandas import DataFrame

    from model.trace.trace import Trace

Range = tuple[float, float]
_SHARES = {measure.column for measure in TABLE if measure.bounds == (0.0, 1.0)}
SITE = "site"  # the name of the axis of sub-layers
# Where a measure does not apply a line passes the foot of the axis, this part of its length under the least value.
_BELOW = 0.12
_INK_STARTS = {"light": 0.5, "dark": 0.72}  # a line of one px is seen at 3.5 : 1 on white, at 6 : 1 on black
_AXIS = 70.0  # px from one axis to the next
_LETTERS = 9  # of an axis' name in one line
_HEIGHT = 420.0
_LINE, _ROOM = 12, 330  # px: of a name, and of an axis


@dataclass(frozen=True)
class Axes:
    """What the axes of the figure are called.

    measures: a name for each column of the table. layer: of the colours. rows: the names of the sub-layers, in the order of
    the computation, which are the first axis under `site`. none: marks an axis at whose foot pass the heads to which its measure
    does not apply.
    """

    measures: Mapping[str, str]
    rows: Mapping[str, str]
    site: str = "sub-layer"
    layer: str = "layer"
    none: str = "∅"


def measures_figure(trace: Trace, theme: str = "light") -> go.Figure:
    """All measures of all heads of a run as parallel coordinates: a line a head, an axis a measure in its own unit.

    An axis marked ∅ has heads at its foot, below every value, to which the measure does not apply.
    Dragging along an axis leaves the heads whose value lies in that range; several axes are brushed at once. The title says
    how the run checks. The colour is the layer. Raises UnknownOption for a theme that is not "light" or "dark".
    """
    style.known(theme)
    table = trace.statistics()
    names = {measure.column: measure.column.replace("_", " ") for measure in TABLE}
    figure = lines(table, Axes(names, {str(site): str(site) for site in trace.sites}), theme)
    top = figure.layout.margin.t + style.TITLE
    said = f"{trace.key.model} · {len(table)} heads in numbers · entropy in nats, distances in tokens"
    title = style.title(
        said,
        checks.run_check(trace),
        theme,
        "drag along an axis to keep the heads in that range; ∅: at the foot, not applicable",
    )
    figure.update_layout(title=title, margin={"t": top}, height=figure.layout.height + style.TITLE)
    return for_notebook(figure, trace.key.model, "measures")


def lines(
    table: DataFrame, axes: Axes, theme: str, ranges: Mapping[str, Sequence[Range]] = MappingProxyType({})
) -> go.Figure:
    """The heads of `Trace.statistics` as lines, over every measure that applies to any. ranges: what is brushed."""
    layers = np.array([int(site.split(".")[1]) for site in table["site"]])
    ends = _ends(table, axes)
    placed = places(table, axes)
    dimensions = [
        go.parcoords.Dimension(label=_label(name, axes, table), values=placed[name], range=list(ends[name]), name=name,
                               tickformat=".3~g", constraintrange=_brushed(ranges.get(name, ())))
        for name in placed
    ]  # fmt: skip
    # With texts at its ticks an axis takes whole sub-layers only; measures are brushed freely.
    dimensions[0].update(tickvals=list(range(len(axes.rows))), ticktext=_row_names(axes))
    last = int(layers.max(initial=0))
    ticks = sorted({round(i * last / 4) for i in range(5)})
    bar = style.colour_bar(axes.layer, tickvals=ticks, x=1.02, len=1.0, tickformat="d")
    scale = [[i / 8, colour] for i, colour in enumerate(_inks(theme))]
    hidden = {"size": 1, "color": "rgba(0,0,0,0)"}  # the ends of the axes, which are no values
    drawn = go.Parcoords(
        dimensions=dimensions, line={"color": layers, "colorscale": scale, "cmin": 0, "cmax": max(1, last), "colorbar": bar,
                                     "showscale": last > 0},
        unselected={"line": {"color": style.GRID[theme], "opacity": 0.35}}, labelside="top", labelangle=0,
        labelfont={"size": 12}, tickfont={"size": 11, "family": style.FONT}, rangefont=hidden,
    )  # fmt: skip
    margin = {"l": max(40, min(160, style.length(list(axes.rows.values()), 10.5) + 14)), "r": 20, "t": 66, "b": 20}
    width = margin["l"] + margin["r"] + _AXIS * (len(placed) - 1) + 110
    return go.Figure(drawn).update_layout(style.layout(theme, width, _HEIGHT, margin=margin))


def _brushed(ranges: Sequence[Range]) -> list[list[float]] | list[float] | None:
    """As plotly has it: one range is not in a list of its own."""
    parts = [list(part) for part in ranges]
    return parts[0] if len(parts) == 1 else parts or None


def places(table: DataFrame, axes: Axes) -> dict[str, np.ndarray]:
    """Where each head's line crosses each axis: its sub-layer's number, its measures, the foot where one does not apply."""
    order = {site: place for place, site in enumerate(axes.rows)}
    found = {SITE: table["site"].map(order).to_numpy(float)}
    for column in axes.measures:
        values = table[column].to_numpy(float)
        if np.isfinite(values).any():
            found[column] = np.where(np.isfinite(values), values, _foot(column, values))
    return found


def kept(table: DataFrame, axes: Axes, ranges: Mapping[str, Sequence[Range]]) -> list[int]:
    """The rows of the table whose line passes through one of the brushed ranges of every brushed axis."""
    inside = np.ones(len(table), bool)
    placed = places(table, axes)
    for name, parts in ranges.items():
        if name in placed and parts:
            inside &= np.logical_or.reduce([(low <= placed[name]) & (placed[name] <= high) for low, high in parts])
    return np.flatnonzero(inside).tolist()


def _span(column: str, values: np.ndarray) -> Range:
    """The values that an axis has room for: 0 to 1 of a share, else from the least to the largest that is there."""
    if column in _SHARES:
        return 0.0, 1.0
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _foot(column: str, values: np.ndarray) -> float:
    low, high = _span(column, values)
    return low - _BELOW * (high - low) if np.isnan(values).any() else low


def _ends(table: DataFrame, axes: Axes) -> dict[str, Range]:
    """The bottom and the top of each axis."""
    found = {SITE: (0.0, max(1.0, len(axes.rows) - 1.0))}
    for column in axes.measures:
        values = table[column].to_numpy(float)
        if np.isfinite(values).any():
            found[column] = (_foot(column, values), _span(column, values)[1])
    return found


def _row_names(axes: Axes) -> list[str]:
    """A text for every sub-layer, of which as many are seen as have room: plotly wants texts that differ."""
    names = list(axes.rows.values())
    step = -(-len(names) * _LINE // _ROOM)
    return [name if place % step == 0 else "\u200b" * place for place, name in enumerate(names)]


def _inks(theme: str) -> list[str]:
    """The scale of weights without its beginning, which is the page: a thin line of any layer can be seen."""
    table, start = palette.sequential(theme), _INK_STARTS[theme]
    return [table[round((start + (1 - start) * i / 8) * (len(table) - 1))] for i in range(9)]


def _label(name: str, axes: Axes, table: DataFrame) -> str:
    """An axis' name in at most two lines, marked where its foot is of heads to which the measure does not apply."""
    if name == SITE:
        return axes.site
    words = axes.measures[name].split(" ")
    if table[name].isna().any():
        words.append(axes.none)
    if style.letters(" ".join(words)) <= _LETTERS or len(words) == 1:
        return " ".join(words)
    cut = min(
        range(1, len(words)), key=lambda i: max(style.letters(" ".join(words[:i])), style.letters(" ".join(words[i:])))
    )
    return f"{' '.join(words[:cut])}<br>{' '.join(words[cut:])}"
