"""A heat map as an Altair chart, for files and for small pictures that nobody clicks in.

Masked, NaN and clipped cells look as they do on the canvas: hatched cells cannot be had in Vega, so they get a sign.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

import altair as alt
import numpy as np
import pandas as pd

from viz.base import numbers, palette
from viz.base.cell_states import CLIPPED, MASKED, NAN, states
from viz.base.export import LARGEST

if TYPE_CHECKING:
    from model.steps.step import Step

_SIGNS = {MASKED: "×", NAN: "?", CLIPPED: "▴"}
_CELLS = 560  # pixels that the longer side takes at most
_WIDEST, _WRITTEN = 42.0, 34.0  # px of a cell; from here on it carries its number, as on the screen
_SLANT = 17.0  # px from which labels that do not fit level stand on a slant, else upright
_LETTER = 6.2  # px of a letter of a label


def heat_map(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    low: float = 0.0,
    high: float = 1.0,
    allowed: np.ndarray | None = None,
    titles: tuple[str, str, str] = ("", "", ""),
    theme: str = "light",
) -> alt.Chart | alt.LayerChart:
    """values [rows, columns] between `low` and `high`: sequential from 0, diverging and symmetric where `low` is below 0.

    titles: of the rows, of the columns and of the colours. Cells that are masked, NaN or outside the scale carry ×, ? or ▴;
    cells with room for it their number, as on the screen, and labels stand as there.
    """
    i, j = (axis.ravel() for axis in np.indices(values.shape))
    kind = states(values, allowed, low, high).ravel()
    shown = np.where(kind == MASKED, np.nan, np.clip(values.ravel(), low, high))
    table = pd.DataFrame({"i": i, "j": j, "value": shown, "sign": [_SIGNS.get(int(k), "") for k in kind]})
    colours = palette.diverging(theme) if low < 0 else palette.sequential(theme)
    size = max(3.0, min(_WIDEST, _CELLS / max(values.shape)))
    names = dict.fromkeys("ij", "datum.value < {n} ? {texts}[datum.value] : ''")
    axis = {
        "i": alt.Axis(labelExpr=_label(names["i"], rows), title=titles[0] or None, ticks=False, domain=False),
        "j": alt.Axis(labelExpr=_label(names["j"], columns), title=titles[1] or None, ticks=False, domain=False,
                      orient="top", labelAngle=_angle(columns, size), labelLimit=140, labelOverlap=False),
    }  # fmt: skip
    base = alt.Chart(table).encode(x=alt.X("j:O", axis=axis["j"]), y=alt.Y("i:O", axis=axis["i"]))
    cells = base.mark_rect(stroke=None).encode(
        color=alt.Color(
            "value:Q",
            scale=alt.Scale(domain=[low, high], range=colours[:: max(1, len(colours) // 64)], interpolate="rgb"),
            title=titles[2] or None,
        )
    )
    layers = [cells]
    if kind.any():
        layers.append(base.mark_text(fontSize=min(10.0, size), color="#888888").encode(text="sign:N"))
    if size >= _WRITTEN:
        table["number"], ink = _numbers(shown, low, high)
        for name, colour in _inks(theme).items():
            if (ink == name).any():
                text = base.mark_text(fontSize=10, color=colour).encode(text="number:N")
                layers.append(text.properties(data=table[ink == name]))
    return alt.layer(*layers, width=size * values.shape[1], height=size * values.shape[0])


def _angle(labels: Sequence[str], size: float) -> int:
    """Labels of columns stand level where they fit, else on a slant, else upright."""
    wide = sum(_LETTER * (1 + (east_asian_width(c) in "WF")) for c in max(labels, key=len, default=""))
    return 0 if wide + 6 <= size else -45 if size >= _SLANT else -90


def _inks(theme: str) -> dict[str, str]:
    """Colours of numbers: of a 0, on a pale cell, on a strong one."""
    return {"nil": "#888888", "text": palette.THEMES[theme]["text"], "background": palette.THEMES[theme]["background"]}


def _numbers(values: np.ndarray, low: float, high: float) -> tuple[list[str], np.ndarray]:
    """Each value with the decimals that the largest of the scale needs for three digits, "" where there is none; and its ink."""
    most = max(abs(low), abs(high)) or 1.0
    places = int(np.clip(2 - np.floor(np.log10(most)), 0, 3 if low >= 0 else 2))
    texts = ["" if np.isnan(value) else numbers.decimals(value, places) for value in values]
    nil = np.array([not text.strip("−0.") for text in texts])
    strong = np.abs(np.nan_to_num(values)) > 0.55 * most
    signless = [text.removeprefix("−") if zero else text for text, zero in zip(texts, nil, strict=True)]
    return signless, np.where(nil, "nil", np.where(strong, "background", "text"))


def step_map(step: Step, names: dict[str, list[str]], at: tuple[int, int]) -> alt.Chart | alt.LayerChart:
    """The result of one step of the arithmetic: weights from 0 to 1, everything else symmetric around 0.

    names: the tokens of the axes "query" and "key"; other axes are numbered. Of more than `LARGEST` rows or columns the
    run that holds the selected (query, key) `at`, of dimensions the first.
    """
    result, cuts, labels = step.result, [], []
    for axis, size in zip((result.rows, result.columns), result.values.shape, strict=True):
        first = step.start if axis == "query" else 0
        place = {"query": at[0], "key": at[1]}.get(axis or "", 0) - first
        start = min(max(0, place - LARGEST // 2), max(0, size - LARGEST))
        cuts.append(slice(start, min(size, start + LARGEST)))
        texts = names[axis][first : first + size] if axis in names else [str(i) for i in range(size)]
        labels.append(texts[cuts[-1]])
    values = result.values[cuts[0], cuts[1]].numpy()
    allowed = None if result.masked is None else ~result.masked[cuts[0], cuts[1]].numpy()
    low, high = 0.0, 1.0
    if result.symbol not in ("A", "A_iT"):
        finite = np.abs(values[np.isfinite(values)])
        high = float(finite.max(initial=0.0)) or 1.0
        low = -high
    symbol = result.symbol.replace("_", "")
    return heat_map(values, *labels, low, high, allowed, ("", "", symbol))


def in_a_row(items: Sequence[tuple[str, np.ndarray, Sequence[str] | None, Sequence[str] | None]]) -> alt.HConcatChart:
    """(symbol, values, rows, columns) as maps next to each other; names that are None are numbers.

    A, A′ and such are weights from 0 to 1, everything else is symmetric around 0. Of more than `LARGEST` rows or columns the
    first are drawn, and the title says which.
    """
    charts = []
    for symbol, values, rows, columns in items:
        cut = values[:LARGEST, :LARGEST]
        names = [
            list(given or map(str, range(size)))[:LARGEST]
            for given, size in ((rows, len(values)), (columns, values.shape[1]))
        ]
        low, high = (0.0, 1.0) if symbol.startswith("A") else _symmetric(cut)
        title = symbol if cut.shape == values.shape else f"{symbol} [0–{len(cut) - 1}, 0–{cut.shape[1] - 1}]"
        charts.append(heat_map(cut, *names, low, high, titles=("", "", symbol)).properties(title=title))
    return beside(charts)


def _symmetric(values: np.ndarray) -> tuple[float, float]:
    finite = np.abs(values[np.isfinite(values)])
    high = float(finite.max(initial=0.0)) or 1.0
    return -high, high


def beside(charts: Sequence[alt.Chart | alt.LayerChart]) -> alt.HConcatChart:
    """Charts in a row, each with its own colours."""
    return alt.hconcat(*charts).resolve_scale(color="independent")


def above(*charts: alt.Chart | alt.LayerChart) -> alt.VConcatChart:
    """Charts under one another, each with its own scales."""
    return alt.vconcat(*charts).resolve_scale(x="independent", y="independent", color="independent")


def _label(form: str, texts: Sequence[str]) -> str:
    """A Vega expression that puts the token in the place of its number, because tokens repeat and an axis' values cannot."""
    quoted = (
        "["
        + ",".join("'" + str(t).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "⏎") + "'" for t in texts)
        + "]"
    )
    return form.format(n=len(texts), texts=quoted)


def svg(chart: alt.TopLevelMixin) -> bytes:
    """The chart as an SVG file, drawn here: nothing is fetched, text stays text."""
    import vl_convert

    return vl_convert.vegalite_to_svg(_specification(chart)).encode("utf-8")


def _specification(chart: alt.TopLevelMixin) -> str:
    """The chart with its data in it; Altair's guard of 5,000 rows is for pages, and a map of 128 × 128 has more."""
    with alt.data_transformers.enable("default", max_rows=None):
        told = chart.to_dict()
    told["config"] = {"font": palette.FACE} | told.get("config", {})
    return json.dumps(told)
