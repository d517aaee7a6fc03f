"""What stands around a page's figures: its title, remarks on how the input was read, the selection, what to notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from model.checkpoints.catalogue import in_grammar
from viz import numbers, tokens
from viz.ui import language, models, runs, session
from viz.ui.controls import site_name
from viz.ui.language import say

if TYPE_CHECKING:
    from model.trace import Trace


def title(key: str) -> None:
    """The page's name and its one sentence: what am I looking at."""
    st.title(say(f"{key}.title"), anchor=False)
    st.markdown(say(f"{key}.what"))


def headline() -> None:
    """The first screen's name and its one sentence."""
    now = session.view()
    reads = models.card(now.model).get("reads", "text")
    st.title(say("headline.title"), anchor=False)
    if reads != "text":
        st.markdown(say(f"headline.what_{reads}"))
    else:
        st.markdown(say("headline.what") if models.writes(now.model) else say("headline.what_self"))


def notes(key: str) -> None:
    """Under the figure: what to notice, and what this cannot tell."""
    left, right = st.columns(2, gap="large")
    left.markdown(f"**{say('page.notice')}** {say(f'{key}.notice')}")
    right.markdown(f"**{say('page.limits')}** {say(f'{key}.limits')}")


def notices(trace: Trace) -> None:
    """Quiet remarks about how the text was read: folded case, a target that was forced or did not end."""
    if complaint := st.session_state.pop("complaint", None):
        st.error(complaint, icon=":material/error:")
    if note := st.session_state.pop("notice", None):
        st.warning(note)
    if folded := trace.facts.get("folded"):
        pairs = ", ".join(f"“{typed}” → “{read}”" for typed, read in folded)
        st.caption(say("note.folded", pairs=pairs))
    if models.is_ours(trace.key.model) and _outside(trace):
        st.caption(say("note.outside"))
    if notice := models.card(session.view().model).get("notice"):
        st.caption(f"{say('note.look')} {language.in_card(notice)}")
    _warnings(trace)
    if not trace.facts.get("finished", True):
        st.caption(say("note.unfinished"))
    if not trace.facts.get("generated", True):
        st.caption(say("note.forced"))


def _warnings(trace: Trace) -> None:
    """What makes a picture of this checkpoint less than it seems: random layers, heads that look at everything alike."""
    if fresh := trace.facts.get("fresh"):
        names = ", ".join(code(name) for name in fresh[:3]) + (" …" if len(fresh) > 3 else "")
        st.warning(say("note.fresh", n=len(fresh), names=names))
    if uniform := runs.uniform_heads(trace):
        names = ", ".join(f"{site_name(site)} · {head}" for site, head in uniform[:4]) + (
            " …" if len(uniform) > 4 else ""
        )
        st.caption(say("note.uniform", n=len(uniform), names=names))
    for side in trace.sides.values():
        if any(side.segments):
            st.caption(say("note.pair", last=len(side.segments) - 1, second=side.segments.index(1)))


def _outside(trace: Trace) -> bool:
    return in_grammar(trace.key.model, tuple(trace.tokens("encoder")), trace.language) is False


def selection_line(trace: Trace) -> None:
    """The thread of the app: what is selected, in words, the same on every page."""
    site, head, row, column = session.selected()
    query = tokens.query_labels(trace, site)[row]["text"]
    key = tokens.key_labels(trace, site)[column]["text"]
    weight = float(trace.weights(site, head, row, column)[0, 0])
    parts = [
        site_name(site),
        say("site.head", head=head),
        f"{code(query)} ← {code(key)}",
        f"**{numbers.short(weight)}**",
    ]
    with st.container(key="selection-line"):
        st.markdown(" · ".join(parts))


def code(text: str) -> str:
    """Text as inline code that Markdown cannot break out of."""
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"
