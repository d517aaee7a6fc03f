"""Pictures without the attention sink: one switch for every page that draws heads, its share told, and the run as drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers, tokens
from viz.base.check_note import note
from viz.ui.language import say
from viz.ui.shared.widgets import mirror
from viz.ui.state import view

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace
    from viz.base.check_note import CheckNote

MUCH = 0.5  # of a head's attention: it rests there
LITTLE = 0.3  # less than this is no rest


def switches() -> None:
    """Whether the first token is left out and, where it is, whether what is left is made to sum to 1."""
    mode = view.current().sink
    out = mirror("sink", bool(mode))
    st.toggle(say("sink.switch"), key=out, help=say("sink.switch_help"),
              on_change=lambda: view.change(sink="out" if st.session_state[out] else ""))  # fmt: skip
    if mode:
        key = mirror("sink_scaled", mode == "scaled")
        st.toggle(say("sink.scaled"), key=key, help=say("sink.scaled_help"),
                  on_change=lambda: view.change(sink="scaled" if st.session_state[key] else "out"))  # fmt: skip


def drawn(trace: Trace) -> Trace:
    """The run as its pictures show it; what is measured, checked or saved is of `trace` itself."""
    if not (mode := view.current().sink):
        return trace
    from model.attention.without_sink import without_sink

    return without_sink(trace, mode == "scaled")


def masked(words: dict[str, str]) -> dict[str, str]:
    """The words of a figure, in which hatching is the column that is left out too."""
    return words | {"masked": say("sink.hatched")} if view.current().sink else words


def legend(what: str = "") -> str:
    """What the colours of a head's weights are, `what` they are without the switch."""
    what = what or say("matrix.legend")
    return say("sink.legend", what=what) if view.current().sink == "scaled" else what


def told(check: CheckNote, besides: str = "") -> CheckNote:
    """How a figure of `drawn` checks and what it is without: its footer says it, and every file, which hold what is drawn.

    besides: the page some of whose files hold the run as it was recorded.
    """
    if not (mode := view.current().sink):
        return check
    said = say(f"sink.files_{mode}")
    return check + note(said + (f"; {say(f'sink.besides_{besides}')}" if besides else ""))


def slug() -> str:
    """What the names of such files end with."""
    return {"out": "-without-first-token", "scaled": "-without-first-token-scaled"}.get(view.current().sink, "")


def sentence() -> str:
    """What a matrix of a head's weights is, in one formula."""
    return say("sink.sentence") if view.current().sink == "scaled" else say("matrix.sentence")


def say_share(trace: Trace, site: Site, head: int, every: bool = False) -> None:
    """What is left out of the pictures of one head, as a number; every: and of how many heads of the run it is half."""
    if not view.current().sink:
        return
    from model.attention.without_sink import sink_share, sink_shares

    share = sink_share(trace.record(site), head)
    token = tokens.key_labels(trace, site)[0]["text"]
    said = [say("sink.share", token=token, share=numbers.short(share))]
    if not LITTLE <= share < MUCH:  # between the two it may be either
        said.append(say("sink.rests") if share >= MUCH else say("sink.reads"))
    _caption([*said, _of_all(sink_shares(trace))] if every else said)


def say_shares(shares: list[float]) -> None:
    """The same of every head of a run; nothing while they are not known."""
    if view.current().sink and shares:
        _caption([say("sink.left"), _of_all(shares)])


def _of_all(shares: list[float]) -> str:
    much = sum(share >= MUCH for share in shares)
    return say(
        "sink.shares", n=much, heads=len(shares), much=f"{MUCH:g}", mean=numbers.short(sum(shares) / len(shares))
    )


def _caption(said: list[str]) -> None:
    st.caption(" ".join([*said, say(f"sink.rest_{view.current().sink}")]))
