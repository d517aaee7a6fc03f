"""What stands around a page's figures: its title, remarks on how the input was read, the selection, what to notice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from model.checkpoints.disk.shipped import in_grammar
from model.errors import HeadlightError
from model.families import random_title_of
from viz.base import numbers, tokens
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared.side_bar import site_name
from viz.ui.state import address_bar, current_run, default_head, long_texts, model_list, truncation_offer, view

if TYPE_CHECKING:
    from model.trace.trace import Trace


def title(key: str) -> None:
    """The page's name and its one sentence: what am I looking at."""
    st.title(say(f"{key}.title"), anchor=False)
    st.markdown(say(f"{key}.what"))


def headline() -> None:
    """The first screen's name and its one sentence."""
    now = view.current()
    st.title(say("headline.title"), anchor=False)
    if model_list.is_trace(now.model):
        st.markdown(_what_saved())
        return
    reads = model_list.card(now.model).get("reads", "text")
    if reads != "text":
        st.markdown(say(f"headline.what_{reads}"))
    else:
        st.markdown(say("headline.what") if model_list.writes(now.model) else say("headline.what_self"))


def _what_saved() -> str:
    """What a saved trace shows, told by the trace itself: a file's name says nothing of it."""
    try:
        trace = current_run.trace_of(view.current())
    except HeadlightError:  # the page says it
        return say("headline.what_saved")
    reads = {"picture": "pictures", "sound": "sound"}.get(str(trace.facts.get("reads")))
    if reads:
        return say(f"headline.what_{reads}")
    crosses = [site for site in trace.sites if site.kind == "cross"]
    if not crosses:
        numbered = tokens.numbered(trace, trace.sites[0].query_side)
        return say("headline.what_saved_positions") if numbered else say("headline.what_saved_self")
    if trace.written():
        return say("headline.what_saved")
    drawn, _ = default_head.best_head(trace)
    cross = drawn if drawn.kind == "cross" else crosses[0]
    return say("headline.what_saved_cross", queries=language.side(cross.query_side), keys=language.side(cross.key_side))


def heading(key: str, what: str | None = None, small: bool = False, **values: object) -> None:
    """A figure's name and, below it, one sentence on what it shows.

    key: of the name in the catalogue, `block.stream` or `generation.tree_name`. what: key of the sentence, by itself
    `block.stream_what` or `generation.tree_what`; "" for a name alone. small: bold, for a figure beside another. values:
    what the two texts fill in.
    """
    name = say(key, **values)
    what = sentence_key(key) if what is None else what
    title = f"**{name}**" if small else f"#### {name}"
    st.markdown(f"{title}  \n{say(what, **values)}" if what else title)


def sentence_key(key: str) -> str:
    """The key of the sentence that belongs to a name: `a.b_name` and `a.b` -> `a.b_what`, `a.name` -> `a.what`."""
    return f"{key.removesuffix('name')}what" if key.endswith(("_name", ".name")) else f"{key}_what"


def notes(key: str, part: str = "") -> None:
    """Under the figure: what to notice (in its open part, where a page has several), and what this cannot tell."""
    left, right = st.columns(2, gap="large")
    left.markdown(f"**{say('page.notice')}** {say(f'{key}.notice_{part}' if part else f'{key}.notice')}")
    right.markdown(f"**{say('page.limits')}** {say(f'{key}.limits')}")


def notices(trace: Trace, card_hint: bool = False) -> None:
    """Quiet remarks about how the text was read: folded case, a target that was forced or did not end.

    card_hint: also what the model's card tells to look for, where the page shows its heads.
    """
    current_run.complain()
    if note := st.session_state.pop("notice", None):
        st.warning(note)
    truncation_offer.show_notice()
    if texts := address_bar.left_out():
        st.caption(say("note.long", texts=say("error.comma").join(texts), most=f"{long_texts.LONGEST:,}"))
    if folded := trace.facts.get("folded"):
        pairs = ", ".join(f"“{typed}” → “{read}”" for typed, read in folded)
        st.caption(say("note.folded", pairs=pairs))
    if model_list.is_ours(view.model_of(trace)) and _outside(trace):
        st.caption(say("note.outside"))
    if card_hint and (notice := _card_hint(trace)):
        st.caption(f"{say('note.look')} {notice}")
    _warnings(trace)
    if not trace.facts.get("finished", True):
        st.caption(say("note.unfinished"))
    if not trace.facts.get("generated", True) and not trace.facts.get("own_module"):
        st.caption(say("note.forced"))


def _card_hint(trace: Trace) -> str:
    """What a card tells to look for, "" where it speaks of another input than the one that was read."""
    card = model_list.card(view.current().model)
    notice = language.in_card(card.get("notice") or "")
    told = not card["examples"] or trace.key.source in card["examples"]
    # One that quotes a word is about the examples with that word.
    return notice if told and all(word in trace.key.source for word in re.findall("“(.+?)”", notice)) else ""


def _few(names: Sequence[str]) -> str:
    """The first names of many."""
    return ", ".join(map(code, names[:3])) + (" …" if len(names) > 3 else "")


def _warnings(trace: Trace) -> None:
    """What makes a picture of this checkpoint less than it seems: random layers, heads that look at everything alike."""
    if fresh := trace.facts.get("fresh"):
        st.warning(say("note.fresh", n=len(fresh), names=_few(fresh)))
    if broken := trace.facts.get("not_finite"):
        st.warning(say("note.not_finite", n=len(broken), names=_few(broken)))
    if head := trace.facts.get("head"):
        st.caption(say("note.head", name=code(head)))
    if adapter := trace.facts.get("adapter"):
        kind = code(adapter["kind"])
        st.warning(say("note.adapter_applied" if adapter["applied"] else "note.adapter", kind=kind))
    if device := trace.facts.get("device"):
        st.caption(say("note.device", device=code(device)))
    if unpacked := trace.facts.get("unpacked"):
        st.caption(say("note.unpacked", kind=language.plain(unpacked)))
    if missing := trace.facts.get("missing") or trace.facts.get("opening", {}).get("missing"):
        if trace.facts.get("own_module"):
            st.warning(say("note.missing_module", n=len(missing), names=_few(missing)))
        elif len(missing) == 1:
            st.warning(say("note.missing", names=_few(missing)))
        else:
            st.warning(say("note.missing_several", n=len(missing), names=_few(missing)))
    if uniform := default_head.uniform_heads(trace):
        names = ", ".join(f"{site_name(site)} · {head}" for site, head in uniform[:4]) + (
            " …" if len(uniform) > 4 else ""
        )
        one = len(uniform) == 1
        st.caption(
            say("note.uniform", names=names) if one else say("note.uniform_several", n=len(uniform), names=names)
        )
    if unknown := trace.facts.get("unknown"):
        st.caption(say("note.unknown", n=unknown["count"], unknown=code(unknown["token"])))
    if random_title_of(trace.key.model):
        st.caption(say("note.random"))
    for side in trace.sides.values():
        if any(side.segments):
            st.caption(say("note.pair", last=len(side.segments) - 1, second=side.segments.index(1)))


def _outside(trace: Trace) -> bool:
    words = trace.tokens("encoder") if "encoder" in trace.sides else ()
    return in_grammar(trace.key.model, tuple(words), trace.language) is False


def selection_line(trace: Trace, weight: bool = True) -> None:
    """The thread of the app: what is selected, in words, the same on every page. weight: with the cell's own; without it, the
    row is named by the token that it reads, which no step of a training changes."""
    site, head, row, column = view.selected()
    query = (tokens.query_labels(trace, site) if weight else tokens.labels(trace, site.query_side))[row]["text"]
    key = tokens.key_labels(trace, site)[column]["text"]
    record = trace.record(site)
    parts = [site_name(site), say("site.head", head=head), f"{code(query)} ← {code(key)}"]
    if weight:
        cell = record.weights(head, slice(row, row + 1), slice(column, column + 1))
        parts.append(f"**{numbers.short(float(cell[0, 0]))}**")
    if not bool(record.allowed(slice(row, row + 1), slice(column, column + 1))):
        later = record.mask.causal and site.query_side == site.key_side and column > row
        parts.append(say("matrix.masked_later") if later else say("matrix.masked"))
    with st.container(key="selection-line"):
        st.markdown(" · ".join(parts))


def code(text: str) -> str:
    """Text as inline code that Markdown cannot break out of."""
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"
