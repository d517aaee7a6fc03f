"""The page Map: one head at any length, from the whole to single cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz import map as maps
from viz.base import export, tokens
from viz.ui import components, language, navigation, tile_server
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, side_bar
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import mirror
from viz.ui.state import view

if TYPE_CHECKING:
    from model.trace.trace import Trace

_HOW = ("max", "mean")


def show(trace: Trace) -> None:
    """Pickers, the map, where to go on."""
    side_bar.head_picker(trace, words=False)
    site, head, row, column = view.selected()
    if figure_footer.refused(trace, site):
        return
    record = trace.record(site)
    how = _how(long=max(record.queries, record.keys) > maps.HEIGHT // 2)
    shown = maps.area(view.current().area)
    words = language.group("map") | {
        "alt": say(
            "map.alt_text", site=site_name(site), head=head, rows=f"{record.queries:,}", columns=f"{record.keys:,}"
        )
    }
    data = maps.map_frame(trace, site, head, how, tile_server.address(trace, site), (row, column), shown, words)
    components.map(key="map-page", data=data, on_select_change=_select, on_head_change=_turn, on_area_change=_area)
    _footer(trace, how, shown)
    page_text.selection_line(trace)
    with st.container(horizontal=True, gap="medium"):
        navigation.link("heads", say("map.door_heads"))
        navigation.link("steps", page_text.say("door.cell"))


def _how(long: bool) -> str:
    """How the pairs of one cell become one colour; of a short text every cell is one pair."""
    chosen = view.tab("map_how")
    now = chosen if chosen in _HOW else "max"
    if not long:
        return now
    key = mirror("map_how", now)
    st.segmented_control(
        say("map.how"), _HOW, key=key, required=True, format_func=lambda name: say(f"map.how_{name}"),
        help=say("map.how_help"), on_change=lambda: view.open_tab("map_how", st.session_state[key]),
    )  # fmt: skip
    return now


def _select() -> None:
    if told := st.session_state["map-page"].get("select"):
        view.change(row=int(told["row"]), column=int(told["column"]), head=int(told["head"]))


def _turn() -> None:
    told = st.session_state["map-page"].get("head")
    if told is not None:
        view.change(head=int(told), heads="")


def _area() -> None:
    told = st.session_state["map-page"].get("area")
    if told is not None:
        view.change(area=str(told) if maps.area(str(told)) else "")


def _footer(trace: Trace, how: str, shown: maps.Area | None) -> None:
    from model.attention import rows as head_rows
    from model.attention import tiles

    site, head, _, _ = view.selected()
    record = trace.record(site)
    part = maps.part(shown, record.queries, record.keys)
    spans = [f"{span.start:,}–{span.stop - 1:,}" for span in part]
    slug = f"{figure_footer.safe(trace.key.model)}-{site}-head{head}-map"
    named = (tokens.query_labels, tokens.key_labels)

    def npz() -> bytes:
        values, high, wide = maps.in_view(trace, site, head, shown, how)
        return export.npz(values=values, queries_a_cell=[high], keys_a_cell=[wide], first_query=[part[0].start],
                          first_key=[part[1].start], how=[how])  # fmt: skip

    def csv() -> bytes:
        values, high, wide = maps.in_view(trace, site, head, shown, how)
        names = [
            [f"{i} {label(trace, site)[i]['text']}" for i in range(span.start, span.stop, step)]
            for label, span, step in zip(named, part, (high, wide), strict=True)
        ]
        return export.matrix_csv(values, *names)

    def figure():
        titles = (say("matrix.query"), say("matrix.key"), say("map.value"))
        return maps.static_map(trace, site, head, shown, how, titles)

    sentence = say("map.sentence", rows=spans[0], columns=spans[1])
    figure_footer.draw(
        "map",
        sentence,
        figure_footer.site_badge(trace, site),
        lambda: {f"{slug}.csv": csv, f"{slug}.npz": npz},
        figure,
        (tiles.strip, head_rows.row, head_rows.column),
    )
