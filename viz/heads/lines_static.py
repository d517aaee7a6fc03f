"""The lines of a long input for a file: two scaled sides with their token places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import palette
from viz.heads.lines import drawn

if TYPE_CHECKING:
    from model.attention.top_weights import Lines

_HIGH, _WIDE = 640, 420


def table(lines_by_head: Mapping[int, Lines]) -> pd.DataFrame:
    """A row a drawn line: head, query, key, weight (float64), the strongest of each head first."""
    counts = drawn(lines_by_head)
    parts = [
        pd.DataFrame({"head": head, "query": lines.rows[:n], "key": lines.columns[:n], "weight": lines.weights[:n]})
        for head, lines in lines_by_head.items() if (n := counts[head]) >= 0
    ]  # fmt: skip
    columns = ["head", "query", "key", "weight"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def chart(
    lines_by_head: Mapping[int, Lines], queries: int, keys: int, titles: tuple[str, str], head_name: str = "{head}"
) -> alt.LayerChart:  # fmt: skip
    """Queries left and keys right from the first token to the last: the lines that are drawn on the screen."""
    lines = table(lines_by_head).sort_values("weight")
    names = [head_name.format(head=head) for head in lines_by_head]
    colours = [palette.HEADS[head % len(palette.HEADS)] for head in lines_by_head]
    lines["name"] = [head_name.format(head=head) for head in lines["head"]]
    # Each side has its own length.
    lines["from"], lines["to"] = lines["query"] / max(1, queries - 1), lines["key"] / max(1, keys - 1)
    scale = alt.Scale(domain=[0, 1], reverse=True)
    across = alt.Scale(domain=[-0.25, 1.25])
    drawing = alt.Chart(lines).transform_calculate(left="0", right="1").mark_rule().encode(
        x=alt.X("left:Q", scale=across, axis=None), x2="right:Q", y=alt.Y("from:Q", scale=scale, axis=None), y2="to:Q",
        color=alt.Color("name:N", sort=names, title=None, scale=alt.Scale(domain=names, range=colours)),
        opacity=alt.Opacity("weight:Q", scale=alt.Scale(domain=[0, 1], range=[0.06, 0.85]), legend=None),
        strokeWidth=alt.StrokeWidth("weight:Q", scale=alt.Scale(domain=[0, 1], range=[0.4, 3]),
                                    legend=alt.Legend(title="A", values=[0.1, 0.5, 1.0], symbolType="stroke")),
    )  # fmt: skip
    layers = [drawing]
    for total, x, align, title in ((queries, 0.0, "right", titles[0]), (keys, 1.0, "left", titles[1])):
        places = np.unique(np.linspace(0, total - 1, 9).round().astype(int))
        marks = pd.DataFrame({"y": places / max(1, total - 1), "x": x, "text": [str(p) for p in places]})
        marks.loc[0, "text"] = f"{places[0]} · {title}"
        layers.append(
            alt.Chart(marks)
            .mark_text(align=align, dx=-8 if align == "right" else 8, fontSize=11)
            .encode(x=alt.X("x:Q", scale=across, axis=None), y=alt.Y("y:Q", scale=scale, axis=None), text="text:N")
        )
    return alt.layer(*layers, width=_WIDE, height=_HIGH).configure_view(stroke=None)
