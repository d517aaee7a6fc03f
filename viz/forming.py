"""A head over the steps of a training: its weights at all of them as one frame to scrub, and measures as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from viz.base import cell_states, palette, tokens
from viz.base.payload import pack
from viz.heads import matrix

if TYPE_CHECKING:
    from pandas import DataFrame

    from model.forming.change_point import ChangePoint
    from model.forming.over_steps import StepRun
    from model.trace.site import Site
    from viz.base.axes import Axes

Words = Mapping[str, str]
_MOST_TICKS = 8


def scrub_frame(
    runs: Sequence[StepRun], site: Site, head: int, selection: tuple[int, int], words: dict[str, str], shown: Axes,
    step: int, end: float, max_height: int = 520,
) -> bytes:  # fmt: skip
    """The matrix of one head at every step, values and states [steps, queries, keys], which opens at `step`.

    All runs read the tokens of the last one; what a decoder writes after each is its step's own. end: the weight that gets the
    darkest colour.
    """
    trace = runs[-1].trace
    cells = [matrix.cells(run.trace.record(site), head, shown) for run in runs]
    values = np.stack([each for each, _ in cells])
    states = np.stack([cell_states.states(each, allowed, high=end) for each, allowed in cells])
    told = matrix.header(trace, site, shown, selection, words) | {
        "rows": list(shown[0].labels), "columns": list(shown[1].labels),
        "row_breaks": shown[0].breaks, "column_breaks": shown[1].breaks,
        "scale": {"kind": "sequential", "low": 0, "high": end}, "max_height": max_height,
        "causal": trace.record(site).mask.causal and site.query_side == site.key_side,
        "steps": [run.step for run in runs], "at": step,
    }  # fmt: skip
    if site.query_side == "decoder" and trace.written():
        told |= _rows_at(runs, site, told)
    return pack(told, values=values, state=states)


def _rows_at(runs: Sequence[StepRun], site: Site, told: Mapping[str, Any]) -> dict[str, Any]:
    """The names of the rows at every step, and the room that the longest of them takes, so that no step moves the cells."""
    window = slice(told["row_start"], told["row_start"] + len(told["rows"]))
    names = [[label["text"] for label in tokens.query_labels(run.trace, site)[window]] for run in runs]
    every = [{"text": text} for text in dict.fromkeys(text for row in names for text in row)]
    room = {"rows": every, "columns": told["columns"], "titles": [told["row_title"]], "n": len(told["rows"]),
            "m": len(told["columns"])}  # fmt: skip
    return {"rows_at": names, "room": room}


def ticks(steps: Sequence[int]) -> list[int]:
    """0, the powers of ten among the steps, and the last one."""
    last = steps[-1]
    powers = [10**power for power in range(12) if steps[0] <= 10**power < last / 1.8]
    return [*([0] if steps[0] == 0 else []), *powers[-_MOST_TICKS:], last]


def curves(
    table: DataFrame, measure: str, chosen: tuple[str, int], step: int, words: Words, theme: str,
    bounds: tuple[float, float], change: ChangePoint | None = None,
) -> alt.LayerChart:  # fmt: skip
    """A measure of every head over log(1 + step): the chosen one in colour, the others pale; a rule at `step`, and a band where
    the chosen one changed.

    table: that of `model.forming.over_steps.table`, with a column "name" of what each head is called.
    """
    rows = table[["step", "site", "head", "name", measure]].rename(columns={measure: "value"}).dropna()
    rows["chosen"] = (rows["site"] == chosen[0]) & (rows["head"] == chosen[1])
    every = sorted(table["step"].unique().tolist())
    axis = alt.Axis(values=ticks(every), format=",d", grid=False, labelOverlap=True)
    across = alt.Scale(type="symlog", constant=1, domain=[every[0], every[-1]], nice=False)
    x = alt.X("step:Q", title=words["steps"], scale=across, axis=axis)
    low, high = bounds
    up = alt.Scale(domain=[low, high], nice=False) if np.isfinite(high) else alt.Scale(zero=True, nice=True)
    y = alt.Y("value:Q", title=words["value"], scale=up, axis=alt.Axis(tickCount=5, format=".2~f"))
    tips = [alt.Tooltip("name:N", title=words["head"]), alt.Tooltip("step:Q", title=words["steps"], format=",d"),
            alt.Tooltip("value:Q", title=words["value"], format=".4f")]  # fmt: skip
    ink = palette.THEMES[theme]["text"]
    lines = alt.Chart(rows).encode(x=x, y=y, detail=["site:N", "head:O"], tooltip=tips)
    layers: list[Any] = []
    if change is not None:
        band = alt.Chart(alt.Data(values=[{"low": change.low, "high": change.high}]))
        layers.append(band.mark_rect(color=ink, opacity=0.1).encode(x=alt.X("low:Q", scale=across), x2="high:Q"))
    layers += [
        lines.transform_filter("!datum.chosen").mark_line(color=ink, opacity=0.28, strokeWidth=1.2),
        lines.transform_filter("datum.chosen").mark_line(
            color=palette.THEMES[theme]["accent"], strokeWidth=2.6, point={"size": 22, "color": palette.THEMES[theme]["accent"]}
        ),
        alt.Chart(alt.Data(values=[{"step": step}])).mark_rule(color=ink, strokeDash=[4, 3]).encode(x=x),
        # A thin line is hard to hit: a wider one that is not seen answers.
        lines.mark_line(opacity=0, strokeWidth=9),
    ]  # fmt: skip
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return alt.layer(*layers, height=300, autosize=fit, description=words["alt"])


def clickable(chart: alt.LayerChart) -> alt.LayerChart:
    """Curves that answer to a press with the head that they are of."""
    press = alt.selection_point(
        name="head", fields=["site", "head"], on="click", toggle=False, clear=False, empty=False
    )
    copy = chart.copy(deep=["layer"])
    copy.layer[-1] = copy.layer[-1].add_params(press)  # the wide lines that are not seen
    return copy
