"""Several heads on one query, their contexts side by side, and their shares of the output: frames and charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import palette, tokens
from viz.steps.equation import WEIGHTS, EquationFrame, shared_scale

if TYPE_CHECKING:
    import torch

    from model.attention.head_contributions import HeadContributions

_BESIDE = 8  # contexts that are drawn side by side; of more heads those around the selected one
_MARK = "#9a8cff"  # around the selected head's bar, seen in both themes


def head_labels(count: int, words: dict[str, str], bias: bool = False) -> list[tokens.Label]:
    """The rows of a matrix with a row a head, and one for b_O; words["head_n"] has a place for the head's number."""
    found = [{"text": words["head_n"].format(n=head), "kind": "word"} for head in range(count)]
    return [*found, {"text": "b_O", "kind": "special"}] if bias else found


def rows_frame(
    weights: np.ndarray, masked: np.ndarray, at: tuple[int, int], columns: list[tokens.Label], words: dict[str, str]
) -> bytes:
    """heads × keys for one query: weights [h, k] from 0 to 1; `at` is the selected (head, key)."""
    frame = EquationFrame(words, *at, max_height=320)
    frame.matrix(
        "A_i", weights, ("query", head_labels(len(weights), words)), ("key", columns), np.broadcast_to(masked, weights.shape),
        result=True, scale=WEIGHTS,
    )  # fmt: skip
    return frame.frame()


def beside(count: int, head: int) -> range:
    """The heads whose contexts are drawn: all, or `_BESIDE` with the selected one among them."""
    start = min(max(0, head - _BESIDE // 2), max(0, count - _BESIDE))
    return range(start, min(count, start + _BESIDE))


def concat_frame(
    each: Sequence[np.ndarray],
    heads: range,
    of: int,
    row: int,
    labels: list[tokens.Label],
    words: dict[str, str],
) -> bytes:
    """z_0 ; z_1 ; … = C: each [rows, d_v] of all heads in order, `heads` of them drawn."""
    frame = EquationFrame(words, row, None, max_height=230)
    whole = np.concatenate(each, axis=1)
    scale = shared_scale([whole])
    if heads.start:
        frame.operator("… ;")
    for place, head in enumerate(heads):
        if place:
            frame.operator(";")
        frame.matrix(f"z_{head}", each[head], ("query", labels if not place else None), scale=scale)
    frame.operator("=" if heads.stop == of else "; … =")
    frame.matrix("C", whole, ("query", None), result=True, scale=scale)
    return frame.frame()


def block_frame(
    z: np.ndarray, W: np.ndarray, share: np.ndarray, head: int, row: int, labels: list[tokens.Label], words: dict[str, str]
) -> bytes:  # fmt: skip
    """z_h × W_O^(h) = the head's share, for the rows drawn."""
    frame = EquationFrame(words, row, None, max_height=200)
    left = frame.matrix(f"z_{head}", z, ("query", labels))
    frame.operator("×")
    right = frame.matrix(f"W_O[{head}]", W)
    frame.operator("=")
    result = frame.matrix(f"S_{head}", share, ("query", None), result=True)
    frame.link = {"kind": "product", "left": left, "right": right, "result": result}
    return frame.frame()


def sum_frame(contributions: HeadContributions, head: int, words: dict[str, str]) -> bytes:
    """The shares of one query, a row a head and one for b_O, above each other; their column sums are its output."""
    frame = EquationFrame(words, head, None, max_height=330)
    parts, output = contributions.parts.numpy(), contributions.output[None].numpy()
    scale = shared_scale([parts, output])
    frame.operator("Σ")
    frame.matrix(
        "S_i",
        parts,
        ("query", head_labels(len(contributions.heads), words, contributions.bias is not None)),
        scale=scale,
    )
    frame.operator("=")
    frame.matrix("O_i", output, result=True, scale=scale)
    return frame.frame()


def share_table(contributions: HeadContributions, words: dict[str, str]) -> pd.DataFrame:
    """A row a head and one for b_O: its name, how long its share is, and how far it goes along the output."""
    names = [label["text"] for label in head_labels(len(contributions.heads), words, contributions.bias is not None)]
    return pd.DataFrame(
        {
            "part": names,
            "length": contributions.lengths.numpy(),
            "signed": contributions.signed.numpy(),
            "order": range(len(names)),
        }
    )


def share_bars(table: pd.DataFrame, head: int, words: dict[str, str]) -> tuple[alt.Chart, alt.Chart]:
    """Lengths, and signed shares around 0; the selected head is marked."""
    parts = list(table["part"])
    marked = alt.condition(alt.datum.order == head, alt.value(2), alt.value(0))
    base = alt.Chart(table).encode(
        y=alt.Y("part:N", sort=parts, title=None, axis=alt.Axis(labelLimit=80)), strokeWidth=marked,
        tooltip=[alt.Tooltip("part:N", title=words["head"]), alt.Tooltip("length:Q", format=".4f", title=words["length"]),
                 alt.Tooltip("signed:Q", format="+.4f", title=words["signed"])],
    )  # fmt: skip
    size = {"height": alt.Step(22 if len(table) <= 17 else 14), "description": words["alt"]}
    length = base.mark_bar(color="#767676", stroke=_MARK).encode(
        x=alt.X("length:Q", title=words["length"], axis=alt.Axis(tickCount=4))
    )
    names = [words["with"], words["against"]]
    sided = table.assign(side=[names[int(value < 0)] for value in table["signed"]])
    colour = alt.Color("side:N", title=None, scale=alt.Scale(domain=names, range=list(palette.PAIR)),
                       legend=alt.Legend(orient="bottom", symbolStrokeWidth=0))  # fmt: skip
    signed = base.mark_bar(stroke=_MARK).encode(
        x=alt.X("signed:Q", title=words["signed"], axis=alt.Axis(tickCount=5)), color=colour
    )
    signed.data = sided
    return length.properties(**size), signed.properties(**size)


def side_by_side(charts: Sequence[alt.Chart]) -> alt.HConcatChart:
    """Charts in a row, as one figure for a file."""
    return alt.hconcat(*(chart.properties(width=300) for chart in charts))


def length_frame(lengths: np.ndarray, at: tuple[int, int], labels: list[tokens.Label], words: dict[str, str]) -> bytes:
    """heads × queries: how long each head's share is, from 0 to the longest."""
    frame = EquationFrame(words, *at, max_height=320)
    high = float(lengths.max(initial=0.0)) or 1.0
    scale = {"kind": "sequential", "low": 0, "high": high}
    frame.matrix("|S|", lengths, ("query", head_labels(len(lengths), words)), ("key", labels), result=True, scale=scale)
    return frame.frame()


_CELL = 32  # pixels that a number of two decimals needs


def overlap_map(values: torch.Tensor, title: str, theme: str) -> alt.LayerChart | alt.Chart:
    """heads × heads from 0 to 1, with the numbers where they can be read."""
    from viz.base import static_chart

    names = [str(head) for head in range(len(values))]
    chart = static_chart.heat_map(values.numpy(), names, names, 0.0, 1.0, titles=("", "", title), theme=theme)
    if len(names) > 12:
        return chart
    table = pd.DataFrame(
        [(i, j, float(v)) for i, row in enumerate(values) for j, v in enumerate(row)], columns=list("ijv")
    )
    ink = palette.sequential(theme)
    light = alt.condition(alt.datum.v > 0.55, alt.value(ink[0]), alt.value(ink[-1]))
    text = (
        alt.Chart(table).mark_text(fontSize=9).encode(x="j:O", y="i:O", text=alt.Text("v:Q", format=".2f"), color=light)
    )
    # Nested charts lose the size of the inner one.
    side = _CELL * len(names)
    return alt.layer(chart, text).properties(width=side, height=side, autosize="pad")
