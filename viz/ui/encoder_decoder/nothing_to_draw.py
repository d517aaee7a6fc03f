"""Why the page of the encoder–decoder draws nothing of a run, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.ui import language, navigation
from viz.ui.language import say

if TYPE_CHECKING:
    from model.trace.trace import Trace


def say_why(trace: Trace) -> None:
    """One stack, several that do not meet, or cross-attention between others than an encoder and a decoder."""
    elsewhere = [site for site in trace.sites if site.kind == "cross"]
    stacks = list(dict.fromkeys(site.home for site in trace.sites))
    if not elsewhere and len(stacks) == 1:
        st.info(say("encoder_decoder.none"), icon=":material/info:")
        return
    names = say("error.comma").join(language.stack(stack) for stack in stacks)
    if not elsewhere:
        st.info(say("encoder_decoder.apart", stacks=names), icon=":material/info:")
        return
    pairs = dict.fromkeys((language.side(site.query_side), language.side(site.key_side)) for site in elsewhere)
    read = say("error.comma").join(say("encoder_decoder.reads", queries=q, keys=k) for q, k in pairs)
    st.info(say("encoder_decoder.elsewhere", read=read), icon=":material/info:")
    navigation.link("heads", say("heads.name"))
