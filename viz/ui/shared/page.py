"""Opening a page: the run that this session looks at, with a selection that exists in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from model.measures.default_cell import first_cell
from viz.ui import language
from viz.ui.shared import more_inputs, page_text
from viz.ui.state import current_run, default_head, model_list, view

if TYPE_CHECKING:
    from model.trace.trace import Trace


def open(key: str, card_hint: bool = False) -> Trace:
    """Begin the page whose words are `key`: its title, the run that it shows, and remarks on how the input was read.

    card_hint: also what the model's card tells to look for, where the page shows its heads.
    """
    page_text.title(key)
    return shown(card_hint)


def shown(card_hint: bool = False) -> Trace:
    """The run that this session looks at, under a title that a page wrote itself, with the remarks of `open`."""
    trace = current_trace()
    page_text.notices(trace, card_hint)
    return trace


def current_trace() -> Trace:
    """The run that this session looks at, with a selection that exists in it; see viz/ui/state/current_run.py."""
    trace = current_run.current()
    more_inputs.languages(current_run.model() if not model_list.is_trace(view.current().model) else None)
    _select(trace)
    return trace


def _select(trace: Trace) -> None:
    """Make the selection one that exists in this trace: an absent one goes to the best head and its strongest cell."""
    now = view.current()
    names = [str(site) for site in trace.sites]
    site, head = now.site, now.head
    if site not in names:
        if site:
            st.session_state.asked = {}
            st.warning(language.say("error.unknown_site", site=language.plain(site), allowed=", ".join(names)))
        best = default_head.best_head(trace)
        site, head = str(best[0]), best[1]
    record = trace.record(site)
    head = head if 0 <= head < record.heads else 0
    row, column = now.row, now.column
    if 0 <= row < record.queries and column == -1:  # a row was asked for: its strongest cell
        column = int(trace.row(site, head, row).argmax())
    if not (0 <= row < record.queries and 0 <= column < record.keys):
        row, column = first_cell(trace, site, head, _rows_after(site, head))
    st.session_state.view = replace(now, site=site, head=head, row=row, column=column)
    st.session_state.sites = {str(known): known for known in trace.sites}
    # A picture's tower and a text's, which hand nothing over: neither decodes.
    st.session_state.towers = (
        "image" in trace.store and len(trace.sides) > 1 and not any(site.kind == "cross" for site in trace.sites)
    )
    _mention_absent()


def _rows_after(site: str, head: int) -> str:
    """The token behind which the rows of a head are what its package shows, "" where they all are."""
    card = model_list.card(view.current().model)
    return card.get("rows_after", "") if card.get("head") and tuple(card["head"]) == (site, head) else ""


def _mention_absent() -> None:
    """One sentence for what the link asked for and this run does not have."""
    now = view.current()
    shown = {"head": now.head, "q": now.row, "k": now.column, "to": now.to, "lang": language.current()}
    asked = st.session_state.pop("asked", {})
    absent = [
        f"{name}={language.plain(asked[name][:40])}" for name in shown.keys() & asked if asked[name] != str(shown[name])
    ]
    if absent and "notice" not in st.session_state:
        st.session_state.notice = language.say("note.link", values=", ".join(sorted(absent)))
