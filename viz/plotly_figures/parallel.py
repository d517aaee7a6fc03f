"""Parallel coordinates: a line a head across axes of measures; brushing an axis leaves the heads that pass through it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from model.measures.registry import TABLE
from viz.base import palette
from viz.plotly_figures import checks, style

if TYPE_CHECKING:
    from pandas import DataFrame

    from model.measures.measure import Measure
    from model.trace.trace import Trace

TABLE_COLUMNS = tuple(measure.column for measure in TABLE)
Range = tuple[float, float]
# Where a measure does not apply a line passes below the axis, this part of its length under the least value.
_BELOW = 0.12
_INK_STARTS = {"light": 0.4, "dark": 0.5}
_AXIS = 96.0  # px from one axis to the next
_LETTERS = 12  # of an axis' name in one line


@dataclass(frozen=True)
class Axes:
    """What the axes of the figure are called.

    measures: a name for each column of the table. layer: of the colours. rows: the names of the sub-layers, in the order of
    the computation, which are the first axis under `site`. none: below an axis, where a measure does not apply.
    """

    measures: Mapping[str, str]
    rows: Mapping[str, str]
    site: str = "sub-layer"
    layer: str = "layer"
    none: str = "none"


def measures_figure(trace: Trace, theme: str = "light") -> go.Figure:
    """All measures of all heads of a run as parallel coordinates: a line a head, an axis a measure in its own unit.

    Dragging along an axis leaves the heads whose value lies in that range; several axes are brushed at once. The title says
    how the run checks. The colour is the layer. Raises UnknownOption for a theme that is not "light" or "dark".
    """
    style.known(theme)
    table = trace.statistics()
    names = {measure.column: measure.column.replace("_", " ") for measure in TABLE}
    figure = lines(table, Axes(names, {str(site): str(site) for site in trace.sites}), theme)
    top = figure.layout.margin.t + style.TITLE
    said = f"{trace.key.model} · {len(table)} heads in numbers · entropy in nats, distances in tokens"
    title = style.title(said, checks.run_check(trace), theme, "drag along an axis to keep the heads in that range")
    return figure.update_layout(title=title, margin={"t": top}, height=figure.layout.height + style.TITLE)


def lines(
    table: DataFrame, axes: Axes, theme: str, columns: Sequence[str] | None = None,
    kept: Mapping[str, Sequence[Range]] | None = None,
) -> go.Figure:  # fmt: skip
    """The heads of `Trace.statistics` as lines. columns: which measures, those with any number unless told.

    kept: the ranges that are brushed already, by column.
    """
    layers = np.array([int(site.split(".")[1]) for site in table["site"]])
    order = {site: place for place, site in enumerate(axes.rows)}
    drawn = [column for column in (columns or axes.measures) if not table[column].isna().all()]
    known = {measure.column: measure for measure in TABLE}
    first = _dimension(
        axes.site, table["site"].map(order).to_numpy(float), (0, max(1, len(order) - 1)),
        (list(order.values()), list(axes.rows.values())),
    )  # fmt: skip
    dimensions = [first, *(_measure(table[name].to_numpy(float), known.get(name), axes, name, kept) for name in drawn)]
    last = int(layers.max(initial=0))
    ticks = sorted({round(i * last / 4) for i in range(5)})
    bar = style.colour_bar(axes.layer, tickvals=ticks, x=1.02, len=1.0, tickformat="d")
    scale = [[i / 8, colour] for i, colour in enumerate(_inks(theme))]
    parts = go.Parcoords(
        dimensions=dimensions, line={"color": layers, "colorscale": scale, "cmin": 0, "cmax": max(1, last), "colorbar": bar,
                                     "showscale": last > 0},
        unselected={"line": {"color": style.GRID[theme], "opacity": 0.35}}, labelside="top", labelangle=0,
        labelfont={"size": 12}, tickfont={"size": 11, "family": style.FONT}, rangefont={"size": 1, "color": "rgba(0,0,0,0)"},
    )  # fmt: skip
    margin = {"l": max(48, min(200, 7 * max(map(len, axes.rows.values()), default=1))), "r": 40, "t": 66, "b": 24}
    figure = go.Figure(parts)
    width = margin["l"] + margin["r"] + _AXIS * len(drawn) + 80
    return figure.update_layout(style.layout(theme, width, 430, margin=margin))


def _inks(theme: str) -> list[str]:
    """The scale of weights without its beginning, which is the page: a thin line of any layer can be seen."""
    table, start = palette.sequential(theme), _INK_STARTS[theme]
    return [table[round((start + (1 - start) * i / 8) * (len(table) - 1))] for i in range(9)]


def _measure(
    values: np.ndarray, measure: Measure | None, axes: Axes, column: str, kept: Mapping[str, Sequence[Range]] | None
) -> go.parcoords.Dimension:
    """One axis: a share from 0 to 1, all else from its least to its largest value."""
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    if measure is not None and measure.bounds == (0.0, 1.0):
        low, high = 0.0, 1.0
    if low == high:
        low, high = low - 0.5, high + 0.5
    ticks = round_numbers(low, high)
    texts = [f"{tick:.6g}".replace("-", "−") for tick in ticks]
    bottom = low
    if len(known) < len(values):
        bottom = low - _BELOW * (high - low)
        values = np.where(np.isfinite(values), values, bottom)
        ticks, texts = [bottom, *ticks], [axes.none, *texts]
    found = _dimension(axes.measures[column], values, (bottom, high), (ticks, texts))
    ranges = list((kept or {}).get(column, ()))
    if ranges:
        found.constraintrange = list(ranges[0]) if len(ranges) == 1 else [list(one) for one in ranges]
        found.multiselect = True
    found.name = column
    return found


def round_numbers(low: float, high: float) -> list[float]:
    """Three to six multiples of 1, 2 or 5 · 10ⁿ from `low` to `high`."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= raw * (1 - 1e-9))
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _dimension(label: str, values: np.ndarray, ends: Range, ticks: tuple[list, list[str]]) -> go.parcoords.Dimension:
    return go.parcoords.Dimension(
        label=_wrapped(label), values=values, range=list(ends), tickvals=ticks[0], ticktext=ticks[1]
    )


def _wrapped(label: str) -> str:
    """A name in lines of about twelve letters."""
    lines_of: list[str] = []
    for word in label.split(" "):
        if lines_of and len(lines_of[-1]) + len(word) < _LETTERS:
            lines_of[-1] += f" {word}"
        else:
            lines_of.append(word)
    return "<br>".join(lines_of)
