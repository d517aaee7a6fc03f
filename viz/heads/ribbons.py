"""Attention as lines between two rows of tokens, for a file: width and opacity are the weight, as on the screen."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from viz.base import palette

LEAST = 0.02  # weights below are no line, as on the screen
MOST = 4000  # lines in a file; the largest of more
_STEP = 22  # pixels between two tokens of a column
_WIDE = 78  # pixels between two tokens of a row


def line_table(weights: dict[int, np.ndarray], least: float = LEAST) -> pd.DataFrame:
    """head -> weights [queries, keys] -> a row a line: head, query, key, weight; from `least` up, at most `MOST`."""
    parts = []
    for head, values in weights.items():
        i, j = np.nonzero(np.nan_to_num(values) >= least)
        parts.append(pd.DataFrame({"head": head, "query": i, "key": j, "weight": values[i, j]}))
    return pd.concat(parts).nlargest(MOST, "weight", keep="all").sort_values("weight")


def chart(
    weights: dict[int, np.ndarray], rows: Sequence[str], columns: Sequence[str], across: bool = False,
    head_name: str = "{head}", least: float = LEAST,
) -> alt.LayerChart:  # fmt: skip
    """Queries left and keys right, a colour a head; `across`: keys above and queries below, as the first screen has them."""
    table = line_table(weights, least)
    table["head"] = [head_name.format(head=head) for head in table["head"]]
    names = [head_name.format(head=head) for head in weights]
    colours = [palette.HEADS[place % len(palette.HEADS)] for place in range(len(names))]
    table["from"], table["to"] = 1.0, 0.0
    if not across:
        table["from"], table["to"] = 0.0, 1.0
    along, over = ("x", "y") if across else ("y", "x")
    length = max(len(rows), len(columns))
    place = alt.Scale(domain=[-0.5, length - 0.5], reverse=not across)
    side = alt.Scale(domain=[-0.15, 1.15] if across else [-0.4, 1.4], reverse=across)
    channel = {"x": alt.X, "y": alt.Y}
    lines = alt.Chart(table).mark_rule(strokeCap="round").encode(
        **{along: channel[along]("query:Q", scale=place, axis=None), over: channel[over]("from:Q", scale=side, axis=None),
           f"{along}2": "key:Q", f"{over}2": "to:Q"},
        strokeWidth=alt.StrokeWidth("weight:Q", scale=alt.Scale(domain=[0, 1], range=[0.2, 9 if across else 5]),
                                    legend=alt.Legend(title="A", values=[0.1, 0.5, 1.0], symbolType="stroke")),
        opacity=alt.Opacity("weight:Q", scale=alt.Scale(domain=[0, 1], range=[0.05, 0.9]), legend=None),
        color=alt.Color("head:N", sort=names, title=None, scale=alt.Scale(domain=names, range=colours)),
    )  # fmt: skip
    layers = [lines]
    for texts, queries in ((rows, True), (columns, False)):
        where = table_end(across, queries)
        data = pd.DataFrame({"place": range(len(texts)), "over": where, "text": list(texts)})
        style = {"align": "center", "dy": 12 if queries else -12} if across else (
            {"align": "right", "dx": -6} if queries else {"align": "left", "dx": 6})  # fmt: skip
        at = {
            along: channel[along]("place:Q", scale=place, axis=None),
            over: channel[over]("over:Q", scale=side, axis=None),
        }
        layers.append(alt.Chart(data).mark_text(fontSize=12, **style).encode(**at, text="text:N"))
    size = {"width": _WIDE * length, "height": 170} if across else {"width": 420, "height": _STEP * length}
    return alt.layer(*layers, **size).configure_view(stroke=None)


def table_end(across: bool, queries: bool) -> float:
    """Where a row of tokens stands: keys above (0) and queries below (1), or queries left (0) and keys right (1)."""
    return float(queries) if across else float(not queries)
