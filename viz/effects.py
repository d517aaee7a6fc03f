"""Effects as charts: what each head off changes, what the model says before and after, and the change beside random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from viz.base import palette

if TYPE_CHECKING:
    from model.attribution.meter import Reading

Words = Mapping[str, str]
_PAIR = ("#767676", "#0072b2")  # grey for the run as it is, and a colour of Okabe & Ito
_EDGE = "#8888"


def head_map(
    table: pd.DataFrame, order: Sequence[str], chosen: Sequence[str], words: Words, theme: str = "light"
) -> alt.LayerChart:  # fmt: skip
    """A cell a head, diverging and symmetric about 0; table: id, row (of `order`), head, effect; chosen: ids that are framed."""
    end = float(table["effect"].abs().max()) or 1.0
    x = alt.X("head:O", title=words["head"], axis=alt.Axis(ticks=False, domain=False, labelAngle=0, labelFlush=False))
    y = alt.Y(
        "row:N",
        sort=list(order),
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelLimit=260, labelFlush=False),
    )
    scale = alt.Scale(domain=[-end, end], range=palette.diverging(theme)[::4], interpolate="rgb")
    legend = alt.Legend(
        orient="bottom", gradientLength=220, gradientThickness=8, tickCount=5, format="+.2~f", titleLimit=420
    )  # fmt: skip
    color = alt.Color("effect:Q", title=words["effect"], scale=scale, legend=legend)
    tips = [alt.Tooltip("row:N", title=words["layer"]), alt.Tooltip("head:O", title=words["head"]),
            alt.Tooltip("effect:Q", title=words["effect"], format="+.4f")]  # fmt: skip
    press = alt.selection_point(name="head", fields=["id"], on="click", toggle=False, clear=False, empty=False)
    cells = alt.Chart(table).mark_rect(stroke=_EDGE).encode(x=x, y=y, color=color, tooltip=tips).add_params(press)
    framed = alt.Chart(table[table["id"].isin(list(chosen))]).mark_rect(filled=False, strokeWidth=2.5)
    framed = framed.encode(x=x, y=y, stroke=alt.value(palette.THEMES[theme]["text"]))
    wide = max(1, int(table["head"].max()) + 1)
    size = {"width": min(44, 620 // wide) * wide, "height": 26 * len(order)}
    return alt.layer(cells, framed, autosize="pad", description=words["alt"], **size)


def next_tokens(table: pd.DataFrame, words: Words) -> alt.Chart:
    """Probabilities before and after; table: rank, token, line, p."""
    table = table.assign(name=table["rank"].astype(str) + "  " + table["token"])
    lines = [words["before"], words["after"]]
    return (
        alt.Chart(table)
        .mark_bar(height={"band": 0.85})
        .encode(
            x=alt.X("p:Q", title=words["probability"], scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("name:N", sort=list(dict.fromkeys(table["name"])), title=None,
                    axis=alt.Axis(ticks=False, domain=False, labelLimit=200)),
            yOffset=alt.YOffset("line:N", sort=lines),
            color=alt.Color("line:N", title=None, sort=lines, scale=alt.Scale(domain=lines, range=list(_PAIR)),
                            legend=alt.Legend(orient="top")),
            tooltip=["token:N", "line:N", alt.Tooltip("p:Q", format=".6f")],
        )
        .properties(width=440, height=alt.Step(13), description=words["alt"])
    )  # fmt: skip


def control(draws: Sequence[float], effect: float, words: Words, theme: str = "light") -> alt.LayerChart:
    """The change of the number, as a line, among those of as many random heads of the same layers, as ticks."""
    x = alt.X("change:Q", title=words["change"], axis=alt.Axis(format="+.2~f", tickCount=7))
    ticks = alt.Chart(pd.DataFrame({"change": list(draws)})).mark_tick(
        thickness=2, size=26, color="#767676", opacity=0.75
    )
    ticks = ticks.encode(x=x, tooltip=[alt.Tooltip("change:Q", title=words["random"], format="+.4f")])
    mine = alt.Chart(pd.DataFrame({"change": [effect]})).mark_tick(
        thickness=5, size=44, color=palette.THEMES[theme]["accent"]
    )
    mine = mine.encode(x=x, tooltip=[alt.Tooltip("change:Q", title=words["mine"], format="+.4f")])
    zero = (
        alt.Chart(pd.DataFrame({"change": [0.0]}))
        .mark_rule(strokeDash=[3, 3], color=palette.THEMES[theme]["text"])
        .encode(x=x)
    )
    return alt.layer(zero, ticks, mine, width=440, height=52, description=words["alt"])


def readings(found: Sequence[Reading], names: Mapping[str, str], words: Words, theme: str = "light") -> alt.LayerChart:
    """A method a row: its rank correlation with the runs, and the interval."""
    rows = [
        {"name": names[one.name], "correlation": one.correlation, "low": one.low, "high": one.high} for one in found
    ]
    table = pd.DataFrame(rows).sort_values("correlation", ascending=False)
    y = alt.Y(
        "name:N",
        sort=list(table["name"]),
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelLimit=260, labelFlush=False),
    )
    scale = alt.Scale(domain=[min(0.0, float(table["low"].min())), 1], nice=False)
    x = alt.X("correlation:Q", title=words["correlation"], scale=scale, axis=alt.Axis(tickCount=6))
    base = alt.Chart(table).encode(
        y=y, tooltip=[alt.Tooltip(f"{c}:Q", format=".3f") for c in ("correlation", "low", "high")]
    )
    bars = base.mark_bar(height={"band": 0.5}, color=_PAIR[1]).encode(x=x)
    reach = base.mark_rule(strokeWidth=2, color=palette.THEMES[theme]["text"]).encode(x=alt.X("low:Q"), x2="high:Q")
    return alt.layer(bars, reach, width=440, height=alt.Step(26), description=words["alt"])
