"""Heads in the plane, to draw a loop around: the same dots and names as viz/compare/plane.py, which are clicked one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from viz.base import numbers, palette
from viz.compare.heads import short
from viz.compare.plane import SIDE, named, wanted
from viz.plotly_figures import style

if TYPE_CHECKING:
    from model.compare.heads import PairwiseSimilarity
    from model.trace.site import Site

_FOOT = 56.0  # px below the plane, for the legend of the layers


def plane(
    group: PairwiseSimilarity, places: np.ndarray, marked: Sequence[tuple[str, int]], words: Mapping[str, str], theme: str,
    selected: tuple[Site, int] | None = None,
) -> go.Figure:  # fmt: skip
    """A dot a head at `places` [n, 2], as far apart as they are unlike; colour is the layer, picked heads have a rim.

    A dot's customdata is its head, "encoder.0.self.3"; its tip has how alike it is to the selected one. words: "layer", and
    "alike" with {head}.
    """
    ink, page = palette.THEMES[style.known(theme)]["text"], palette.THEMES[theme]["background"]
    names = [short(site, head) for site, head in group.heads]
    heads = [f"{site}.{head}" for site, head in group.heads]
    picked = [(str(site), head) in {(str(s), h) for s, h in marked} for site, head in group.heads]
    chosen = group.heads.index(selected) if selected in group.heads else None
    tips = heads
    if chosen is not None:
        alike = words["alike"].format(head=names[chosen])
        told = group.values[chosen].tolist()
        tips = [f"{head}<br>{alike} {numbers.short(value)}" for head, value in zip(heads, told, strict=True)]
    layers = [site.layer for site, _ in group.heads]
    table = palette.sequential(theme)[70:]
    scale = [[i / 8, table[round(i * (len(table) - 1) / 8)]] for i in range(9)]
    ticks = sorted({round(min(layers) + i * (max(layers) - min(layers)) / 4) for i in range(5)})
    bar = style.colour_bar(
        words["layer"], orientation="h", len=0.4, x=0, xanchor="left", y=0, yanchor="top", tickvals=ticks
    )
    bar["title"] = bar["title"] | {"side": "top"}
    dots = go.Scatter(
        x=places[:, 0], y=places[:, 1], mode="markers", customdata=heads, hovertext=tips, hoverinfo="text", showlegend=False,
        marker={
            "opacity": 1, "size": [14 if one else 9 for one in picked], "color": layers, "colorscale": scale, "cmin": min(layers),
            "cmax": max(min(layers) + 1, *layers), "colorbar": bar, "showscale": len(set(layers)) > 1,
            "line": {"width": [2 if one else 0 for one in picked], "color": ink},
        },
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 0.25}},
    )  # fmt: skip
    parts = [dots]
    if chosen is not None:
        ring = {"symbol": "circle-open", "size": 21, "color": ink, "line": {"width": 2.5}}
        x, y = places[chosen]
        parts.insert(0, go.Scatter(x=[x], y=[y], mode="markers", marker=ring, hoverinfo="skip", showlegend=False))
    middle = (places.max(0) + places.min(0)) / 2
    half = max(0.05, float(np.abs(places - middle).max()) * 1.2)
    points = (half + (places - middle) * [1, -1]) / (2 * half) * SIDE
    order = wanted(group, places, marked, chosen)
    written = [
        {"x": float(places[one.head, 0]), "y": float(places[one.head, 1]), "xshift": one.dx, "yshift": -one.dy,
         "text": names[one.head], "showarrow": False, "font": {"size": 11}, "bgcolor": page, "opacity": 0.9, "borderpad": 0}
        for one in named(order, names, points, (chosen is not None) + sum(picked))
    ]  # fmt: skip
    margin = {"l": 4, "r": 4, "t": 4, "b": _FOOT, "autoexpand": False}
    figure = go.Figure(parts, style.layout(theme, SIDE + 8, SIDE + 4 + _FOOT, margin=margin))
    axis = {"showticklabels": False, "zeroline": False, "gridcolor": style.GRID[theme], "nticks": 5, "fixedrange": True}
    figure.update_xaxes(axis, range=[middle[0] - half, middle[0] + half])
    figure.update_yaxes(axis, range=[middle[1] - half, middle[1] + half])
    loop = {"line": {"color": ink, "width": 1.5, "dash": "dot"}}
    return figure.update_layout(dragmode="lasso", annotations=written, newselection=loop, showlegend=False)
