"""Heads as parallel coordinates over their measures: those that pass through the brushed ranges are picked everywhere."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from model.measures.registry import BY_COLUMN
from viz.base import export
from viz.ui import components
from viz.ui.language import say
from viz.ui.shared import figure_footer, measure_words, page_text, plotly_chart
from viz.ui.state import page_controls, picked_heads, view

if TYPE_CHECKING:
    import pandas as pd

    from viz.plotly_figures.parallel import Axes, Range
    from viz.ui.shared.figure_footer import CheckNote

_NUMBER = r"(-?[0-9]{1,9}(?:\.[0-9]{1,20})?(?:e-[0-9]{1,2})?)"
_PART = re.compile(rf"([a-z0-9_]+):{_NUMBER}:{_NUMBER}")  # of what is brushed, in a link


@dataclass(frozen=True)
class Heads:
    """Heads in numbers that are drawn as lines.

    place: what keys, links and files of this page begin with. table: a row a head, with "site" and "head". axes: its columns'
    names. identity: tells one table from another. sentence: what the figure shows; badge: how it checks; code: what made it.
    pickable: whether they are heads of the model that is open, which can be picked.
    """

    place: str
    table: pd.DataFrame
    axes: Axes
    identity: Hashable
    sentence: str
    badge: CheckNote
    slug: str
    code: tuple[Callable[..., object], ...]
    pickable: bool = True

    @property
    def brush(self) -> str:
        """The key of the brushes."""
        return f"{self.place}-brush"


def show(place: str, heads: Callable[[], Heads]) -> None:
    """Closed until it is asked for: the browser's plotly takes longer to come than the rest of the page.

    place: as that of `heads`, which are made when they are shown.
    """
    page_text.heading("measures.parallel")
    if not st.toggle(say("measures.parallel_open"), **page_controls.switch(f"{place}-parallel")):
        return
    from viz.plotly_figures import parallel
    from viz.ui.theme import theme

    drawn = heads()
    table, axes = drawn.table, drawn.axes
    ranges = _ranges(drawn)
    figure = parallel.lines(table, axes, theme(), ranges).update_layout(width=None)  # as wide as there is room
    box = f"{place}-parallel-strip"
    with st.container(key=box):
        said = f"{drawn.slug} · {say('measures.parallel_of', n=len(table))}"
        plotly_chart.draw(figure, said, drawn.badge, f"{drawn.slug}-{place}-parallel", f"{place}-parallel-chart", "svg")
    components.brush(key=drawn.brush, data={"box": f"st-key-{box}", "ranges": ranges}, on_ranges_change=_brushed(drawn))
    if ranges:
        st.caption(_what_is_kept(parallel.kept(table, axes, ranges), drawn))
    figure_footer.draw(
        f"{place}-parallel", drawn.sentence, drawn.badge,
        lambda: {f"{drawn.slug}-{place}-parallel.csv": lambda: export.table_csv(table)},
        code=(*drawn.code, parallel.places, parallel.kept),
    )  # fmt: skip


def axes(columns: Iterable[str], rows: dict[str, str]) -> Axes:
    """The axes of these columns under their short names. rows: the short name of each sub-layer."""
    from viz.plotly_figures import parallel

    return parallel.Axes(
        {name: measure_words.short_name(name) if name in BY_COLUMN else name for name in columns},
        rows, say("measures.site"), say("measures.parallel_layer"),
    )  # fmt: skip


def _what_is_kept(rows: list[int], heads: Heads) -> str:
    count, total = len(rows), len(heads.table)
    if not heads.pickable:
        return say("measures.parallel_other", n=count, all=total)
    if not count:
        return say("measures.parallel_nobody")
    if count > picked_heads.MOST:
        return say("measures.parallel_many", n=count, all=total, most=picked_heads.MOST)
    return say("measures.parallel_kept", n=count, all=total)


def _key(heads: Heads) -> str:
    """What is brushed of this table is kept under its own name, and in the link under one for all."""
    return f"{heads.place}-brushed@{zlib.crc32(repr(heads.identity).encode()):08x}"


def _ranges(heads: Heads) -> dict[str, list[Range]]:
    """What is brushed of this table; nothing any more where heads that it picked were let go since."""
    key = _key(heads)
    ranges = _parsed(page_controls.noted(key, lambda text: text if _parsed(text) else None, "axis:low:high,…"))
    picks = _would_pick(heads, ranges)
    if picks and not set(picks) <= set(picked_heads.parse(view.current().picks)):
        st.session_state[key] = ""
        return {}
    return ranges


def _would_pick(heads: Heads, ranges: dict[str, list[Range]]) -> list[picked_heads.Pick]:
    """The heads that pass, [] where they are none to pick: without a range, or more than can be picked."""
    from viz.plotly_figures import parallel

    table, rows = heads.table, parallel.kept(heads.table, heads.axes, ranges)
    few = heads.pickable and ranges and len(rows) <= picked_heads.MOST
    return [(str(table["site"][row]), int(table["head"][row])) for row in rows] if few else []


def _written(ranges: dict[str, list[Range]]) -> str:
    """ "entropy:0.25:0.5,first:0.0:0.1", to the last bit: what passes a brush may lie on its edge."""
    return ",".join(f"{name}:{low!r}:{high!r}" for name, parts in ranges.items() for low, high in parts)


def _parsed(text: str) -> dict[str, list[Range]]:
    """The same read back; {} of what is no such text."""
    found: dict[str, list[Range]] = {}
    parts = [_PART.fullmatch(part) for part in text.split(",")]
    for name, low, high in (part.groups() for part in parts if part is not None and None not in parts):
        found.setdefault(name, []).append((float(low), float(high)))
    return found


def _brushed(heads: Heads) -> Callable[[], None]:
    """Pick the heads that remain; without a range, or with more heads than can be picked, the picks stay."""

    def take() -> None:
        told = st.session_state[heads.brush].get("ranges")
        if not isinstance(told, dict):
            return
        ranges = {name: parts for name, given in told.items() if (parts := read(given))}
        page_controls.put(_key(heads), _written(ranges))
        if picks := _would_pick(heads, ranges):
            picked_heads.pick(picks)

    return take


def read(given: object) -> list[Range]:
    """The browser's list of [low, high]; what is none is left out."""
    pairs = given if isinstance(given, list) else []
    return [
        (float(pair[0]), float(pair[1])) for pair in pairs
        if isinstance(pair, list) and len(pair) == 2
        and all(isinstance(end, int | float) and math.isfinite(end) for end in pair)
    ]  # fmt: skip
