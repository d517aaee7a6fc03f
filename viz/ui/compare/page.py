"""The page Compare: heads side by side, all pairs of heads, one head on two inputs, one input on two checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.attention import rows
from viz.base import axes, export, tokens
from viz.heads import matrix
from viz.ui import components, language
from viz.ui.compare import all_pairs, checkpoints, inputs, side_by_side, two_heads
from viz.ui.compare.two_heads import head_name
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, side_bar
from viz.ui.shared.widgets import mirror, parts
from viz.ui.state import jobs, picked_heads, view

if TYPE_CHECKING:
    from model.trace.trace import Trace

PARTS = ("heads", "pairs", "inputs", "checkpoints")


def show(trace: Trace) -> str:
    """Which comparison, and that comparison. -> which"""
    part = parts("comparing", say("comparing.part"), PARTS, "heads", lambda name: say(f"comparing.part_{name}"))
    st.markdown(say(f"comparing.{part}_what"))
    shown = {"heads": _heads, "pairs": all_pairs.show, "inputs": inputs.show,
             "checkpoints": checkpoints.show}  # fmt: skip
    shown[part](trace)
    return part


def chosen(trace: Trace) -> list[picked_heads.Pick]:
    """The picked heads; where fewer than two are, the selected one and its neighbour join them."""
    found = picked_heads.picked(trace)
    site, head, _, _ = view.selected()
    count = trace.record(site).heads
    for other in ((str(site), head), (str(site), (head + 1) % count)):
        if len(found) < 2 and other not in found:
            found.append(other)
    return found


def _heads(trace: Trace) -> None:
    heads = chosen(trace)
    side_bar.head_picker(trace, words=False)
    site, head, row, column = view.selected()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        picked = (str(site), head) in picked_heads.picked(trace)
        st.button(say("comparing.leave" if picked else "comparing.add"), key="comparing-add",
                  on_click=lambda: picked_heads.toggle(trace, str(site), head))  # fmt: skip
        if picked_heads.picked(trace):
            st.button(
                say("comparing.none"), key="comparing-none", type="tertiary", on_click=lambda: picked_heads.pick([])
            )
    many = len(picked_heads.picked(trace))
    if many < 2:
        st.caption(say("comparing.one_picked") if many else say("comparing.nothing_picked"))
    side_by_side.show(trace, heads, (row, column))
    if len(heads) > 1:
        _difference(trace, heads, (row, column))


def _pair(heads: list[picked_heads.Pick]) -> tuple[picked_heads.Pick, picked_heads.Pick]:
    """Which two: the first two where nobody chose."""
    found = []
    with st.container(horizontal=True, gap="small"):
        for which, first in (("a", 0), ("b", 1)):
            told = view.tab(f"comparing_{which}")
            place = int(told) if told.isascii() and told.isdigit() and int(told) < len(heads) else first
            key = mirror(f"comparing_{which}", place, "".join(map(str, heads)))
            st.selectbox(
                say(f"comparing.{which}"), range(len(heads)), format_func=lambda i: head_name(*heads[i]), key=key, width=300,
                on_change=lambda which=which, key=key: view.open_tab(f"comparing_{which}", str(st.session_state[key])),
            )  # fmt: skip
            found.append(heads[place])
    return found[0], found[1]


def _difference(trace: Trace, heads: list[picked_heads.Pick], at: tuple[int, int]) -> None:
    """B − A, the divergence of each query, and the two in one number."""
    from model.compare import heads as compare_heads
    from viz.compare import heads as pictures

    page_text.heading("comparing.difference")
    (a_site, a), (b_site, b) = _pair(heads)
    one, other = trace.record(a_site), trace.record(b_site)
    if not compare_heads.same_tokens(one, other):
        st.info(say("comparing.other_tokens"))
        return
    found = jobs.cached(
        "comparing",
        "difference",
        (trace.key, a_site, a, b_site, b),
        lambda: compare_heads.compared(one, a, other, b),
        say("comparing.wait_difference"),
    )
    site = one.site
    here = at if at[0] < one.queries and at[1] < one.keys else (0, 0)
    shown = axes.axes(trace, site, here)
    (before, allowed), (after, also) = (matrix.cells(r, h, shown) for r, h in ((one, a), (other, b)))
    values, open_ = after - before, allowed | also
    words = language.group("matrix") | {
        "alt": say("comparing.difference_alt"), "legend": say("comparing.legend"), "value": "B − A", "help": ""
    }  # fmt: skip
    with st.container(key="beside-difference"):
        left, right = st.columns([3, 2], gap="large")
    with left:
        components.matrix(key="comparing-difference",
                          data=pictures.difference_frame(trace, site, values, open_, shown, here, words))  # fmt: skip
    queries, keys = (
        [label["text"] for label in labels(trace, site)] for labels in (tokens.query_labels, tokens.key_labels)
    )
    with right:
        st.altair_chart(two_heads.divergence(queries, found.rows.numpy(), here[0]), width="stretch")
        st.caption(say("comparing.rows_mark", query=page_text.code(queries[here[0]])))
        two_heads.in_words(found.mean, found.correlation, found.largest, queries, keys)
    part = "" if all(axis.whole for axis in shown) else say("comparing.part_shown")
    slug = f"{figure_footer.safe(trace.key.model)}-{a_site}-{a}-{b_site}-{b}"

    def csv() -> bytes:
        pairs = zip(rows.in_blocks(one, a), rows.in_blocks(other, b), strict=True)
        return export.rows_csv(((rows, after - before) for (rows, before), (_, after) in pairs), queries, keys)

    def npz() -> bytes:
        shape = (one.queries, one.keys)
        both = {"a": (one, a), "b": (other, b)}
        whole = {name: (shape, np.float32, rows.in_blocks(*head)) for name, head in both.items()}
        return export.rows_npz(whole, js=found.rows.numpy(), correlation=np.array(found.correlation))

    figure_footer.draw(
        "comparing-difference",
        f"{say('comparing.sentence')} {part}".strip(),
        figure_footer.site_badge(trace, site),
        lambda: {f"{slug}.csv": csv, f"{slug}.npz": npz},
        lambda: two_heads.divergence(queries, found.rows.numpy(), here[0], "light"),
        (compare_heads.compared, compare_heads.jensen_shannon),
    )
