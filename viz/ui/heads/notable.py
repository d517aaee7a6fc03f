"""A line under the pickers: which head of this run is sharpest, which reads the token before most, which aligns best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui.language import say
from viz.ui.shared.side_bar import site_name
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.trace.trace import Trace


def line(trace: Trace) -> None:
    """A button a head, which shows it; nothing where the run is too long to ask every head on the way."""
    from model.measures.default_head import aligned_head
    from model.measures.notable_heads import best_aligned, notable_heads

    said = {
        "entropy": lambda value: (say("notable.entropy", value=numbers.short(value)), say("notable.entropy_why")),
        "previous": lambda value: (say("notable.previous", value=f"{value:.0%}"), say("notable.previous_why")),
    }
    heads = [(str(told.site), told.head, *said[told.measure](told.value)) for told in notable_heads(trace)]
    aligned = aligned_head(model_list.card(view.model_of(trace)), trace.language)
    if aligned and aligned["site"] in {str(site) for site in trace.sites}:
        words = say("notable.aligned", value=f"{aligned['agreement']:.0%}")
        heads.append((aligned["site"], int(aligned["head"]), words, say("notable.aligned_why")))
    elif here := best_aligned(trace):  # no card measured it: this run alone tells
        words = say("notable.aligned_here", value=f"{here.value:.0%}")
        heads.append((str(here.site), here.head, words, say("notable.aligned_here_why")))
    if not heads:
        return
    now = view.current()
    with st.container(horizontal=True, key="notable"):
        for i, (site, head, words, why) in enumerate(heads):
            shown = (site, head) == (now.site, now.head)
            label = f"{words}: {site_name(site)} · {say('site.head', head=head)}"
            st.button(label, key=f"notable-{i}", type="tertiary", disabled=shown, on_click=view.change, help=why,
                      kwargs={"site": site, "head": head, "row": -1, "column": -1})  # fmt: skip
