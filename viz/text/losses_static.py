"""Examples with their tokens coloured by loss, for a file: an SVG whose lines wrap, one block an example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from viz.base import palette, tokens
from viz.text.losses import colours_of

if TYPE_CHECKING:
    from model.evaluation.scored import Scored

_WIDE, _HIGH, _LETTER, _MARGIN = (
    92,
    24,
    7.8,
    8,
)  # letters on a line, px a line, px a letter, letters of the line's number


def placed(examples: Sequence[Scored], end: float) -> pd.DataFrame:
    """A row a token: text, loss, where it stands in letters and lines, and the colour of its letters; `block`: the number of
    the example's line, at its first token."""
    rows, line = [], -1
    for each in examples:
        line, left = line + 1, 0.0
        colours = colours_of(each.losses, end, "light")
        for place, (name, loss, colour) in enumerate(zip(each.tokens, each.losses, colours, strict=True)):
            text = tokens.label(name, tokens.looks_special(name))["text"]
            wide = sum(2.0 if ord(c) > 0x2E7F else 1.0 for c in text) + 0.8
            if left and left + wide > _WIDE:
                line, left = line + 1, 0.0
            block = "" if place else str(each.line)
            rows.append((text, loss, left, left + wide - 0.3, line, palette.ink(colour), block))
            left += wide
    return pd.DataFrame(rows, columns=["text", "loss", "left", "right", "line", "ink", "block"])


def chart(examples: Sequence[Scored], end: float, title: str) -> alt.LayerChart:
    """title: of the legend, whose colours run from 0 to `end`."""
    table = placed(examples, end)
    table["middle"] = (table["left"] + table["right"]) / 2
    lines = int(table["line"].max()) + 1 if len(table) else 1
    x = {"scale": alt.Scale(domain=[-_MARGIN, _WIDE + 2]), "axis": None}
    y = {"scale": alt.Scale(domain=[-0.5, lines - 0.5], reverse=True), "axis": None}
    base, colours = alt.Chart(table).encode(y=alt.Y("line:Q", **y)), palette.sequential("light")
    boxes = base.mark_bar(height=_HIGH - 5, cornerRadius=3, stroke="#dcdce4", strokeWidth=1).encode(
        x=alt.X("left:Q", **x), x2="right:Q",
        color=alt.Color("loss:Q", title=title, legend=alt.Legend(orient="bottom", gradientLength=180),
                        scale=alt.Scale(domain=[0, end], range=colours[::4], interpolate="rgb", clamp=True)),
    )  # fmt: skip
    letters = base.mark_text(font="monospace", fontSize=12).encode(
        x=alt.X("middle:Q", **x), text="text:N", color=alt.Color("ink:N", scale=None)
    )
    at = base.transform_calculate(edge="-1").mark_text(align="right", fontSize=11, color=palette.QUIET)
    numbers = at.encode(x=alt.X("edge:Q", **x), text="block:N")
    return (
        alt.layer(boxes, letters, numbers)
        .properties(width=_LETTER * (_WIDE + 2 + _MARGIN), height=_HIGH * lines)
        .configure_view(stroke=None)
    )
