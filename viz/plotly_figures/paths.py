"""The tokens' paths through the layers, in a space to turn: a line a token, a point where it stands at the chosen depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from viz.base import palette
from viz.plotly_figures import style

if TYPE_CHECKING:
    from torch import Tensor

    from model.residual.paths import Paths

_HEIGHT = 620.0


def figure(
    found: Paths, tokens: Sequence[Sequence[str]], runs: Sequence[str], depths: Sequence[str], selected: int,
    words: Mapping[str, str], theme: str,
) -> go.Figure:  # fmt: skip
    """Scatter3d of `found`: one colour a run, the selected token of the first in the ink of the page.

    tokens: of each run, with their positions. runs: names of the runs. depths: names of the depths, the stops of the slider.
    selected: which of the first run's tokens. words: "depth" before the slider's stop, "selected" in the legend.
    """
    ink, parts = palette.THEMES[style.known(theme)]["text"], []
    for run, (points, name) in enumerate(zip(found.points, runs, strict=True)):
        parts.append(_lines(points, tokens[run], depths, palette.PAIR[run], escape(name)))
    for run, points in enumerate(found.points):
        parts.append(_stand(points, tokens[run], palette.PAIR[run], ink, "bottom center" if run else "top center"))
    own = found.points[0][:, selected : selected + 1]
    parts.append(
        _lines(own, [tokens[0][selected]], depths, ink, f"{words['selected']}: {escape(tokens[0][selected])}", 6)
    )
    moved = list(range(len(runs), 2 * len(runs)))
    steps = []
    for depth in range(len(depths)):
        places = _coordinates([points[depth] for points in found.points])
        there = dict(zip("xyz", places, strict=True))
        steps.append({"label": str(depth), "method": "restyle", "args": [there, moved]})
    slider = {
        "steps": steps, "active": len(depths) - 1, "currentvalue": {"prefix": f"{words['depth']} ", "font": {"size": 13}},
        "pad": {"t": 8, "b": 8, "l": 12, "r": 12}, "len": 1, "x": 0, "font": {"size": 11}, "bgcolor": style.GRID[theme],
        "bordercolor": style.GRID[theme], "tickcolor": style.QUIET[theme], "activebgcolor": ink,
    }  # fmt: skip
    names = [f"PC {i + 1} · {share:.0%}" for i, share in enumerate(found.share)]
    drawn = go.Figure(parts, style.layout(theme, None, _HEIGHT, margin={"l": 0, "r": 0, "t": 36, "b": 0}))
    return drawn.update_layout(
        scene=style.scene(names, theme) | {"uirevision": "kept"}, sliders=[slider], showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left", "itemsizing": "trace"},
    )  # fmt: skip


def _coordinates(points: Sequence[Tensor]) -> list[list[list[float]]]:
    """x, y and z of each run's points [n, 3], to five digits: more cannot be seen."""
    return [[[float(f"{value:.5g}") for value in run[:, axis].tolist()] for run in points] for axis in range(3)]


def _lines(
    points: Tensor, tokens: Sequence[str], depths: Sequence[str], colour: str, name: str, width: float = 2.5
) -> go.Scatter3d:
    """A line a token [depths, n, 3], one trace: a gap ends each."""
    along = np.full((len(tokens), len(depths) + 1, 3), np.nan)
    along[:, :-1] = points.numpy().transpose(1, 0, 2)
    said = [[f"{escape(token)}<br>{depth}" for depth in (*depths, "")] for token in tokens]
    x, y, z = along.reshape(-1, 3).T
    return go.Scatter3d(
        x=x, y=y, z=z, mode="lines", name=name, line={"color": colour, "width": width}, customdata=np.array(said).ravel(),
        opacity=1 if width > 3 else 0.85, hovertemplate="%{customdata}<br>%{x:.3g}, %{y:.3g}, %{z:.3g}<extra></extra>",
    )  # fmt: skip


def _stand(points: Tensor, tokens: Sequence[str], colour: str, ink: str, side: str) -> go.Scatter3d:
    """Where the tokens stand after the last layer, with their names; the slider moves them."""
    (x,), (y,), (z,) = _coordinates([points[-1]])
    named = [style.in_space(token) for token in tokens]
    return go.Scatter3d(
        x=x, y=y, z=z, mode="markers+text", text=named, textposition=side, showlegend=False,
        textfont={"size": 11, "color": ink, "family": style.MONO}, marker={"size": 4, "color": colour},
        customdata=[escape(token) for token in tokens],
        hovertemplate="%{customdata}<br>%{x:.3g}, %{y:.3g}, %{z:.3g}<extra></extra>",
    )  # fmt: skip
