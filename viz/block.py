"""The block as figures: additions to the residual stream, norms, hidden units, activations by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from viz import tokens
from viz.equation import EquationFrame, shared_scale

if TYPE_CHECKING:
    from model.block_activations import Plane
    from model.block_views import Addition

Words = dict[str, str]
_PAIR = ("#0072b2", "#d55e00")  # Okabe & Ito
_GREY = "#888888"


def addition_table(found: Sequence[Addition], row: int | None, label: Any) -> pd.DataFrame:
    """A row a sub-layer: ‖what comes in‖, ‖what it adds‖, their cosine; of one token, or the mean over all.

    label: from a sub-layer's name to what is printed.
    """

    def one(values) -> float:
        return float(values.mean() if row is None else values[row])

    return pd.DataFrame(
        {
            "depth": range(len(found)),
            "name": [label(item.name) for item in found],
            "comes_in": [one(item.comes_in) for item in found],
            "adds": [one(item.adds) for item in found],
            "cosine": [one(item.cosine) for item in found],
        }
    )


def addition_chart(table: pd.DataFrame, words: Words) -> alt.Chart:
    """Two bars a sub-layer, bottom up as the model computes."""
    lines = [words["comes_in"], words["adds"]]
    long = pd.concat(
        [
            table.assign(line=name, length=table[column])
            for name, column in zip(lines, ("comes_in", "adds"), strict=True)
        ]
    )
    order = list(table["name"])[::-1]
    return (
        alt.Chart(long)
        .mark_bar(height={"band": 0.8})
        .encode(
            y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=240, ticks=False)),
            yOffset=alt.YOffset("line:N", sort=lines),
            x=alt.X("length:Q", title=words["length"], axis=alt.Axis(tickCount=6)),
            color=alt.Color("line:N", title=None, sort=lines, scale=alt.Scale(domain=lines, range=[_GREY, _PAIR[0]]),
                            legend=alt.Legend(orient="top")),
            tooltip=["name:N", "line:N", alt.Tooltip("length:Q", format=".4f"), alt.Tooltip("cosine:Q", format="+.3f")],
        )
        .properties(height=alt.Step(9 if len(table) > 30 else 13), description=words["alt"])
    )  # fmt: skip


def depth_lines(lines: dict[str, Sequence[float]], words: Words, zero: bool = True) -> alt.Chart:
    """One line a series over depth (0 is below the first layer); `words` name depth and value."""
    rows = [(name, depth, value) for name, values in lines.items() for depth, value in enumerate(values)]
    table = pd.DataFrame(rows, columns=["line", "depth", "value"]).dropna()
    names = list(lines)
    return (
        alt.Chart(table)
        .mark_line(point=True)
        .encode(
            x=alt.X("depth:Q", title=words["depth"], axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("value:Q", title=words["value"], scale=alt.Scale(zero=zero)),
            color=alt.Color("line:N", title=None, sort=names, scale=alt.Scale(domain=names, range=list(_PAIR)[: len(names)]),
                            legend=alt.Legend(orient="top") if len(names) > 1 else None),
            tooltip=["line:N", "depth:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=240, description=words["alt"])
    )  # fmt: skip


def matrices_frame(
    items: Sequence[str | tuple[str, np.ndarray]], labels: list[tokens.Label], row: int, words: Words, height: int = 210,
    shared: bool = True, columns: list[tokens.Label] | None = None,
) -> bytes:  # fmt: skip
    """Matrices [rows, ·] with operators between them, one row a token; on one symmetric scale where they are compared."""
    frame = EquationFrame(words, row, None, height)
    values = [item[1] for item in items if not isinstance(item, str)]
    scale = shared_scale(values) if shared else None
    first = True
    for item in items:
        if isinstance(item, str):
            frame.operator(item)
            continue
        frame.matrix(item[0], item[1], ("query", labels if first else None), ("dim", columns), scale=scale,
                     result=item is items[-1])  # fmt: skip
        first = False
    return frame.frame()


def unit_bars(found: Sequence[tuple[int, float]], chosen: int, words: Words) -> alt.Chart:
    """The units that fire most for one token; the chosen one in colour."""
    table = pd.DataFrame(found, columns=["unit", "value"])
    table["name"] = table["unit"].astype(str)
    colour = alt.condition(alt.datum.unit == chosen, alt.value(_PAIR[1]), alt.value(_GREY))
    return (
        alt.Chart(table)
        .mark_bar()
        .encode(
            y=alt.Y("name:N", sort=list(table["name"]), title=words["unit"], axis=alt.Axis(labelOverlap=False)),
            x=alt.X("value:Q", title=words["value"], axis=alt.Axis(tickCount=5)),
            color=colour,
            tooltip=["unit:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=alt.Step(17), description=words["alt"])
    )


def curves(points: pd.DataFrame, lines: dict[str, tuple[np.ndarray, np.ndarray]], words: Words) -> alt.LayerChart:
    """Activation functions over this layer's range, name -> (x, y), and one token's own units on the model's function.

    points: columns pre and post, the recorded numbers.
    """
    parts = [pd.DataFrame({"pre": x, "post": y, "line": name}) for name, (x, y) in lines.items()]
    names = list(lines)
    colours = [*_PAIR, "#009e73"][: len(names)]
    x = alt.X("pre:Q", title=words["pre"], axis=alt.Axis(tickCount=7))
    y = alt.Y("post:Q", title=words["post"], axis=alt.Axis(tickCount=5))
    line = alt.Chart(pd.concat(parts)).mark_line(strokeWidth=2).encode(
        x=x, y=y, color=alt.Color("line:N", title=None, sort=names, scale=alt.Scale(domain=names, range=colours),
                                  legend=alt.Legend(orient="top")),
    )  # fmt: skip
    tooltip = [alt.Tooltip("pre:Q", format=".4f"), alt.Tooltip("post:Q", format=".4f")]
    units = (
        alt.Chart(points)
        .mark_point(size=18, filled=True, color=_PAIR[0], opacity=0.6)
        .encode(x=x, y=y, tooltip=tooltip)
    )
    return alt.layer(line, units).properties(height=260, description=words["alt"])


def quantile_chart(table: np.ndarray, names: Sequence[str], words: Words) -> alt.LayerChart:
    """Distribution by layer: table [layers, 7] of `model.block_activations.QUANTILES`; median, quartiles, 5–95 %, extremes."""
    columns = ["q0", "q5", "q25", "q50", "q75", "q95", "q100"]
    frame = pd.DataFrame(table, columns=columns).assign(layer=list(names))
    order = list(names)
    base = alt.Chart(frame).encode(
        y=alt.Y("layer:N", sort=order[::-1], title=None, axis=alt.Axis(labelLimit=200)),
        tooltip=["layer:N", *(alt.Tooltip(f"{c}:Q", format=".4f") for c in columns)],
    )
    whisker = base.mark_rule(color=_GREY).encode(
        x=alt.X("q0:Q", title=words["value"], axis=alt.Axis(tickCount=7)), x2="q100:Q"
    )
    wide = base.mark_bar(height=5, color="#9cc3dd").encode(x="q5:Q", x2="q95:Q")
    box = base.mark_bar(height=11, color=_PAIR[0]).encode(x="q25:Q", x2="q75:Q")
    median = base.mark_tick(color="#ffffff", thickness=2, height=11).encode(x="q50:Q")
    return alt.layer(whisker, wide, box, median).properties(height=alt.Step(24), description=words["alt"])


def plane_chart(found: Plane, labels: Sequence[str], row: int, words: Words) -> alt.LayerChart:
    """The tokens on two principal components; the selected one in colour."""
    x, y = found.points.numpy().T
    table = pd.DataFrame({"x": x, "y": y, "token": list(labels), "place": range(len(labels))})
    colour = alt.condition(alt.datum.place == row, alt.value(_PAIR[1]), alt.value(_PAIR[0]))
    names = [f"PC {i + 1} · {share:.0%}" for i, share in enumerate(found.share)]
    base = alt.Chart(table).encode(
        x=alt.X("x:Q", title=names[0], axis=alt.Axis(tickCount=6)),
        y=alt.Y("y:Q", title=names[1], axis=alt.Axis(tickCount=5)), color=colour,
        tooltip=["token:N", "place:Q", alt.Tooltip("x:Q", format=".3f"), alt.Tooltip("y:Q", format=".3f")],
    )  # fmt: skip
    points = base.mark_point(filled=True, size=50, opacity=0.85)
    layers = [points]
    if len(labels) <= 64:
        layers.append(base.mark_text(align="left", dx=7, fontSize=11).encode(text="token:N"))
    return alt.layer(*layers).properties(height=380, description=words["alt"])


def similarity_frame(values: np.ndarray, labels: list[tokens.Label], at: tuple[int, int], words: Words) -> bytes:
    """Cosines of every two tokens, from −1 to 1."""
    frame = EquationFrame(words, *at, max_height=340)
    scale = {"kind": "diverging", "low": -1, "high": 1}
    frame.matrix("cos", values, ("query", labels), ("key", labels), result=True, scale=scale)
    return frame.frame()
