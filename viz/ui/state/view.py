"""What this session looks at: one `View`, kept in the session and mirrored in the link (`viz.ui.state.address_bar`).

Widgets write to the view in callbacks; nothing else holds state of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from model.measures.default_head import aligned_head
from model.trace.site import Site
from viz.ui import language, session
from viz.ui.state import model_list, page_controls

if TYPE_CHECKING:
    from model.errors import HeadlightError
    from model.trace.trace import Trace

# What a run depends on: another value of any of these is another run.
RUN = ("model", "text", "target", "to", "pair", "chat", "new", "media")
# Where the colours of a matrix may end, other than where its weights suggest.
SCALES = ("1", "max")
# Pictures without the first token: the other weights as they are, or each row scaled to sum to 1.
WITHOUT_SINK = ("out", "scaled")


@dataclass(frozen=True)
class View:
    """model and texts say what was run; site, head, row, column say what is selected; heads are the lines switched on."""

    model: str = "translate"
    text: str = ""
    target: str = ""
    to: str = ""
    site: str = ""
    head: int = 0
    row: int = -1
    column: int = -1
    heads: str = ""
    step: int = -1  # −1 unfolds every step
    hand: str = ""  # the inputs of the page By hand, where they are not the worked example's
    pair: str = ""  # a second text
    chat: int = 0  # 1: each line of the text is a turn of a chat
    new: int = 0  # how many tokens a decoder writes after the text
    by_word: int = 0  # 1: the tokens of a word are shown as one
    media: str = ""  # which picture or sound is read
    scale: str = ""  # where a matrix's colours end: "1", "max", or "" as its weights suggest
    sink: str = ""  # pictures without the first token: "out", "scaled", or "" with it
    other: str = ""  # the text whose vector is compared
    tab: str = ""  # which part of a page is open: "block.norm,masks.causal"
    picks: str = ""  # the heads picked to be looked at together: "decoder.0.self.3,encoder.1.self.0"
    area: str = ""  # the part of a long head in view: first query, first key and cells a side, "q.k.cells"
    profile: str = ""  # which measured corpus is open: a listed name, or a path
    against: str = ""  # what a run is compared with: "text:…" or "model:…"
    edits: str = ""  # what is changed in a run on the page Switch off, text forms with spaces between them


def current() -> View:
    return session.value("view")


def model_of(trace: Trace) -> str:
    """By what name the list knows the model of this session's run: a folder that was opened by its path by that alone."""
    name = current().model
    return trace.key.model if model_list.is_trace(name) else name


def change(**values: object) -> None:
    """Replace fields of the view; a new model or text lets the selection find its own place again."""
    page_controls.act()
    st.session_state.pop("asked", None)  # what a link asked for counts no more once somebody does something
    before = current()
    other_model = values.get("model", before.model) != before.model
    if set(RUN) & values.keys() and any(getattr(before, k) != v for k, v in values.items()):
        values = {"row": -1, "column": -1} | values
        if "to" in values and _is_ribbon_head(before):
            values = {"site": "", "head": 0, "heads": ""} | values  # another language has another best head
        if other_model:
            st.session_state.asked = {}  # what a link asked for was of the model before
            st.session_state.pop("taken_link", None)  # a step of Back leads to it: it is news then
            values = {"text": "", "pair": "", "chat": 0, "new": 0, "media": "", "other": "", "tab": ""} | values
            values |= {"site": "", "head": 0, "target": "", "to": "", "heads": "", "picks": "", "area": "", "edits": ""}
    st.session_state.view = replace(before, **values)
    fill_defaults(new=other_model)


def _is_ribbon_head(now: View) -> bool:
    """Whether the selected head is the one whose ribbons the first screen draws, and nobody chose another."""
    told = aligned_head(model_list.card(now.model), now.to)
    return (now.site, now.head) == (told.get("site"), told.get("head"))


def tab(name: str) -> str:
    """Which part of a page is open by the link or by a press, "" where nobody chose."""
    return _tabs().get(name, "")


def open_tab(name: str, part: str) -> None:
    """Open a part of a page; the link carries it."""
    change(tab=_with_tab(name, part))


def note_tab(name: str, part: str) -> None:
    """Note which part is open where the page itself chose it, so that the link carries it too."""
    remember(tab=_with_tab(name, part))


def _with_tab(name: str, part: str) -> str:
    return ",".join(f"{key}.{value}" for key, value in sorted((_tabs() | {name: part}).items()))


def _tabs() -> dict[str, str]:
    return dict(re.findall(r"([a-z_]{1,24})\.([a-z0-9_]{1,24})", current().tab[:400]))


def refuse(name: str, error: HeadlightError) -> None:
    """Say on the next page why the model `name` did not open, and keep the name so that it can be corrected."""
    st.session_state.update(complaint=language.explain(error), refused_model=name)


def remember(**values: object) -> None:
    """Note in the view what a page found out while it was drawn, so that the link carries it."""
    st.session_state.view = replace(current(), **values)


def fill_defaults(new: bool = False) -> None:
    """Give empty fields their defaults from the model's card; a text that a person emptied stays so, and is answered."""
    now = current()
    card = model_list.card(now.model)
    languages = model_list.languages(now.model)
    changes: dict[str, object] = {}
    if model_list.is_trace(now.model):  # it has its input in it
        changes = {name: getattr(View, name) for name in RUN if name != "model"}
    if new and not now.text and card["examples"]:
        changes["text"] = card["examples"][0]
        changes["pair"] = now.pair or card.get("second", {}).get(changes["text"], "")
    if card.get("reads", "text") != "text" and not now.media:
        changes["media"] = "sample"
    if languages and now.to not in languages:
        # The first example is shown in the language that it is the example for.
        first = card.get("first_in") if "text" in changes else None
        changes["to"] = first if first in languages else languages[0]
    if changes:
        st.session_state.view = replace(now, **changes)


def selected() -> tuple[Site, int, int, int]:
    """(site, head, row, column) of the selection."""
    now = current()
    # A name does not say which lists of tokens a site's rows and columns have; the run that is shown does.
    site = session.value("sites", {}).get(now.site) or Site.parse(now.site)
    return site, now.head, now.row, now.column


def selected_token(side: str) -> int | None:
    """The selected token of a list of tokens: where it asks there, else where it is asked, else none."""
    site, _, row, column = selected()
    return row if site.query_side == side else column if site.key_side == side else None


def heads_shown(count: int) -> list[int]:
    """The heads whose lines are switched on: those in the link, else the selected one."""
    chosen = [int(h) for h in current().heads.split(".") if re.fullmatch(r"[0-9]{1,4}", h) and int(h) < count]
    return chosen or [current().head]
