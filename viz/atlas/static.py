"""The atlas as a figure to save: every head a small image with its name under it, and the scale."""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from itertools import islice

import altair as alt
import numpy as np
import pandas as pd

from model.trace.site import Site
from viz.atlas.atlas import NAN, TOP, Head
from viz.base import palette

_EDGE, _GAP, _LABEL, _LEFT, _TITLE = 64, 8, 16, 76, 30
_RAMP = 110  # px: the scale below the heads


def image(picture: np.ndarray, closed: np.ndarray, edge: int = 2 * _EDGE) -> str:
    """One head's bytes [R, C] as a PNG in a data address: masked bins grey, NaN darker grey; cells keep their edges."""
    from PIL import Image

    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in palette.sequential("light")], np.uint8)
    colours = table[np.rint(np.minimum(picture, TOP) / TOP * (len(table) - 1)).astype(int)]
    colours[closed] = (238, 238, 243)
    colours[picture == NAN] = (150, 150, 150)
    rows, columns = (np.arange(edge) * n // edge for n in picture.shape)
    if max(picture.shape) > edge:  # never here with thumbnails; a larger picture keeps all its bins
        rows, columns = (np.arange(n) for n in picture.shape)
    file = io.BytesIO()
    Image.fromarray(colours[rows][:, columns]).save(file, "png", optimize=True)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode("ascii")


def chart(
    pictures: Mapping[Site, np.ndarray], closed: Mapping[Site, np.ndarray], order: Sequence[Head],
    parts: Sequence[tuple[str, int]] | None,
    names: Mapping[Site, tuple[str, str, str, str]], legend: str,
) -> alt.LayerChart:  # fmt: skip
    """The heads of `order` that are done, a row a sub-layer, or a grid for each of `parts`; they and `names` as in
    `atlas.frame`."""
    if parts is None:
        spots, titles, width, height = _rows([head for head in order if head[0] in pictures], names)
    else:
        rest = iter(order)
        told = [(title, [head for head in islice(rest, count) if head[0] in pictures]) for title, count in parts]
        spots, titles, width, height = _grids(told, names)
    table = pd.DataFrame(spots, columns=["site", "head", "x", "y", "label"])
    table["url"] = [
        image(pictures[site][head], closed[site]) for site, head in zip(table.pop("site"), table["head"], strict=True)
    ]
    texts = pd.DataFrame(
        [
            (x + _EDGE / 2, y + _EDGE + 3, label)
            for x, y, label in zip(table["x"], table["y"], table["label"], strict=True)
        ],
        columns=["x", "y", "text"],
    )
    more = pd.DataFrame([*titles, (_RAMP + 8.0, height + 6.0, legend)], columns=["x", "y", "text"])
    height += 30
    ramp = np.arange(TOP + 1, dtype=np.uint8)[None]
    scale = {axis: alt.Scale(domain=domain, nice=False, zero=False) for axis, domain in
             (("x", [0, width]), ("y", [height, 0]))}  # fmt: skip

    def at(data: pd.DataFrame) -> alt.Chart:
        return alt.Chart(data).encode(
            x=alt.X("x:Q", axis=None, scale=scale["x"]), y=alt.Y("y:Q", axis=None, scale=scale["y"])
        )

    images = at(table).mark_image(width=_EDGE, height=_EDGE, align="left", baseline="top", aspect=False, aria=False)
    frames = at(table.assign(x2=table["x"] + _EDGE, y2=table["y"] + _EDGE)[["x", "y", "x2", "y2"]])
    scale_bar = pd.DataFrame({"x": [0.0], "y": [height - 24.0], "url": [image(ramp, np.zeros_like(ramp, bool), 255)]})
    layers = [
        at(scale_bar)
        .mark_image(width=_RAMP, height=9, align="left", baseline="top", aspect=False, aria=False)
        .encode(url="url:N"),
        images.encode(url="url:N"),
        frames.mark_rect(fill=None, stroke="#dcdce4", strokeWidth=0.7).encode(x2="x2:Q", y2="y2:Q"),
        at(texts).mark_text(baseline="top", fontSize=10, color="#6b6d7a").encode(text="text:N"),
        at(more).mark_text(baseline="top", align="left", fontSize=11, color="#1b1c26").encode(text="text:N"),
    ]
    return alt.layer(*layers, width=width, height=height).configure_view(stroke=None)


def _grids(
    parts: Sequence[tuple[str, Sequence[Head]]], names: Mapping[Site, tuple[str, str, str, str]]
) -> tuple[list, list, float, float]:
    most = max((len(heads) for _, heads in parts), default=0)
    across = max(1, min(most, math.ceil(math.sqrt(1.4 * sum(len(heads) for _, heads in parts)))))
    step = (_EDGE + _GAP, _EDGE + _LABEL + _GAP)
    spots, titles, y = [], [], 0.0
    for title, heads in parts:
        if title:
            titles.append((0.0, y + 6, title))
            y += _TITLE
        spots += [
            (site, head, i % across * step[0], y + i // across * step[1], f"{names[site][2]}.{head}")
            for i, (site, head) in enumerate(heads)
        ]
        y += -(-len(heads) // across) * step[1]
    return spots, titles, max(320, across * step[0]), y


def _rows(heads: Sequence[Head], names: Mapping[Site, tuple[str, str, str, str]]) -> tuple[list, list, float, float]:
    spots, titles, y, title, wide = [], [], 0.0, "", 320.0
    for site in dict.fromkeys(site for site, _ in heads):
        if names[site][0] != title:
            title = names[site][0]
            titles.append((0.0, y + 6, title))
            y += _TITLE
        mine = [head for other, head in heads if other == site]
        titles.append((0.0, y + _EDGE / 2 - 6, names[site][1]))
        spots += [(site, head, _LEFT + i * (_EDGE + _GAP), y, str(head)) for i, head in enumerate(mine)]
        wide = max(wide, _LEFT + len(mine) * (_EDGE + _GAP))
        y += _EDGE + _LABEL + _GAP
    return spots, titles, wide, y
