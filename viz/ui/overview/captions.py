"""The captions of the first screen: what was read and written, and what each part of the picture is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import tokens
from viz.heads import thumbnails
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import sink
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace


def of_picture(trace: Trace, ribbon_head: tuple[Site, int], how: str) -> dict[str, str]:
    """The captions, which say what the rows of ribbons are for this model, and what the blocks of a long text show."""
    words = language.group("overview")
    if any(map(thumbnails.pooled, trace.attention.values())):
        words["legend"] = say(f"overview.legend_{how}", max="{max}")
    words["legend"] = sink.legend(words["legend"])
    if view.current().sink:
        words["hatched_masked"] = say("sink.hatched")
    reads = trace.facts.get("reads")
    if reads:
        words["source"] = say("overview.seen") if reads == "picture" else say("overview.heard")
        words["hover"] = say("overview.hover_part")
    elif model_list.is_trace(view.current().model):
        words["source"] = say("overview.read")
    words["inputs"] = _inputs(trace)
    stack = ribbon_head[0].key_side.partition(".")[0]
    if stack not in ("encoder", "decoder"):
        words["source"] = language.stack(stack)
    words |= {name: language.stack(name) for name in {site.stack for site in trace.sites} - {"encoder", "decoder"}}
    if st.session_state.get("towers"):
        words |= {name: (stack := language.stack(name))[:1].upper() + stack[1:] for name in ("encoder", "decoder")}
    if not any(site.kind == "cross" for site in trace.sites):  # two towers side by side hand nothing over
        words |= {"memory": "", "shifted": say("overview.compared")}
    elif trace.facts.get("own_module") and not trace.written():
        words["shifted"] = say("overview.read")
    if ribbon_head[0].kind == "cross" and not trace.written():
        words["target"] = language.stack(ribbon_head[0].query_side)
    elif ribbon_head[0].kind == "self":
        parts = reads or tokens.numbered(trace, ribbon_head[0].query_side)
        words["target"] = say("overview.asking_parts") if parts else say("overview.asking")
    elif not trace.facts.get("generated", True):
        words["target"] = say("overview.forced")
    written = " ".join(trace.written()[:-1]) if ribbon_head[0].kind == "cross" else ""
    return words | {"alt": say("overview.alt_text", source=trace.key.source[:200], target=written)}


def _inputs(trace: Trace) -> str:
    """What the first layer reads: embeddings, with positions added to them or not; where the run does not tell, that alone."""
    if trace.facts.get("positions"):
        added: object = trace.facts["positions"] in ("sinusoidal", "learned")
    else:
        added = trace.facts.get("adds_positions")
    if added is not None:
        return say("overview.inputs") if added else say("overview.inputs_alone")
    return say("overview.inputs_unknown") if trace.facts.get("own_module") else say("overview.inputs_perhaps")
