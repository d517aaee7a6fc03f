"""The coloured text for a file: an SVG of the tokens around what is asked and what is attended most, lines as they wrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import palette
from viz.text.text import GAP, SPACE, Flow

if TYPE_CHECKING:
    from viz.text.text import TokenAttention

MOST = 1500  # tokens in a file; of a longer text those around the asking token
_WIDE, _HIGH, _LETTER = 92, 24, 7.8  # letters on a line, px a line, px a letter


def part(length: int, index: int, most: int = MOST) -> slice:
    """The tokens that are drawn: all, or `most` of them around `index`."""
    start = min(max(0, index - most // 2), max(0, length - most))
    return slice(start, min(length, start + most))


def placed(flow: Flow, which: slice) -> pd.DataFrame:
    """Where each token stands, in letters and lines: index, text, left, right, line."""
    found, left, line = [], 0.0, 0
    for i in range(which.start, which.stop):
        wide = sum(2.0 if ord(c) > 0x2E7F else 1.0 for c in flow.texts[i])
        gap = 1.0 if flow.follows[i] in (GAP, SPACE) and left else 0.0
        if left and left + gap + wide > _WIDE:
            left, gap, line = 0.0, 0.0, line + 1
        found.append((i, flow.texts[i], left + gap, left + gap + wide, line))
        left += gap + wide
        if i in flow.breaks:
            left, line = 0.0, line + 1
    return pd.DataFrame(found, columns=["index", "text", "left", "right", "line"])


def chart(flow: Flow, attention: TokenAttention, end: float, title: str) -> alt.LayerChart:
    """The text coloured from 0 to `end`; masked tokens are grey, the asking one is outlined where it is in this text."""
    which = part(len(flow.texts), min(attention.index, len(flow.texts) - 1))
    table = placed(flow, which)
    shown = np.clip(attention.values[which], 0, end)
    table["value"] = np.where(attention.allowed[which], shown, np.nan)
    colours = palette.sequential("light")
    inks = np.array([palette.ink(colour) for colour in colours])
    table["ink"] = inks[np.rint(table["value"].fillna(0) / (end or 1) * (len(colours) - 1)).astype(int)]
    table.loc[~attention.allowed[which], "ink"] = "#6b6d7a"
    table["middle"] = (table["left"] + table["right"]) / 2
    lines = int(table["line"].max()) + 1 if len(table) else 1
    x = {"scale": alt.Scale(domain=[0, _WIDE + 2]), "axis": None}
    y = {"scale": alt.Scale(domain=[-0.5, lines - 0.5], reverse=True), "axis": None}
    base = alt.Chart(table)
    boxes = (
        base.mark_bar(height=_HIGH - 5, cornerRadius=3)
        .encode(
            x=alt.X("left:Q", **x), x2="right:Q", y=alt.Y("line:Q", **y),
            color=alt.Color("value:Q", title=title, legend=alt.Legend(orient="bottom", gradientLength=180),
                            scale=alt.Scale(domain=[0, end], range=colours[::4], interpolate="rgb")),
        )
        .transform_filter("isValid(datum.value)")
    )  # fmt: skip
    letters = base.mark_text(font="monospace", fontSize=12).encode(
        x=alt.X("middle:Q", **x), y=alt.Y("line:Q", **y), text="text:N", color=alt.Color("ink:N", scale=None)
    )
    return (
        alt.layer(boxes, letters)
        .properties(width=_LETTER * (_WIDE + 2), height=_HIGH * lines)
        .configure_view(stroke=None)
    )
