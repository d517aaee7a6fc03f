"""Heads as dots in the plane, near where they are alike, and the names that have room beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import numbers, palette
from viz.compare.heads import Words, short

if TYPE_CHECKING:
    from model.compare.heads import PairwiseSimilarity
    from model.trace.site import Site

SIDE = 430  # px of the plane
NEAREST = 5  # heads that are named with the selected one
FEW = 48  # heads of which all are named where there is room
_LETTER, _HIGH, _DOT = 6.4, 13.0, 5.0  # px: a letter's width, a name's height, a dot's radius


@dataclass(frozen=True)
class Name:
    """A head's place in the group, and where its name's middle stands from its dot, px to the right and down."""

    head: int
    dx: float
    dy: float


def wanted(
    group: PairwiseSimilarity, places: np.ndarray, marked: Sequence[tuple[str, int]], chosen: int | None
) -> list[int]:
    """Heads in the order in which they get a name: selected, picked, the most alike to it, the outermost, then the others
    where they are few."""
    picked = {(str(site), head) for site, head in marked}
    order = [] if chosen is None else [chosen]
    order += [i for i, (site, head) in enumerate(group.heads) if (str(site), head) in picked]
    if chosen is not None:
        order += np.argsort(group.distance[chosen].numpy(), kind="stable")[: NEAREST + 1].tolist()
    if len(places):
        order += [int(place) for column in places.T for place in (column.argmin(), column.argmax())]
    if len(places) <= FEW:
        order += range(len(places))
    return list(dict.fromkeys(order))


def named(order: Sequence[int], texts: Sequence[str], points: np.ndarray, must: int = 0) -> list[Name]:
    """The names that fit: none covers a name before it or a dot, and all are inside the plane.

    points: px [n, 2] from the left and from the top. must: so many of the first may cover dots where nothing else is left.
    """
    found: list[Name] = []
    boxes: list[tuple[float, float, float, float]] = []
    for rank, head in enumerate(order):
        half = len(texts[head]) * _LETTER / 2
        x, y = points[head]
        beside, above = half + _DOT + 4, _HIGH / 2 + _DOT + 3
        slant = (half + _DOT, _HIGH / 2 + _DOT - 1)
        ways = [(beside, 0), (-beside, 0), (0, -above), (0, above),
                *((a * slant[0], b * slant[1]) for b in (-1, 1) for a in (1, -1))]  # fmt: skip
        free = []
        for dx, dy in ways:
            box = (x + dx - half, y + dy - _HIGH / 2, x + dx + half, y + dy + _HIGH / 2)
            if min(box) >= 0 and max(box) <= SIDE and not any(_meet(box, other) for other in boxes):
                free.append((_covered(box, points), Name(head, dx, dy), box))
        best = min(free, key=lambda way: way[0], default=None)
        if best and (best[0] == 0 or rank < must):
            found.append(best[1])
            boxes.append(best[2])
    return found


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _covered(box: tuple[float, ...], dots: np.ndarray) -> int:
    low, high = np.array(box[:2]) - _DOT + 1, np.array(box[2:]) + _DOT - 1
    return int(((dots > low) & (dots < high)).all(1).sum())


def plane(
    group: PairwiseSimilarity, places: np.ndarray, marked: Sequence[tuple[str, int]], words: Words, theme: str,
    selected: tuple[Site, int] | None = None,
) -> alt.LayerChart:  # fmt: skip
    """As far apart as they are unlike; colour is the layer. A click is the selection "head"; a dot's tip has its numbers."""
    chosen = group.heads.index(selected) if selected in group.heads else None
    picked = {(str(site), head) for site, head in marked}
    data = pd.DataFrame({
        "x": places[:, 0], "y": places[:, 1], "layer": [site.layer for site, _ in group.heads],
        "name": [short(site, head) for site, head in group.heads],
        "id": [f"{site}.{head}" for site, head in group.heads],
        "picked": [(str(site), head) in picked for site, head in group.heads],
    })  # fmt: skip
    tips = [alt.Tooltip("id:N", title=words["head"])]
    if chosen is not None:
        data["alike"] = [numbers.short(float(value)) for value in group.values[chosen]]
        tips.append(alt.Tooltip("alike:N", title=words["alike"].format(head=short(*group.heads[chosen]))))
    # Where the origin lies says nothing: the plane is a square about the dots, one unit as long across as up.
    middle = (places.max(0) + places.min(0)) / 2
    half = max(0.05, float(np.abs(places - middle).max()) * 1.2)
    axis = alt.Axis(title=None, labels=False, ticks=False, domain=False, grid=True, tickCount=5)
    x, y = (
        channel(name, scale=alt.Scale(domain=[at - half, at + half], nice=False), axis=axis)
        for channel, name, at in ((alt.X, "x:Q", middle[0]), (alt.Y, "y:Q", middle[1]))
    )
    click = alt.selection_point(name="head", fields=["id"], on="click", toggle=False, clear=False, empty=False)
    colours, ink = palette.sequential(theme)[70::6], palette.THEMES[theme]["text"]
    dots = alt.Chart(data).mark_point(filled=True, opacity=0.95).encode(
        x=x, y=y,
        color=alt.Color("layer:Q", title=words["layer"], scale=alt.Scale(range=colours, interpolate="rgb"),
                        legend=alt.Legend(orient="bottom", gradientLength=140, gradientThickness=7, format="d", tickMinStep=1)),
        size=alt.condition("datum.picked", alt.value(190), alt.value(80)),
        stroke=alt.condition("datum.picked", alt.value(ink), alt.value("transparent")),
        strokeWidth=alt.value(2),
        tooltip=tips,
    ).add_params(click)  # fmt: skip
    layers = [dots]
    if chosen is not None:
        ring = alt.Chart(data.iloc[[chosen]]).mark_point(filled=False, size=330, strokeWidth=2.5, color=ink)
        layers.append(ring.encode(x=x, y=y, tooltip=tips))
    points = (half + (places - middle) * [1, -1]) / (2 * half) * SIDE
    names = named(wanted(group, places, marked, chosen), list(data["name"]), points, (chosen is not None) + len(picked))
    per = 2 * half / SIDE  # of the plane's own units, a px
    table = data.iloc[[name.head for name in names]].copy()
    table["x"] += [name.dx * per for name in names]
    table["y"] -= [name.dy * per for name in names]
    letters = alt.Chart(table).encode(x=x, y=y, text="name:N")
    strong = {"fontSize": 11, "align": "center", "baseline": "middle"}
    layers.append(
        letters.mark_text(**strong, stroke=palette.THEMES[theme]["background"], strokeWidth=3, strokeJoin="round")
    )
    layers.append(letters.mark_text(**strong, color=ink))
    return alt.layer(*layers, width=SIDE, height=SIDE, autosize="pad", description=words["alt"])
