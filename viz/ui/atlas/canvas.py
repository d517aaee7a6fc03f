"""What a canvas of all heads says and answers, on whichever page it stands: names, legend, the pressed and the picked heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.atlas import atlas
from viz.ui.atlas import controls
from viz.ui.language import say
from viz.ui.shared.side_bar import site_name
from viz.ui.state import picked_heads
from viz.ui.state import view as session

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace

# What the figure itself says: the page's own texts need not be sent with every change.
WORDS = (
    "axes", "block", "cell", "click", "full", "head", "help", "left", "masked", "picked", "picks", "selected", "selects",
    "unmeasured",
)  # fmt: skip


def names_of(sites: list[Site]) -> dict[Site, tuple[str, str, str, str]]:
    """(group's title, row's label, short name, full name) of each site."""
    several = len(atlas.groups(sites)) > 1
    return {
        site: (
            controls.group_name(atlas.group(site)),
            say("atlas.layer", layer=site.layer),
            (controls.short_group(site) if several else "") + str(site.layer),
            site_name(site),
        )
        for site in sites
    }


def picked(trace: Trace) -> list[atlas.Head]:
    """The heads that are picked, of those that this run has."""
    by_name = {str(site): site for site in trace.sites}
    return [(by_name[name], head) for name, head in picked_heads.picked(trace)]


def select(key: str) -> None:
    """The head that was pressed in the canvas `key` is the session's."""
    if told := st.session_state[key].get("select"):
        session.change(site=str(told["site"]), head=int(told["head"]), heads="")


def pick(key: str) -> None:
    """What was picked in the canvas `key` is picked."""
    told = st.session_state[key].get("picks")
    if told is not None:
        picked_heads.pick([(str(site), int(head)) for site, head in told])


def legend_of(trace: Trace, sites: list[Site], size: int, how: str) -> str:
    """What a cell's colour is: the pooling is always said."""
    from model.attention.downsample import block_size

    if atlas.exact(trace, size):
        return say("atlas.legend")
    records = [trace.record(site) for site in sites]
    bins = {(block_size(r.queries, size), block_size(r.keys, size)) for r in records}
    high, wide = (max(sizes) for sizes in zip(*bins, strict=True))
    shown = say("atlas.bins" if len(bins) == 1 else "atlas.bins_most", high=high, wide=wide)
    return say(f"atlas.cell_{how}", bins=shown)
