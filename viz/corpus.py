"""Many texts at once: how a measure spreads over them for every head, and for one head in full."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import altair as alt
import numpy as np
import pandas as pd

from model.measures.registry import BY_COLUMN
from viz.base import numbers, palette

MOST = 1_600  # heads drawn at once: six marks each
_BINS = 40
_EDGE = 0.05  # of a cell on either side
_BANDS = (40, 120, 232)  # of the sequential scale's 256: 5–95 %, 25–75 %, median
_AXIS = 48  # pixels that a page takes from a chart's height for its axis
_BARE = alt.ViewBackground(stroke=None)


def is_share(measure: str) -> bool:
    """Whether a profile's column is a share of something, which lies between 0 and 1 whatever these texts have."""
    return measure in BY_COLUMN and BY_COLUMN[measure].share


def scale(measure: str, quantiles: np.ndarray) -> tuple[float, float]:
    """Where the cells of a measure begin and end: 0–1 for shares, else what 5 % and 95 % of the texts reach, and 0.

    quantiles [5, head]; ends are rounded outwards.
    """
    if is_share(measure):
        return 0.0, 1.0
    finite = quantiles[np.isfinite(quantiles)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    low, high = min(0.0, _outwards(low)), max(0.0, _outwards(high))
    return (low, high) if high > low else (low, low + 1.0)


def _outwards(value: float) -> float:
    """The next 1, 1.5, 2, 2.5 … times a power of ten, further from 0: 2.713 -> 3."""
    if value == 0:
        return 0.0
    step = 10.0 ** math.floor(math.log10(abs(value))) / 2
    return math.copysign(round(math.ceil(abs(value) / step - 1e-9) * step, 12), value)


def strips(
    quantiles: np.ndarray,
    heads: Sequence[tuple[str, int]],
    names: Mapping[str, str],
    ends: tuple[float, float],
    selected: tuple[str, int],
    words: Mapping[str, str],
    theme: str = "light",
) -> alt.LayerChart:
    """quantiles [5, head] as one cell a head, layers down and heads across; in each cell the scale `ends` from left to right.

    names: what a site is called. A click gives `site` and `head` under the name "cell". A head that has no value is empty.
    """
    table = _cells(quantiles, heads, names, ends)
    rows = _rows(heads)
    across = max(head for _, head in heads) + 1
    thick = 36 if len(rows) <= 8 else 28 if len(rows) <= 16 else 20
    labels = "[" + ",".join(f"'{names[site]}'" for site in rows) + "]"
    y = alt.Y(
        "row:O", axis=alt.Axis(labelExpr=f"{labels}[datum.value]", title=None, ticks=False, domain=False, labelLimit=240,
                               labelPadding=8, labelOverlap=False, labelFlush=False),
        scale=alt.Scale(paddingInner=0.16, paddingOuter=0.04),
    )  # fmt: skip
    at = alt.Axis(orient="top", values=[h + 0.5 for h in range(across)], labelExpr="format(datum.value - 0.5, 'd')",
                  title=words["head"], ticks=False, domain=False, grid=False, labelOverlap=True)  # fmt: skip
    base = alt.Chart(table).encode(y=y)

    def span(first: str, last: str, **how: object) -> alt.Chart:
        x = alt.X(f"{first}:Q", axis=at, scale=alt.Scale(domain=[0, across], nice=False, zero=False))
        return base.mark_bar(**how).encode(x=x, x2=f"{last}:Q")

    colours, ink = palette.sequential(theme), palette.THEMES[theme]["text"]
    faint = {"light": "#f4f4f8", "dark": "#1b1e28"}[theme]
    parts = [
        span("left", "right", color=faint, cornerRadius=3),
        span("a", "e", color=colours[_BANDS[0]], height=alt.RelativeBandSize(band=0.38)),
        span("b", "d", color=colours[_BANDS[1]], height=alt.RelativeBandSize(band=0.38)),
        base.mark_tick(color=colours[_BANDS[2]], thickness=2.5, height=alt.RelativeBandSize(band=0.66)).encode(x="c:Q"),
    ]
    if ends[0] < 0:  # where 0 is, in a cell that has both signs
        line = base.mark_tick(color=ink, opacity=0.35, thickness=1, height=alt.RelativeBandSize(band=1))
        parts.insert(1, line.encode(x="zero:Q"))
    chosen = table[(table.site == selected[0]) & (table["head"] == selected[1])]
    if len(chosen):
        mark = alt.Chart(chosen).mark_bar(filled=False, stroke=ink, strokeWidth=1.5, cornerRadius=3)
        parts.append(mark.encode(y=y, x=alt.X("left:Q", axis=at), x2="right:Q"))
    click = alt.selection_point(
        name="cell", fields=["site", "head"], on="click", toggle=False, clear=False, empty=False
    )
    tips = [alt.Tooltip("name:N", title=words["where"]), alt.Tooltip("head:Q", title=words["head"]),
            *(alt.Tooltip(f"{key}:N", title=words[key]) for key in ("median", "half", "most"))]  # fmt: skip
    parts.append(span("left", "right", opacity=0).encode(tooltip=tips).add_params(click))
    return alt.layer(*parts, height=thick * len(rows) + _AXIS, view=_BARE, description=words["alt"])


def _rows(heads: Sequence[tuple[str, int]]) -> list[str]:
    """The sub-layers kind by kind, each with its last layer on top."""
    told = [site.split(".") for site in dict.fromkeys(site for site, _ in heads)]
    kinds = list(dict.fromkeys((stack, kind) for stack, _, kind in told))
    order = sorted(told, key=lambda site: (kinds.index((site[0], site[2])), -int(site[1])))
    return [".".join(site) for site in order]


def _cells(
    quantiles: np.ndarray, heads: Sequence[tuple[str, int]], names: Mapping[str, str], ends: tuple[float, float]
) -> pd.DataFrame:
    """One row a head: where its cell lies, where in it the quantiles a … e lie, and the numbers as text."""
    low, high = ends
    rows = {site: row for row, site in enumerate(_rows(heads))}
    inside = np.clip((quantiles - low) / (high - low), 0, 1) * (1 - 2 * _EDGE) + _EDGE
    table = pd.DataFrame(
        [
            {"site": site, "head": head, "row": rows[site], "name": names[site], "left": head + _EDGE / 2,
             "right": head + 1 - _EDGE / 2}
            for site, head in heads
        ]
    )  # fmt: skip
    for key, place in zip("abcde", inside, strict=True):
        table[key] = place + table["head"]
    if low < 0:
        table["zero"] = table["head"] + _EDGE - low / (high - low) * (1 - 2 * _EDGE)
    told = [[numbers.short(float(value)) for value in column] for column in quantiles.T]
    table["median"] = [column[2] for column in told]
    table["half"] = [f"{column[1]} – {column[3]}" for column in told]
    table["most"] = [f"{column[0]} – {column[4]}" for column in told]
    return table


def legend(ends: tuple[float, float], unit: str, words: Mapping[str, str], theme: str = "light") -> alt.LayerChart:
    """One cell, drawn large: what its bands are, and where its scale begins and ends."""
    colours, ink = palette.sequential(theme), palette.THEMES[theme]["text"]
    at = (0.12, 0.32, 0.5, 0.68, 0.88)
    names = ("5 %", "25 %", words["median"], "75 %", "95 %")
    x = alt.Scale(domain=[-0.12, 1.3], nice=False)

    def bar(first: float, last: float, colour: str, height: float) -> alt.Chart:
        table = pd.DataFrame({"x": [first], "x2": [last]})
        mark = alt.Chart(table).mark_bar(color=colour, height=height, cornerRadius=3 if height > 20 else 0)
        return mark.encode(x=alt.X("x:Q", axis=None, scale=x), x2="x2:Q", y=alt.value(15))

    faint = {"light": "#f4f4f8", "dark": "#1b1e28"}[theme]
    parts = [bar(0, 1, faint, 30), bar(at[0], at[4], colours[_BANDS[0]], 10), bar(at[1], at[3], colours[_BANDS[1]], 10)]
    tick = alt.Chart(pd.DataFrame({"x": [at[2]]})).mark_tick(color=colours[_BANDS[2]], thickness=2.5, height=18)
    parts.append(tick.encode(x=alt.X("x:Q", axis=None, scale=x), y=alt.value(15)))
    spots = pd.DataFrame({"x": at, "name": names})
    said = {"color": ink, "fontSize": 10.5, "opacity": 0.75}
    parts.append(alt.Chart(spots).mark_text(**said).encode(x="x:Q", y=alt.value(38), text="name:N"))
    for value, place, side in ((ends[0], 0.0, "right"), (ends[1], 1.0, "left")):
        spot = pd.DataFrame({"x": [place], "name": [f"{numbers.short(value)}{f' {unit}' if unit and place else ''}"]})
        text = alt.Chart(spot).mark_text(align=side, dx=-6 if side == "right" else 6, **said)
        parts.append(text.encode(x="x:Q", y=alt.value(15), text="name:N"))
    return alt.layer(*parts, width=420, height=46, view=_BARE)


def histogram(
    values: np.ndarray, words: Mapping[str, str], theme: str = "light", share: bool = False
) -> alt.LayerChart:
    """One head's values [text], counted in at most 40 bins of a round width; the median is marked. share: 0–1 at most."""
    counted = bins(values, share)
    colours = palette.sequential(theme)
    ink = palette.THEMES[theme]["text"]
    axis = alt.Axis(grid=False, format="~g", tickCount=12)
    x = alt.X("low:Q", title=words["value"], axis=axis, scale=alt.Scale(nice=False, zero=False))
    room = alt.Scale(domainMin=0, domainMax=float(counted["count"].max()) * 1.16, nice=False)  # for the median's name
    y = alt.Y("count:Q", title=words["texts"], scale=room, axis=alt.Axis(tickCount=4, format="d", tickMinStep=1))
    tips = [alt.Tooltip("told:N", title=words["value"]), alt.Tooltip("count:Q", title=words["texts"])]
    bars = alt.Chart(counted).mark_rect(color=colours[_BANDS[1]], stroke=palette.THEMES[theme]["background"])
    bars = bars.encode(x=x, x2="high:Q", y=y, y2="zero:Q", tooltip=tips)
    middle = float(np.nanmedian(values))
    at = pd.DataFrame({"low": [middle], "name": [f"{words['median']} {numbers.short(middle)}"]})
    rule = alt.Chart(at).mark_rule(color=ink, strokeWidth=1.5).encode(x="low:Q")
    text = alt.Chart(at).mark_text(align="left", dx=5, dy=-2, baseline="top", color=ink, fontSize=11)
    text = text.encode(x="low:Q", y=alt.value(0), text="name:N")
    return alt.layer(bars, rule, text, height=180 + _AXIS, view=_BARE, description=words["alt"])


def bins(values: np.ndarray, share: bool = False) -> pd.DataFrame:
    """low, high, count, told: the finite values [text] in bins of a round width; the last one has its upper edge in it."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = float(finite.min()), float(finite.max())
    step = _round_step((high - low) / _BINS) if high > low else abs(low) / 10 or 0.1
    first = math.floor(low / step + 1e-9)
    count = max(1, math.ceil((high / step - first) - 1e-9))
    edges = (first + np.arange(count + 1)) * step
    if share:
        edges = np.clip(edges, 0, 1)
        edges = np.unique(edges) if len(np.unique(edges)) > 1 else np.array([0.0, 1.0])
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    counts, _ = np.histogram(finite, edges)
    told = [f"{numbers.short(a)} – {numbers.short(b)}" for a, b in pairwise(edges)]
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "count": counts, "zero": 0, "told": told})


def _round_step(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))
