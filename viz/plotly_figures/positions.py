"""Positions in space: the sinusoidal table as a surface, and a pair of rotary dimensions turning along the positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from viz.base import palette
from viz.plotly_figures import style

_HEIGHT = 560.0
_MARGIN = {"l": 0, "r": 0, "t": 30, "b": 0}


def surface(table: np.ndarray, words: Mapping[str, str], theme: str) -> go.Figure:
    """The sines of a sinusoidal table [positions, dimensions], its even columns, as a surface of height and colour −1 to 1.

    With the cosines between them every second column would be a tooth.

    words: "position", "dimension" and "value" on the axes and in the tip.
    """
    tip = f"{words['position']} %{{y}}<br>{words['dimension']} %{{x}}<br>{words['value']} %{{z:.4f}}<extra></extra>"
    drawn = go.Surface(
        x=np.arange(0, table.shape[1], 2), z=table[:, ::2].astype(np.float32), cmin=-1, cmax=1,
        colorscale=style.colours(style.known(theme), "diverging"),
        hovertemplate=tip, colorbar=style.colour_bar(words["value"], tickvals=[-1, 0, 1], len=0.6, x=0.98),
        lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.05},
        contours={side: {"highlight": False} for side in "xyz"},
    )  # fmt: skip
    names = (words["dimension"], words["position"], words["value"])
    scene = style.scene(names, theme, {"x": 1.2, "y": 1.4, "z": 0.45}, {"x": -1.5, "y": -1.75, "z": 1.05})
    # The first position is in front: one reads the waves away from oneself.
    return go.Figure(drawn, style.layout(theme, None, _HEIGHT, margin=_MARGIN)).update_layout(scene=scene)


def turning(
    before: np.ndarray, after: np.ndarray, labels: Sequence[str], pair: tuple[int, int], words: Mapping[str, str], theme: str
) -> go.Figure:  # fmt: skip
    """A pair's two numbers [n, 2] along the positions: as projected, turned, and the arc from one to the other.

    labels: the tokens. words: "position" and "dimension" (with {i}) on the axes, "before" and "after" in the legend.
    """
    said = [f"{place}: {escape(label)}" for place, label in enumerate(labels)]
    shown = [style.in_space(f"{place}: {label}") for place, label in enumerate(labels)]
    ink = palette.THEMES[style.known(theme)]["text"]
    numbers = "%{customdata}<br>%{x:.4~g}, %{y:.4~g}<extra></extra>"
    parts = [_arcs(before, after, theme)]
    for points, name, colour in (
        (before, words["before"], style.QUIET[theme]), (after, words["after"], palette.PAIR[0]),
    ):  # fmt: skip
        turned = colour == palette.PAIR[0]
        parts.append(
            go.Scatter3d(
                x=points[:, 0], y=points[:, 1], z=np.arange(len(points)), name=name, customdata=said, hovertemplate=numbers,
                mode="lines+markers+text" if turned else "lines+markers", text=shown if turned else None,
                textposition="middle right", textfont={"size": 11, "family": style.MONO, "color": ink},
                line={"color": colour, "width": 4 if turned else 2, "dash": "solid" if turned else "dash"},
                marker={"size": 4 if turned else 3, "color": colour},
            )
        )  # fmt: skip
    axes = [words["dimension"].format(i=i) for i in pair]
    far = float(np.abs(np.concatenate([before, after])).max(initial=0.0)) * 1.1 or 1.0
    scene = style.scene((*axes, words["position"]), theme, {"x": 1, "y": 1, "z": 1.3}, {"x": 1.9, "y": 1.65, "z": 0.7})
    for side in ("xaxis", "yaxis"):  # one unit as long across as along: a circle is one
        scene[side]["range"] = [-far, far]
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left"}
    return go.Figure(parts, style.layout(theme, None, _HEIGHT, margin=_MARGIN)).update_layout(
        scene=scene, legend=legend
    )


def _arcs(before: np.ndarray, after: np.ndarray, theme: str) -> go.Scatter3d:
    """At every position the lines from the axis to the pair before and after its turn; a gap ends each."""
    n = len(before)
    path = np.full((n, 4, 3), np.nan)
    path[:, 0, :2], path[:, 1, :2], path[:, 2, :2] = before, 0, after
    path[:, :3, 2] = np.arange(n)[:, None]
    x, y, z = path.reshape(-1, 3).T
    line = {"color": style.GRID[theme], "width": 2}
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line=line, hoverinfo="skip", showlegend=False)
