"""Pictures of positions: tables as heat maps, dimensions as curves, pairs as arrows on a circle, biases by offset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from viz.base import palette
from viz.base.cell_states import states
from viz.base.payload import pack
from viz.base.tokens import Label
from viz.pair_plane import SIZE, arrows, plane
from viz.steps.equation import EquationFrame, shared_scale

if TYPE_CHECKING:
    from model.positions.tables import PairRotation, Sum

Words = dict[str, str]
# More rows than this Altair refuses to write to a file.
MOST_MARKS = 5_000
_GREY = "#888888"


def numbered(count: int, start: int = 0) -> list[Label]:
    """0, 1, … as the labels of an axis."""
    return [{"text": str(start + i), "kind": "word"} for i in range(count)]


def diverging(values: np.ndarray, share: float = 1.0) -> dict[str, Any]:
    """A symmetric scale up to the largest number, or to the size that `share` of all numbers stay below."""
    sizes = np.abs(values[np.isfinite(values)])
    end = float(np.quantile(sizes, share)) if sizes.size else 1.0
    return {"kind": "diverging", "low": -(end or 1.0), "high": end or 1.0}


def grid_frame(
    values: np.ndarray, rows: Sequence[Label], columns: Sequence[Label], words: Words, scale: dict[str, Any],
    selection: tuple[int, int] | None = None, max_height: int = 420, sides: tuple[str, str] = ("grid-rows", "grid-columns"),
    curve: np.ndarray | None = None, notes: Sequence[str] = (),
) -> bytes:  # fmt: skip
    """values [rows, columns] as a frame of the matrix component; `words` holds "row" and "column", the axes' titles.

    curve [columns]: a row of each column, fractions too, joined by a line over the cells, which words["curve"] names.
    notes: what the cell's line says of each column.
    """
    header = {
        "selection": None if selection is None else {"row": selection[0], "column": selection[1]},
        "words": words,
        "row_title": words["row"],
        "column_title": words["column"],
        "row_side": sides[0],
        "column_side": sides[1],
        "row_start": 0,
        "column_start": 0,
        "rows": list(rows),
        "columns": list(columns),
        "scale": scale,
        "max_height": max_height,
        "curve": [] if curve is None else curve.tolist(),
        "notes": list(notes),
    }
    return pack(header, values=values.astype(np.float32), state=states(values, None, scale["low"], scale["high"]))


def sum_frame(embedding_sum: Sum, labels: Sequence[Label], words: Words, dims: slice) -> bytes:
    """E + PE (+ T) = X as three (four) matrices of the same scale, of which the dimensions `dims` are drawn."""
    parts = [("E", embedding_sum.embedding), ("PE", embedding_sum.positions)]
    parts += [("T", embedding_sum.segments)] if embedding_sum.segments is not None else []
    drawn = [(name, values.numpy()[:, dims]) for name, values in (*parts, ("X", embedding_sum.total))]
    frame = EquationFrame(words, max_height=300)
    scale = shared_scale([values for _, values in drawn])
    for i, (name, values) in enumerate(drawn):
        if i:
            frame.operator("=" if name == "X" else "+")
        frame.matrix(name, values, ("query", list(labels) if i == 0 else None), result=name == "X", scale=scale)
    frame.link = {"kind": "elementwise", "operands": [name for name, _ in drawn[:-1]], "result": "X"}
    return frame.frame()


def rotation_frame(letter: str, before: np.ndarray, after: np.ndarray, labels: Sequence[Label], words: Words) -> bytes:
    """q' → q (k' → k): a head's numbers before and after the turn, on one scale."""
    frame = EquationFrame(words, max_height=270)
    scale = shared_scale([before, after])
    frame.matrix(f"{letter}'", before, ("query", list(labels)), scale=scale)
    frame.operator("→")
    frame.matrix(letter, after, ("query", None), result=True, scale=scale)
    frame.link = {"kind": "rows", "operands": [f"{letter}'"], "result": letter}
    return frame.frame()


def curves(table: np.ndarray, dims: Sequence[int], words: Words, at: int | None = None) -> alt.Chart | alt.LayerChart:
    """The numbers of a few dimensions of a table [k, d] along the positions; a rule at the position `at`."""
    names = [words["dimension"].format(i=i) for i in dims]
    data = pd.DataFrame({name: table[:, i] for name, i in zip(names, dims, strict=True)})
    long = data.assign(position=range(len(table))).melt("position", names, var_name="dimension", value_name="value")
    lines = (
        alt.Chart(long)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("position:Q", title=words["position"], axis=alt.Axis(format="d", grid=False)),
            y=alt.Y("value:Q", title=words["value"], axis=alt.Axis(tickCount=5)),
            color=alt.Color("dimension:N", title=None, sort=names, scale=alt.Scale(range=list(palette.HEADS)),
                            legend=alt.Legend(orient="top", columns=3, labelLimit=0)),
            tooltip=["position:Q", "dimension:N", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=300, description=words["alt"])
    )  # fmt: skip
    if at is None:
        return lines
    rule = alt.Chart(pd.DataFrame({"position": [at]})).mark_rule(color=_GREY, strokeDash=[3, 3]).encode(x="position:Q")
    return alt.layer(lines, rule, height=300, description=words["alt"])


def circle(rotation: PairRotation, trail: np.ndarray, position: int, shift: int, words: Words) -> alt.LayerChart:
    """One pair of dimensions: every position's point (cos, sin) on the circle, and the arrow of k turned to k + δ."""
    names = [f"PE({position})", f"PE({position + shift})"]
    points = pd.DataFrame({"x": trail[:, 1], "y": trail[:, 0], "position": range(len(trail))})
    ends = np.stack([rotation.before.numpy(), rotation.rotated.numpy()])
    heads = pd.DataFrame({"x": ends[:, 1], "y": ends[:, 0], "name": names})
    titles = words["cos"], words["sin"]
    colour = alt.Color("name:N", title=None, sort=names, scale=alt.Scale(domain=names, range=list(palette.HEADS[:2])),
                       legend=alt.Legend(orient="top"))  # fmt: skip
    dots = plane(points, 1.2, titles).mark_circle(size=16, color=_GREY, opacity=0.55).encode(tooltip=["position:Q"])
    lines = plane(arrows(heads), 1.2, titles).mark_line(strokeWidth=3).encode(color=colour, order="end:Q")
    tips = (
        plane(heads, 1.2, titles)
        .mark_point(size=90, filled=True, opacity=1)
        .encode(color=colour, tooltip=["name:N", alt.Tooltip("y:Q", title="sin", format=".4f"),
                                       alt.Tooltip("x:Q", title="cos", format=".4f")])
    )  # fmt: skip
    return alt.layer(dots, lines, tips, width=SIZE, height=SIZE, autosize="pad", description=words["alt"])


def _range(count: int) -> list[str]:
    return [palette.HEADS[i % len(palette.HEADS)] for i in range(count)]


def bias_lines(offsets: np.ndarray, values: np.ndarray, head: int, words: Words) -> alt.Chart:
    """What each head adds to a score by offset j − i, values [h, m]; of many heads or offsets those near 0.

    Up to eight heads have a colour each; of more, the selected one stands out of the grey others.
    """
    near = np.abs(offsets) <= min(128, max(8, MOST_MARKS // (2 * len(values)) - 1))
    offsets, values = offsets[near], values[:, near]
    names = [words["head"].format(head=h) for h in range(len(values))]
    long = pd.DataFrame(
        {"offset": np.tile(offsets, len(values)), "value": values.ravel(), "head": np.repeat(names, len(offsets)),
         "chosen": np.repeat(np.arange(len(values)) == head, len(offsets))}
    )  # fmt: skip
    few = len(values) <= len(palette.HEADS)
    legend = alt.Legend(orient="right") if few else None
    colours = _range(len(values)) if few else [palette.HEADS[1] if h == head else _GREY for h in range(len(values))]
    return (
        alt.Chart(long)
        .mark_line()
        .encode(
            x=alt.X("offset:Q", title=words["offset"], scale=alt.Scale(nice=False), axis=alt.Axis(format="d", grid=False)),
            y=alt.Y("value:Q", title=words["added"]),
            color=alt.Color("head:N", title=None, sort=names, legend=legend,
                            scale=alt.Scale(domain=names, range=colours)),
            opacity=alt.condition("datum.chosen", alt.value(1.0), alt.value(0.75 if few else 0.4)),
            strokeWidth=alt.condition("datum.chosen", alt.value(3.5), alt.value(1.5)),
            tooltip=["head:N", "offset:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=340, description=words["alt"])
    )  # fmt: skip


def bucket_steps(offsets: np.ndarray, buckets: np.ndarray, words: Words) -> alt.Chart:
    """Which row of the table each offset reads."""
    data = pd.DataFrame({"offset": offsets, "bucket": buckets})
    return (
        alt.Chart(data)
        .mark_line(interpolate="step", point=alt.OverlayMarkDef(size=14), strokeWidth=1.5, color=palette.HEADS[0])
        .encode(
            x=alt.X(
                "offset:Q", title=words["offset"], scale=alt.Scale(nice=False), axis=alt.Axis(format="d", grid=False)
            ),
            y=alt.Y("bucket:Q", title=words["bucket"], axis=alt.Axis(format="d", tickMinStep=1)),
            tooltip=["offset:Q", "bucket:Q"],
        )
        .properties(height=300, description=words["alt"])
    )


def by_offset_chart(values: np.ndarray, offsets: np.ndarray, mean: np.ndarray, words: Words) -> alt.LayerChart:
    """Every number of a square matrix at its offset (column − row), and the line through the diagonals' means."""
    i, j = np.indices(values.shape)
    points = pd.DataFrame({"offset": (j - i).ravel(), "value": values.ravel()})
    x = alt.X("offset:Q", title=words["offset"], scale=alt.Scale(nice=False), axis=alt.Axis(format="d", grid=False))
    y = alt.Y("value:Q", title=words["product"], scale=alt.Scale(zero=False))
    line = (
        alt.Chart(pd.DataFrame({"offset": offsets, "value": mean})).mark_line(color=palette.HEADS[1]).encode(x=x, y=y)
    )
    dots = alt.Chart(points).mark_circle(size=26, color=palette.HEADS[0], opacity=1).encode(
        x=x, y=y, tooltip=["offset:Q", alt.Tooltip("value:Q", format=".5f")]
    )  # fmt: skip
    return alt.layer(line, dots, height=200, description=words["alt"])
