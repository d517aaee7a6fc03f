"""A pair of dimensions as a plane: points, arrows from the origin, and the queries of a text turning with their positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import palette
from viz.base.tokens import Label

if TYPE_CHECKING:
    from model.positions.rotary import Rotated

SIZE = 320  # px
ARROWS = 32  # as many words as have their own arrows in one plane
_LETTER, _LINE, _OUT, _BESIDE = 6.4, 13.0, 7.0, 70.0  # px: of a label, from its tip, and past the plane's edges
_START = 0.3
_WIDE = set(range(0x2E80, 0xFFE6))  # characters that take two places


def plane(data: pd.DataFrame, reach: float, titles: tuple[str, str]) -> alt.Chart:
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    x = alt.X("x:Q", scale=scale, title=titles[0], axis=alt.Axis(tickCount=5, grid=False))
    y = alt.Y("y:Q", scale=scale, title=titles[1], axis=alt.Axis(tickCount=5, grid=False))
    return alt.Chart(data).encode(x=x, y=y)


def arrows(data: pd.DataFrame) -> pd.DataFrame:
    """Each row's point as a line from the origin."""
    start = data.assign(x=0.0, y=0.0)
    return pd.concat([start.assign(end=0), data.assign(end=1)], ignore_index=True)


def drawn(
    before: np.ndarray, after: np.ndarray, labels: Sequence[Label], pair: tuple[int, int], words: dict[str, str], letter: str,
    theme: str = "light",
) -> tuple[alt.LayerChart, int]:  # fmt: skip
    """(chart, how many arrows have no label) of two dimensions of q (or k), [n, 2], of the first `ARROWS` words: as projected
    (dashed) and as turned (solid), the colour its position; a label where there is room, and every name at the pointer."""
    shown = min(ARROWS, len(before))
    names = [f"{i}: {label['text']}" for i, label in enumerate(labels[:shown])]
    kinds = [words["before"], words["after"]]
    parts = [
        pd.DataFrame(
            {"x": values[:shown, 0], "y": values[:shown, 1], "word": names, "kind": kind, "position": range(shown)}
        )
        for values, kind in zip((before, after), kinds, strict=True)
    ]
    data = pd.concat(parts, ignore_index=True)
    reach = 1.1 * float(np.abs(data[["x", "y"]].to_numpy()).max() or 1.0)
    titles = tuple(f"{letter}[{i}]" for i in pair)
    scale = alt.Scale(domain=[0, max(1, shown - 1)], range=_inks(theme))
    legend = alt.Legend(orient="bottom", format="d", tickMinStep=1, titleOrient="left")
    colour = alt.Color("position:Q", title=words["position"], scale=scale, legend=legend)
    dash = alt.StrokeDash("kind:N", title=None, sort=kinds, scale=alt.Scale(domain=kinds, range=[[4, 4], [1, 0]]),
                          legend=alt.Legend(orient="top"))  # fmt: skip
    tip = ["word:N", "kind:N", alt.Tooltip("x:Q", format=".4f"), alt.Tooltip("y:Q", format=".4f")]
    lines = plane(arrows(data), reach, titles).mark_line(strokeWidth=2).encode(
        color=colour, strokeDash=dash, order="end:Q", detail=["word:N", "kind:N"], tooltip=tip
    )  # fmt: skip
    turned = data[data["kind"] == kinds[1]]
    tips = plane(turned, reach, titles).mark_circle(size=60, opacity=1).encode(color=colour, tooltip=tip)
    told = turned[with_room(turned[["x", "y"]].to_numpy() / reach, names)]
    page = palette.THEMES[theme]
    looks = ({"color": page["background"], "stroke": page["background"], "strokeWidth": 3.5}, {"color": page["text"]})
    texts = [
        plane(side, reach, titles)
        .mark_text(align=align, dx=dx, baseline="middle", fontSize=11, limit=140, **look)
        .encode(text="word:N", tooltip=tip)
        for look in looks  # first what keeps the lines off the letters
        for side, align, dx in ((told[told["x"] >= 0], "left", _OUT), (told[told["x"] < 0], "right", -_OUT))
        if len(side)
    ]
    chart = alt.layer(lines, tips, *texts, width=SIZE, height=SIZE, autosize="pad", description=words["alt"])
    return chart, shown - len(told)


def _inks(theme: str) -> list[str]:
    """The scale of weights without its beginning, which is the page: an arrow of any position can be seen."""
    table = palette.sequential(theme)
    return [table[round((_START + (1 - _START) * i / 8) * (len(table) - 1))] for i in range(9)]


def with_room(tips: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Which labels stand beside their tips [n, 2], in parts of the plane from -1 to 1, without touching an earlier one, another
    tip or what lies past the plane's edges."""
    x, y = (tips[:, 0] + 1) * SIZE / 2, (1 - tips[:, 1]) * SIZE / 2
    long = [_LETTER * sum(1 + (ord(letter) in _WIDE) for letter in name) for name in names]
    boxes = [
        (x[i] + _OUT, x[i] + _OUT + wide) if tips[i, 0] >= 0 else (x[i] - _OUT - wide, x[i] - _OUT)
        for i, wide in enumerate(long)
    ]
    told: list[int] = []
    for i, (left, right) in enumerate(boxes):
        free = all(abs(y[j] - y[i]) >= _LINE or right < boxes[j][0] or boxes[j][1] < left for j in told)
        clear = all(i == j or abs(y[j] - y[i]) > _LINE / 2 or not left - 4 < x[j] < right + 4 for j in range(len(x)))
        if free and clear and left >= -_BESIDE and right <= SIZE + _BESIDE:
            told.append(i)
    return np.isin(np.arange(len(names)), told)


def pair_of(rotated: Rotated, pair: int, letter: str) -> tuple[np.ndarray, np.ndarray]:
    """The two dimensions of q or k that turn together, before and after, each [n, 2]."""
    columns = list(rotated.pairs[pair])
    before, after = (rotated.q, rotated.q_rotated) if letter == "q" else (rotated.k, rotated.k_rotated)
    return before[:, columns].numpy(), after[:, columns].numpy()
