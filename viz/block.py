"""The block as figures: additions to the residual stream, norms, hidden units, activations by layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import palette, static_chart, tokens
from viz.steps.equation import EquationFrame, shared_scale

if TYPE_CHECKING:
    from model.residual.activations import Plane
    from model.residual.additions import Addition

Words = dict[str, str]
_GREY = "#888888"
_MARKS, _STILL_ROWS = 5_000, 48  # more rows of a table Altair refuses to write to a file


def addition_table(additions: Sequence[Addition], label: Callable[[str], str]) -> pd.DataFrame:
    """A row a sub-layer, the mean over the tokens that `additions` holds: ‖what comes in‖, ‖what it adds‖, their cosine.

    label: from a sub-layer's name to what is printed.
    """
    columns = {"comes_in": "comes_in", "adds": "adds", "cosine": "cosine"}
    values = {name: [float(getattr(item, part).mean()) for item in additions] for name, part in columns.items()}
    return pd.DataFrame({"depth": range(len(additions)), "name": [label(item.name) for item in additions]} | values)


def addition_chart(table: pd.DataFrame, words: Words) -> alt.LayerChart:
    """Two bars a sub-layer, bottom up as the model computes; the cosine of the two stands behind the second."""
    lines = [words["comes_in"], words["adds"]]
    parts = [
        table.assign(line=name, length=table[column], said=said)
        for name, column, said in zip(
            lines,
            ("comes_in", "adds"),
            ("", [f"cos {round(c, 2) + 0.0:+.2f}".replace("-", "−") for c in table["cosine"]]),
            strict=True,
        )
    ]
    most = float(max(table["comes_in"].max(), table["adds"].max()))
    base = alt.Chart(pd.concat(parts)).encode(
        y=alt.Y("name:N", sort=list(table["name"])[::-1], title=None,
                axis=alt.Axis(labelLimit=240, ticks=False, labelOverlap=False, labelFlush=False)),
        yOffset=alt.YOffset("line:N", sort=lines),
        x=alt.X("length:Q", title=words["length"], axis=alt.Axis(tickCount=6),
                scale=alt.Scale(domain=[0, (most or 1.0) * 1.1], nice=False)),
    )  # fmt: skip
    bars = base.mark_bar(height={"band": 0.8}).encode(
        color=alt.Color("line:N", title=None, sort=lines, scale=alt.Scale(domain=lines, range=[_GREY, palette.PAIR[0]]),
                        legend=alt.Legend(orient="top")),
        tooltip=["name:N", "line:N", alt.Tooltip("length:Q", format=".4f"),
                 alt.Tooltip("cosine:Q", format="+.3f", title=words["cosine"])],
    )  # fmt: skip
    texts = base.mark_text(align="left", dx=5, fontSize=10.5, color=_GREY).encode(text="said:N")
    return alt.layer(bars, texts, height=(31 if len(table) <= 24 else 21) * len(table) + 110, description=words["alt"])


def depth_lines(
    lines: dict[str, Sequence[float]], words: Words, zero: bool = True, at: int | None = None
) -> alt.Chart | alt.LayerChart:
    """One line a series over depth (0 is below the first layer), a rule `at` a depth; `words` name depth and value."""
    rows = [(name, depth, value) for name, values in lines.items() for depth, value in enumerate(values)]
    table = pd.DataFrame(rows, columns=["line", "depth", "value"]).dropna()
    names = list(lines)
    chart = (
        alt.Chart(table)
        .mark_line(point=True)
        .encode(
            x=alt.X("depth:Q", title=words["depth"], axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("value:Q", title=words["value"], scale=alt.Scale(zero=zero)),
            color=alt.Color("line:N", title=None, sort=names, scale=alt.Scale(domain=names, range=palette.PAIR[: len(names)]),
                            legend=alt.Legend(orient="top") if len(names) > 1 else None),
            tooltip=["line:N", "depth:Q", alt.Tooltip("value:Q", format=".4f")],
        )
    )  # fmt: skip
    if at is not None:
        rule = (
            alt.Chart(pd.DataFrame({"depth": [at]}))
            .mark_rule(color=palette.PAIR[1], strokeWidth=1.5)
            .encode(x="depth:Q")
        )
        chart = alt.layer(rule, chart)
    return chart.properties(height=290, description=words["alt"])


def matrices_frame(
    items: Sequence[str | tuple[str, np.ndarray]], labels: list[tokens.Label], row: int, words: Words, height: int = 210,
    shared: bool = True, columns: list[tokens.Label] | None = None, column: int | None = None,
) -> bytes:  # fmt: skip
    """Matrices [rows, ·] with operators between them, one row a token; on one symmetric scale where they are compared.

    row, column: the selected ones.
    """
    frame = EquationFrame(words, row, column, height)
    values = [item[1] for item in items if not isinstance(item, str)]
    scale = shared_scale(values) if shared else None
    first = True
    for item in items:
        if isinstance(item, str):
            frame.operator(item)
            continue
        frame.matrix(item[0], item[1], ("query", labels if first else None), ("key", columns), scale=scale,
                     result=item is items[-1])  # fmt: skip
        first = False
    return frame.frame()


def static_maps(items: Sequence[tuple[str, np.ndarray]], rows: Sequence[str]) -> alt.HConcatChart:
    """The same matrices for a file, each on its own symmetric scale: the first rows and columns where there are more than
    a file of marks takes, which its title says then."""
    charts = []
    for name, values in items:
        height = min(len(values), _STILL_ROWS)
        part = values[:height, : min(static_chart.LARGEST, _MARKS // max(1, height))]
        high = float(np.abs(part).max(initial=0.0)) or 1.0
        names = [str(i) if i % 8 == 0 else "" for i in range(part.shape[1])]
        title = name if part.shape == values.shape else f"{name} [:{part.shape[0]}, :{part.shape[1]}]"
        charts.append(static_chart.heat_map(part, list(rows)[:height], names, -high, high, titles=("", "", title)))
    return static_chart.beside(charts)


def token_bars(values: np.ndarray, labels: Sequence[str], row: int, words: Words) -> alt.Chart:
    """One unit over the tokens in reading order; the selected token in colour."""
    table = pd.DataFrame({"place": range(len(values)), "value": values, "token": list(labels)})
    named = _names(labels)
    return (
        alt.Chart(table)
        .mark_bar(width={"band": min(0.8, 0.1 + len(values) / 12)})
        .encode(
            x=alt.X(
                "place:O",
                title=None,
                axis=alt.Axis(labelExpr=named, labelAngle=-50, labelOverlap=False, ticks=False),
            ),
            y=alt.Y("value:Q", title=words["value"], axis=alt.Axis(tickCount=5)),
            color=alt.condition(alt.datum.place == row, alt.value(palette.PAIR[1]), alt.value(_GREY)),
            tooltip=["token:N", "place:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=310, description=words["alt"])
    )


def _names(labels: Sequence[str]) -> str:
    """A Vega expression for an axis of places: tokens repeat, and an axis' values cannot."""
    return f"{json.dumps(list(labels), ensure_ascii=False)}[datum.value]"


def unit_bars(units: Sequence[tuple[int, float]], chosen: int, words: Words) -> alt.Chart:
    """The units that fire most for one token; the chosen one in colour."""
    table = pd.DataFrame(units, columns=["unit", "value"])
    table["name"] = table["unit"].astype(str)
    colour = alt.condition(alt.datum.unit == chosen, alt.value(palette.PAIR[1]), alt.value(_GREY))
    return (
        alt.Chart(table)
        .mark_bar()
        .encode(
            y=alt.Y(
                "name:N",
                sort=list(table["name"]),
                title=words["unit"],
                axis=alt.Axis(labelOverlap=False, labelFlush=False),
            ),
            x=alt.X("value:Q", title=words["value"], axis=alt.Axis(tickCount=5)),
            color=colour,
            tooltip=["unit:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=19 * len(table) + 75, description=words["alt"])
    )


def curves(points: pd.DataFrame, lines: dict[str, tuple[np.ndarray, np.ndarray]], words: Words) -> alt.LayerChart:
    """Activation functions over this layer's range, name -> (x, y), and one token's own units on the model's function.

    points: columns pre and post, the recorded numbers.
    """
    parts = [pd.DataFrame({"pre": x, "post": y, "line": name}) for name, (x, y) in lines.items()]
    names = list(lines)
    colours = [*palette.PAIR, "#009e73", "#cc79a7"][: len(names)]
    x = alt.X("pre:Q", title=words["pre"], axis=alt.Axis(tickCount=7))
    y = alt.Y("post:Q", title=words["post"], axis=alt.Axis(tickCount=5))
    line = alt.Chart(pd.concat(parts)).mark_line(strokeWidth=2).encode(
        x=x, y=y, color=alt.Color("line:N", title=None, sort=names, scale=alt.Scale(domain=names, range=colours),
                                  legend=alt.Legend(orient="top")),
    )  # fmt: skip
    tooltip = [alt.Tooltip("pre:Q", format=".4f"), alt.Tooltip("post:Q", format=".4f")]
    units = (
        alt.Chart(points)
        .mark_point(size=18, filled=True, color=palette.PAIR[0], opacity=0.6)
        .encode(x=x, y=y, tooltip=tooltip)
    )
    return alt.layer(line, units, height=310, description=words["alt"])


def quantile_chart(table: np.ndarray, names: Sequence[str], words: Words) -> alt.LayerChart:
    """Distribution by layer: table [layers, 7] of `model.residual.activations.QUANTILES`; median, quartiles, 5–95 %, extremes."""
    columns = ["q0", "q5", "q25", "q50", "q75", "q95", "q100"]
    frame = pd.DataFrame(table, columns=columns).assign(layer=list(names))
    order = list(names)
    base = alt.Chart(frame).encode(
        y=alt.Y(
            "layer:N", sort=order[::-1], title=None, axis=alt.Axis(labelLimit=200, labelOverlap=False, labelFlush=False)
        ),
        tooltip=["layer:N", *(alt.Tooltip(f"{c}:Q", format=".4f") for c in columns)],
    )
    whisker = base.mark_rule(color=_GREY).encode(
        x=alt.X("q0:Q", title=words["value"], axis=alt.Axis(tickCount=7)), x2="q100:Q"
    )
    wide = base.mark_bar(height=5, color="#9cc3dd").encode(x="q5:Q", x2="q95:Q")
    box = base.mark_bar(height=11, color=palette.PAIR[0]).encode(x="q25:Q", x2="q75:Q")
    median = base.mark_tick(color="#ffffff", thickness=2, height=11).encode(x="q50:Q")
    return alt.layer(whisker, wide, box, median, height=28 * len(frame) + 80, description=words["alt"])


def plane_chart(plane: Plane, labels: Sequence[str], row: int, words: Words) -> alt.LayerChart:
    """The tokens on two principal components; the selected one in colour."""
    x, y = plane.points.numpy().T
    table = pd.DataFrame({"x": x, "y": y, "token": list(labels), "place": range(len(labels))})
    colour = alt.condition(alt.datum.place == row, alt.value(palette.PAIR[1]), alt.value(palette.PAIR[0]))
    names = [f"PC {i + 1} · {share:.0%}" for i, share in enumerate(plane.share)]
    base = alt.Chart(table).encode(
        x=alt.X("x:Q", title=names[0], axis=alt.Axis(tickCount=6), scale=_roomy(x)),
        y=alt.Y("y:Q", title=names[1], axis=alt.Axis(tickCount=5), scale=_roomy(y)), color=colour,
        tooltip=["token:N", "place:Q", alt.Tooltip("x:Q", format=".3f"), alt.Tooltip("y:Q", format=".3f")],
    )  # fmt: skip
    layers = [base.mark_point(filled=True, size=60, opacity=1)]
    if len(labels) <= 64:
        quiet = alt.condition(alt.datum.place == row, alt.value(palette.PAIR[1]), alt.value(_GREY))
        layers.append(base.mark_text(align="left", dx=7, fontSize=12).encode(text="token:N", color=quiet))
    return alt.layer(*layers, height=420, description=words["alt"])


def _roomy(values: np.ndarray) -> alt.Scale:
    """Room for the names beside the outermost points."""
    low, high = float(values.min()), float(values.max())
    room = 0.12 * ((high - low) or 1.0)
    return alt.Scale(domain=[low - room, high + room], nice=False)


def similarity_frame(values: np.ndarray, labels: list[tokens.Label], at: tuple[int, int], words: Words) -> bytes:
    """Cosines of every two tokens, from −1 to 1."""
    frame = EquationFrame(words, *at, max_height=340)
    scale = {"kind": "diverging", "low": -1, "high": 1}
    frame.matrix("cos", values, ("query", labels), ("key", labels), result=True, scale=scale)
    return frame.frame()
