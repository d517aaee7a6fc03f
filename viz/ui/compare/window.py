"""Which tokens of two long runs are drawn: where the largest difference is, or where a person moves the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from viz.ui import language
from viz.ui.language import say
from viz.ui.state import page_controls
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.compare.aligned_runs import Pair, Slots
    from viz.ui.compare.pair import HeadPair

MOST = 48  # tokens of which a matrix is drawn; the numbers are over all
PARTS = ("queries", "keys")


def long(two: HeadPair) -> bool:
    """Whether the matrices show a part."""
    return max(len(two.queries), len(two.keys)) > MOST


def window(two: HeadPair, pair: Pair) -> tuple[slice, slice]:
    """(queries, keys) that are drawn. Where that is a part: the strip, the sliders, and the part in words."""
    if not long(two):
        return slice(0, len(two.queries)), slice(0, len(two.keys))
    _, i, j = pair.largest
    strip = st.container()
    both = []
    with st.container(key=f"window-{two.name}"):
        for area, name, at in zip(st.columns(2), PARTS, (i, j), strict=True):
            with area:
                both.append(_part(two, name, at))
    if len(two.queries) > MOST:
        with strip:
            _strip(two, pair, both[0])
    st.caption(say("comparing.window", **{f"{name}_{which}": _span(two, name, part, place)
                                         for name, part in zip(PARTS, both, strict=True)
                                         for place, which in enumerate(("first", "second"))}))  # fmt: skip
    return both[0], both[1]


def places(two: HeadPair, name: str) -> Slots:
    return two.queries if name == "queries" else two.keys


def _counted(slots: Slots) -> list[int]:
    """The number of each token: its place in the first run, or among the tokens of both where the first lacks some."""
    firsts = [first for first, _ in slots if first is not None]
    return firsts if len(firsts) == len(slots) else list(range(len(slots)))


def _around(at: int, count: int) -> int:
    """The first of the aligned tokens that are drawn, with `at` in their middle where there is room."""
    return min(max(0, at - MOST // 2), max(0, count - MOST))


def _key(two: HeadPair, name: str) -> str:
    # Of another text the same place is another one.
    return f"comparing-{two.name}-{name}@{len(two.queries)}x{len(two.keys)}"


def _part(two: HeadPair, name: str, at: int) -> slice:
    """A slider that counts as `_counted` does."""
    pairs = places(two, name)
    count = len(pairs)
    if count <= MOST:
        return slice(0, count)
    numbers = _counted(pairs)
    place = st.slider(
        say(f"comparing.{name}_from"), numbers[0], numbers[count - MOST],
        **page_controls.between(_key(two, name), numbers[_around(at, count)], numbers[0], numbers[count - MOST]),
        help=say("comparing.window_help"),
    )  # fmt: skip
    start = int(np.searchsorted(numbers, place))
    return slice(start, start + MOST)


def _span(two: HeadPair, name: str, part: slice, which: int) -> str:
    found = [pair[which] for pair in places(two, name)[part] if pair[which] is not None]
    return f"{found[0]:,}–{found[-1]:,}" if found else "–"


def _strip(two: HeadPair, found: Pair, part: slice) -> None:
    """How far apart every query's two rows are; a click moves the window to it, and to the key that changed most in it."""
    from viz.compare import heads as pictures

    said = {name: say(f"comparing.{name}") for name in ("js", "place")} | {
        "query": say("matrix.query"), "alt": say("comparing.strip_alt")
    }  # fmt: skip
    apart = found.rows.nan_to_num(0).numpy()  # a query that one text lacks has no second row
    chart = pictures.strip(apart, _counted(two.queries), two.both()[0], part, said, theme())
    # A chart that keeps its click would send it again with the next move of the sliders.
    key = f"comparing-strip-{two.name}-{language.current()}-{part.start}-{hash(two.key)}"
    st.altair_chart(
        chart, width="stretch", key=key, on_select=lambda: _clicked(two, key), selection_mode="row"
    )  # fmt: skip
    st.caption(say("comparing.strip"))


def _clicked(two: HeadPair, key: str) -> None:
    points = st.session_state[key].selection.get("row", [])
    if not points or points[-1].get("at") is None:
        return
    row = int(points[-1]["at"])
    apart = np.abs(np.nan_to_num(two.change(slice(row, row + 1))))[0]
    for name, at in zip(PARTS, (row, int(apart.argmax())), strict=True):
        pairs = places(two, name)
        if len(pairs) > MOST:
            page_controls.put(_key(two, name), _counted(pairs)[_around(at, len(pairs))])
