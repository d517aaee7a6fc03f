"""Pictures of two checkpoints' heads: how alike each head is to its counterpart, or to the head in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import numbers, palette
from viz.compare.heads import short

if TYPE_CHECKING:
    from model.compare.checkpoints import Counterpart, Counterparts, Head

Words = dict[str, str]
HOW = ("correlation", "divergence")
WHERE = ("match", "place")
_WIDTH, _HEIGHT = 440, 420  # pixels of one map
_WRITTEN = 34  # a cell this wide has its number written in it
_LN2 = 0.6931472


def frame(heads: Sequence[Counterpart]) -> pd.DataFrame:
    """One row a head of the first: site, head, its counterpart's, why it has none, and every number; NaN where there is none."""
    return pd.DataFrame([
        {
            "site": str(row.site), "head": row.head, "other_site": str(row.other[0]) if row.other else "",
            "other_head": row.other[1] if row.other else pd.NA, "moved": row.moved, "why": row.why, "r": row.r,
            "divergence": row.divergence, "place_r": row.place_r, "place_divergence": row.place_divergence,
            "nearest": f"{row.nearest[0]}.{row.nearest[1]}" if row.nearest else "",
        }
        for row in heads
    ]).astype({"other_head": "Int64"})  # fmt: skip


def heads_map(
    counterparts: Counterparts, how: str, where: str, named: Words, selected: tuple[str, int] | None, words: Words,
    theme: str = "light",
) -> alt.LayerChart:  # fmt: skip
    """Layer × head of the first: r from −1 to 1, or JS from 0 to ln 2. A click is the point selection "head", field "id".

    Equal is the page, and colour grows with the root of 1 − r or of JS: 0.98 is seen beside 1. The colours are those of a
    difference and not of weights, where dark is much: here it is unlike, which the legend says.

    how, where: of `HOW`, `WHERE`. named: site -> its row. A head with a counterpart elsewhere has that one's layer.head
    written in it, one with none a dash and no colour.
    """
    high = 1 + max(row.head for row in counterparts.heads)
    order = list(named.values())
    step, tall = min(46.0, _WIDTH / high), max(6.0, min(24.0, _HEIGHT / len(order)))
    data = pd.DataFrame([_cell(row, how, where, named, step >= _WRITTEN, theme) for row in counterparts.heads])
    y = alt.Y("row:N", sort=order, title=words["layer"], scale=alt.Scale(domain=order),
              axis=alt.Axis(ticks=False, domain=False, labelPadding=4, labelOverlap=True, labelFlush=False))  # fmt: skip
    x = alt.X(
        "head:O",
        title=words["head"],
        axis=alt.Axis(ticks=False, domain=False, labelAngle=0, labelOverlap=True, labelFlush=False),
    )
    base = alt.Chart(data).encode(x=x, y=y)
    named_how = words[how]
    tips = [alt.Tooltip("id:N", title=words["head"]), alt.Tooltip("other:N", title=words["other"]),
            alt.Tooltip("value:Q", title=named_how, format=".4f")]  # fmt: skip
    correlated = how == "correlation"
    most, ends = (2.0, (0, 0.02, 0.1, 0.5, 1, 2)) if correlated else (_LN2, (0, 0.01, 0.1, 0.3, _LN2))
    scale = alt.Scale(type="sqrt", domain=[0, most], range=_unlike(theme), interpolate="rgb", clamp=True)
    legend = alt.Legend(
        orient="bottom", gradientLength=230, gradientThickness=7, values=ends, offset=8, titleLimit=0,
        labelExpr=f"replace(format({'1 - datum.value' if correlated else 'datum.value'}, '.2~f'), '-', '−')",
    )  # fmt: skip
    line = palette.THEMES[theme]["background"] if step > 12 else None
    cells = base.mark_rect(strokeWidth=1, **({"stroke": line} if line else {})).encode(
        color=alt.Color("change:Q", title=named_how, scale=scale, legend=legend), tooltip=tips
    )
    size = 11 if step >= _WRITTEN else 9
    written = [
        base.mark_text(fontSize=size, baseline="middle", color=palette.THEMES[theme][ink]).encode(text="text:N", tooltip=tips)
        .properties(data=data[data["ink"] == ink])
        for ink in ("text", "background")
    ]  # fmt: skip
    here = data[data["id"] == (f"{selected[0]}.{selected[1]}" if selected else "")]
    around = alt.Chart(here).mark_rect(filled=False, stroke=palette.THEMES[theme]["text"], strokeWidth=2)
    return alt.layer(
        cells, *written, around.encode(x=x, y=y), width=step * high, height=tall * len(order), description=words["alt"],
        title=alt.TitleParams(words[where], anchor="start", fontSize=13, fontWeight=600, offset=8),
    )  # fmt: skip


def _unlike(theme: str) -> list[str]:
    """From the page to one end of the scale of differences."""
    table = palette.diverging(theme)
    return list(table[len(table) // 2 :: 4])


def _contrast(one: float, two: float) -> float:
    """Of two luminances: WCAG 2.2, "contrast ratio"."""
    return (max(one, two) + 0.05) / (min(one, two) + 0.05)


def _cell(row: Counterpart, how: str, where: str, named: Words, written: bool, theme: str) -> dict[str, object]:
    match = where == "match"
    value = {
        ("correlation", True): row.r if row.other else float("nan"), ("correlation", False): row.place_r,
        ("divergence", True): row.divergence, ("divergence", False): row.place_divergence,
    }[how, match]  # fmt: skip
    missing = bool(np.isnan(value))
    number = "–" if missing else numbers.decimals(value, 2)
    text = f"→{short(*row.other)}" if match and row.moved and row.other else number
    if not written:
        text = "–" if missing else "•" if match and row.moved else ""
    change = 1 - value if how == "correlation" else value
    strength = 0.0 if missing else (max(change, 0.0) / (2 if how == "correlation" else _LN2)) ** 0.5
    colours = _unlike(theme)
    told = palette.luminance(colours[round(strength * (len(colours) - 1))])
    ink = max(("text", "background"), key=lambda name: _contrast(told, palette.luminance(palette.THEMES[theme][name])))
    other = row.other if match else (row.site, row.head)
    return {
        "id": f"{row.site}.{row.head}", "head": row.head, "row": named[str(row.site)],
        "value": None if missing else value, "change": None if missing else change, "text": text, "ink": ink,
        "other": f"{other[0]}.{other[1]}" if other and not missing else "–",
    }  # fmt: skip


def names(heads: Sequence[Head]) -> list[str]:
    """ "encoder.1.self.3" of each."""
    return [f"{site}.{head}" for site, head in heads]
