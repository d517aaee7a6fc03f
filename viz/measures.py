"""Pictures of what heads do in numbers: every measure as a small layer × head map, and induction with its intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from model.measures import registry
from viz.base import palette

if TYPE_CHECKING:
    from model.measures.measure import Measure
    from model.trace.site import Site
    from model.trace.trace import Trace

Words = dict[str, str]
Head = tuple[str, int]
_ACROSS = 4
_WIDTH, _HEIGHT = 196, 190  # pixels of one map
_BARS = 16
_EDGE = "#88888855"  # a cell of 0 has the page's colour: its edge tells it from a measure that does not apply


def rows(trace: Trace, short: Words, upwards: bool = False) -> dict[str, str]:
    """site -> how its row is called: its layer's number, with a letter in front where there is more than one kind.

    Kind by kind, each with its last layer on top, as the model is drawn; upwards: for an axis that begins below.
    """
    kinds = {(site.stack, site.kind) for site in trace.sites}

    def of_kind(site: Site) -> str:
        return short[f"{site.stack}_{site.kind}"] if len(kinds) > 1 else ""

    stacks, way = list(dict.fromkeys(site.stack for site in trace.sites)), 1 if upwards else -1

    return {
        str(site): of_kind(site) + str(site.layer)
        for site in sorted(
            trace.sites,
            key=lambda site: (
                site.stack != "encoder",
                stacks.index(site.stack),
                site.kind != "self",
                way * site.layer,
            ),
        )
    }


def maps(
    measures: pd.DataFrame,
    named: dict[str, str],
    marked: Sequence[Head],
    words: Words,
    theme: str = "light",
    selected: Head | None = None,
) -> dict[str, alt.LayerChart]:
    """One map a measure that is drawn; the table has them all. Rows are sub-layers, columns heads.

    named: `rows`. marked: the picked heads, framed; selected: the one that every page shows, framed in the accent colour.
    A click is the point selection "head" with the field "id".
    """
    table = measures.assign(
        row=[named[site] for site in measures["site"]],
        id=[f"{site}.{head}" for site, head in zip(measures["site"], measures["head"], strict=True)],
    )
    ink, accent = (palette.THEMES[theme][name] for name in ("text", "accent"))
    frames = {f"{site}.{head}": ink for site, head in marked}
    if selected is not None:
        frames[f"{selected[0]}.{selected[1]}"] = accent
    drawn = [measure for measure in registry.DRAWN if not table[measure.column].isna().all()]
    return {one.column: _map(table, one, tuple(named.values()), frames, words, theme) for one in drawn}


def clickable(chart: alt.LayerChart) -> alt.LayerChart:
    """A map whose cells answer to a click."""
    click = alt.selection_point(name="head", fields=["id"], on="click", toggle=False, clear=False, empty=False)
    copy = chart.copy(deep=["layer"])  # `add_params` and `properties` copy the whole chart thrice
    copy.layer[0] = copy.layer[0].add_params(click)
    copy["autosize"] = "pad"
    return copy.copy(deep=False)


def together(charts: dict[str, alt.LayerChart]) -> alt.ConcatChart:
    """All maps as one figure for a file."""
    return alt.concat(*charts.values(), columns=_ACROSS).resolve_scale(color="independent")


def _map(
    table: pd.DataFrame, measure: Measure, order: tuple[str, ...], frames: dict[str, str], words: Words, theme: str
) -> alt.LayerChart:
    name = measure.column
    data = table[["id", "site", "head", "row", name]].rename(columns={name: "value"}).dropna()
    high = max(1, int(table["head"].max()) + 1)
    step = min(22.0, _WIDTH / high)
    tall = max(5.0, min(22.0, _HEIGHT / len(order)))
    labelled = [row for i, row in enumerate(order) if tall >= 11 or i % max(1, round(12 / tall)) == 0]
    y = alt.Y("row:N", sort=order, scale=alt.Scale(domain=order), title=None,
              axis=alt.Axis(ticks=False, domain=False, values=labelled, labelPadding=4, labelFlush=False))  # fmt: skip
    x = alt.X("head:O", title=None, axis=alt.Axis(ticks=False, domain=False, labelAngle=0, labelPadding=4, labelFlush=False,
                                                  values=list(range(0, high, 1 if step >= 14 else 4))))  # fmt: skip
    base = alt.Chart(data).encode(x=x, y=y)
    cells = base.mark_rect(stroke=_EDGE, strokeWidth=1 if tall >= 9 else 0.4).encode(
        color=alt.Color("value:Q", title=None, scale=_scale(data["value"], measure, theme),
                        legend=alt.Legend(orient="bottom", gradientLength=110, gradientThickness=6, tickCount=2,
                                          format=".2~f", offset=6)),
        tooltip=[alt.Tooltip("site:N", title=words["site"]), alt.Tooltip("head:O", title=words["head"]),
                 alt.Tooltip("value:Q", title=words[name], format=".4f")],
    )  # fmt: skip
    framed = data[data["id"].isin(frames)].assign(frame=lambda told: told["id"].map(frames))
    around = alt.Chart(framed).mark_rect(filled=False, strokeWidth=2.5)
    around = around.encode(x=x, y=y, stroke=alt.Stroke("frame:N", scale=None))
    return alt.layer(
        cells, around, width=step * high, height=tall * len(order),
        description=words["alt"].format(measure=words[name]),
        title=alt.TitleParams(words[name], anchor="start", fontSize=13, fontWeight=600, offset=8),
    )  # fmt: skip


def _scale(values: pd.Series, measure: Measure, theme: str) -> alt.Scale:
    """Shares from 0 to 1; what can be negative is diverging and symmetric; the rest from 0 to its largest."""
    if measure.signed:
        end = float(values.abs().max()) or 1.0
        return alt.Scale(domain=[-end, end], range=palette.diverging(theme)[::4], interpolate="rgb")
    end = 1.0 if measure.share else float(values.max()) or 1.0
    return alt.Scale(domain=[0, end], range=palette.sequential(theme)[::4], interpolate="rgb", clamp=True)


def induction_bars(table: pd.DataFrame, named: Words, words: Words, theme: str = "light") -> alt.LayerChart:
    """The heads with the most induction, each with its 95 % interval.

    The interval lies half on its bar and half on the page: it has the text's colour, on a wider line of the page's.
    """
    best = table.dropna().sort_values("induction", ascending=False).head(_BARS)
    data = best.assign(name=[named[site].format(head=h) for site, h in zip(best["site"], best["head"], strict=True)])
    y = alt.Y(
        "name:N",
        sort=list(data["name"]),
        title=None,
        axis=alt.Axis(labelLimit=220, ticks=False, domain=False, labelFlush=False),
    )
    x: dict[str, Any] = {"scale": alt.Scale(domain=[0, 1]), "title": words["induction"]}
    tips = [
        alt.Tooltip("name:N", title=words["head"]),
        *(
            alt.Tooltip(f"{n}:Q", title=words[n], format=".4f") for n in ("induction", "low", "high")
        ),
        alt.Tooltip("n:Q", title=words["n"], format=","),
    ]  # fmt: skip
    base = alt.Chart(data).encode(y=y, tooltip=tips)
    bars = base.mark_bar(color=palette.HEADS[0], cornerRadiusEnd=2).encode(x=alt.X("induction:Q", **x))
    ends = {"x": alt.X("low:Q", **x), "x2": "high:Q"}
    around, ink = palette.THEMES[theme]["background"], palette.THEMES[theme]["text"]
    halo = base.mark_rule(color=around, strokeWidth=6, strokeCap="square").encode(**ends)
    span = base.mark_rule(color=ink, strokeWidth=2).encode(**ends)
    caps = [
        base.mark_tick(color=ink, thickness=2, size=10, orient="vertical").encode(x=alt.X(f"{end}:Q", **x))
        for end in ("low", "high")
    ]
    return alt.layer(bars, halo, span, *caps, height=alt.Step(20), description=words["alt"])
