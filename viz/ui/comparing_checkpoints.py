"""The same input on two checkpoints: which head of the second does what a head of the first does, and what changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from model.errors import HeadlightError
from viz.ui import (
    comparing_heads,
    comparing_second,
    comparing_two,
    feet,
    language,
    models,
    session,
    small_models,
    work,
)
from viz.ui.language import say
from viz.ui.widgets import mirror

if TYPE_CHECKING:
    from pathlib import Path

    from model.trace import Trace

_PREFIX = "model:"


def show(trace: Trace) -> None:
    """The second model, how its tokens align, every head with its counterpart, and the selected head on both."""
    if trace.facts.get("reads", "text") != "text":
        st.info(say("comparing.reads_text"))
        return
    small_models.make_asked()
    name = _chosen()
    if not name:
        st.caption(say("comparing.kinds_of_pairs"))
        if session.current().model == "translate":
            small_models.offer("shaw", "Shaw", "comparing-untrained", _against, say("comparing.untrained"))
        return
    if name == session.current().model:
        st.info(say("comparing.same_model"))
        return
    other = _second(trace, name)
    if other is None:
        return
    from model import aligned, counterparts

    sides = aligned.aligned_sides(trace, other)
    comparing_two.tokens_line(trace, other, sides, "comparing.read_otherwise")
    if not any(each.pairs for each in sides.values()):
        st.info(say("comparing.no_common_token" if sides else "comparing.no_common_side"))
        st.caption(say("comparing.kinds_of_pairs"))
        return
    for run in (trace, other):
        if any(feet.refused(run, site) for site in run.sites):
            return
    found = work.kept("comparing", "counterparts", (trace.key, other.key),
                      lambda: counterparts.counterparts(trace, other, sides), say("comparing.wait_counterparts"))  # fmt: skip
    titles = models.title(session.current().model), models.title(name)
    comparing_heads.show(trace, other, found, sides, titles)


def _against(path: Path) -> None:
    """Make it the second model; the first stays."""
    session.change(against=f"{_PREFIX}{path}")
    st.rerun()


def _chosen() -> str:
    """The second model by the link or the list, "" where none is chosen."""
    now = session.current()
    told = now.against.removeprefix(_PREFIX) if now.against.startswith(_PREFIX) else ""
    offered = [name for name in models.names(told or now.model) if name != now.model and _reads_text(name)]
    key = mirror("comparing_model", told if told in offered else None)
    st.selectbox(
        say("comparing.second_model"), offered, format_func=models.described, key=key, index=None, width=420,
        placeholder=say("comparing.second_model_hint"), help=say("comparing.second_model_help"),
        on_change=lambda: session.change(against=_PREFIX + st.session_state[key] if st.session_state[key] else ""),
    )  # fmt: skip
    return told


def _reads_text(name: str) -> bool:
    known = models.entry(name)
    return known is None or known.reads == "text"


def _second(trace: Trace, name: str) -> Trace | None:
    """The second model's run of the same input; what cannot be opened or run is said, and the page stays."""
    if not models.openable(name):
        allowed = ", ".join(models.found())
        st.warning(say("error.unknown_model", name=language.plain(name), allowed=allowed))
        return None
    try:
        other = comparing_second.run(_asked(trace, name), name)
    except HeadlightError as error:
        st.warning(f"**B** {language.plain(models.title(name))}: {language.explain(error)}")
        st.caption(say("comparing.kinds_of_pairs"))
        return None
    if other is None:
        return None
    if other.facts.get("reads", "text") != "text":
        st.info(say("comparing.reads_text"))
        return None
    side = next(iter(trace.sides))
    if models.is_trace(name) and (side not in other.sides or other.side(side).texts != trace.side(side).texts):
        st.info(say("comparing.saved_other_text"))
        return None
    return other


def _asked(trace: Trace, name: str) -> session.View:
    """What the first read, for the second: a language that the second does not write is left to it."""
    now = session.current()
    if models.is_trace(now.model):
        now = replace(now, text=trace.key.source, target=trace.key.target or "", to=trace.language)
    written = models.card(name)["test"]
    known = now.to in written if models.is_ours(name) else not models.is_ours(now.model)
    return replace(now, to=now.to if known else "")
