"""Opening a page: the run that this session looks at, with a selection that exists in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from model.errors import bounded
from model.measures.default_cell import first_cell
from model.trace.site import Site
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import more_inputs, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.state import current_run, default_head, model_list, view

if TYPE_CHECKING:
    from model.trace.trace import Trace

_QUOTED = 40  # characters of a link's value that a sentence repeats


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
    absent = site not in names
    if absent:
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
    if absent and now.site:
        _mention_site(trace, now.site)
    _mention_absent(trace)


def _rows_after(site: str, head: int) -> str:
    """The token behind which the rows of a head are what its package shows, "" where they all are."""
    card = model_list.card(view.current().model)
    return card.get("rows_after", "") if card.get("head") and tuple(card["head"]) == (site, head) else ""


def _mention_site(trace: Trace, site: str) -> None:
    """One sentence for a sub-layer that this run does not have: what there is, and what is shown."""
    try:
        asked = site_name(Site.parse(site))
    except ValueError:
        asked = language.plain(site[:_QUOTED])
    told = st.session_state.get("asked", {})
    for name in ("head", "q", "k"):  # they were of that sub-layer
        if name in told:
            asked += f" · {say(f'note.link_{name}', got=language.plain(told.pop(name)[:_QUOTED]))}"
    now = view.current()
    values = {"asked": asked, "allowed": _there(trace), "site": site_name(now.site), "head": now.head}
    sentence = language.catalogue(language.current())["note.link_site"]
    st.warning(say("note.link_site", **bounded(sentence, values)))


def _there(trace: Trace) -> str:
    """The sub-layers of a run in words, those of a kind together: encoder 0–11 · self-attention."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for site in trace.sites:
        kinds.setdefault((site.stack, site.kind), []).append(site.layer)
    return say("error.comma").join(
        say("site.name", stack=language.stack(stack), layer=_layers(layers), kind=say(f"site.{kind}"))
        for (stack, kind), layers in kinds.items()
    )


def _layers(layers: list[int]) -> str:
    low, high = min(layers), max(layers)
    if len(layers) == high - low + 1:
        return str(low) if low == high else f"{low}–{high}"
    return ", ".join(map(str, sorted(layers)))


def _mention_absent(trace: Trace) -> None:
    """One sentence for what the link asked for and this run does not have, and what is shown instead."""
    now, record, told = view.current(), trace.record(view.current().site), st.session_state.pop("asked", {})
    numbers = {"head": (now.head, record.heads), "q": (now.row, record.queries), "k": (now.column, record.keys)}
    codes = {"to": (now.to, model_list.languages(now.model)), "lang": (language.current(), list(language.LANGUAGES))}
    asked, shown = [], []
    for name, (value, there) in (numbers | codes).items():
        if name not in told or told[name] == str(value):
            continue
        got = language.plain(told[name][:_QUOTED])
        if name in numbers:
            here = got.isascii() and got.isdigit() and int(got) < there  # of a cell the other half may be wrong
            allowed = "" if here else f"0–{there - 1}"
        else:
            allowed = ", ".join(map(_language, there))
        named = say(f"note.link_{name}", got=got)
        asked.append(say("note.link_there", asked=named, there=allowed) if allowed else named)
        if value != "":
            shown.append(say(f"note.link_{name}", got=value if name in numbers else _language(str(value))))
    if asked and "notice" not in st.session_state:
        listed = say("error.comma").join
        st.session_state.notice = say("note.link", asked=listed(asked), shown=listed(shown) or "–")


def _language(code: str) -> str:
    return language.LANGUAGES.get(code) or language.name(code)
