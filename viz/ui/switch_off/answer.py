"""What the model says with the edits and without: its words with what changed marked, and the tokens that it weighs."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from model.trace.logits import has_logits, most_probable
from viz import effects
from viz.base import export, numbers
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text

if TYPE_CHECKING:
    from model.attribution.metric import Metric
    from model.trace.trace import Trace

_TOP = 6


def written(before: Trace, after: Trace) -> None:
    """Both answers in full, the words that only one has marked; one sentence where they are the same."""
    was, now = (_words(trace) for trace in (before, after))
    if not was and not now:
        return
    if was == now:
        st.markdown(say("switch_off.same", words=page_text.code(before.between.join(was))))
        return
    marked = [[], []]
    for kind, a, b, c, d in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        for place, part in enumerate((was[a:b], now[c:d])):
            plain = [language.plain(word) for word in part]
            marked[place] += plain if kind == "equal" else [f":orange-background[**{word}**]" for word in plain]
    for name, words in zip(("before", "after"), marked, strict=True):
        st.markdown(f"{say(f'switch_off.{name}')}  {' '.join(words)}")


def _words(trace: Trace) -> list[str]:
    """What the model itself wrote or would write next, its end left out."""
    side = trace.sides.get("decoder")
    if side is None:
        return []
    start = 1 if len(trace.sides) > 1 else int(trace.facts.get("prompt", len(side.tokens)))
    words = [text for text, special in zip(side.texts[start:], side.special[start:], strict=True) if not special]
    return words or [str(text) for text in trace.written()[-1:] if len(trace.sides) == 1]


def number(before: Trace, forced: Trace, metric: Metric) -> float:
    """The number that is explained, before and after over the same tokens; its change."""
    was, now = metric.value(before), metric.value(forced)
    st.markdown(say("switch_off.number", metric=in_words(metric), before=numbers.short(was), after=numbers.short(now),
                    change=signed(now - was)))  # fmt: skip
    return now - was


def signed(value: float) -> str:
    return ("+" if value > 0 else "") + numbers.short(value)


def in_words(metric: Metric) -> str:
    """ "logit of *il* minus *elle* at place 10"."""
    token, other = (language.plain(text.strip() or text) for text in metric.texts)
    name = "metric" if metric.against is None else "metric_minus"
    return say(f"switch_off.{name}", token=token, other=other, place=metric.position)


def next_tokens(before: Trace, forced: Trace, metric: Metric) -> None:
    """The likeliest tokens at the place that is explained, before and after."""
    if not has_logits(before.store) or metric.name != "logits":
        return
    was, now = (dict(most_probable(trace.store, metric.position, 64)) for trace in (before, forced))
    ids = list(dict.fromkeys([*list(was)[:_TOP], *list(now)[:_TOP]]))
    names = {i: before.vocabulary[i] if i < len(before.vocabulary) else f"#{i}" for i in ids}
    rows = [
        {"rank": rank + 1, "token": names[i], "line": say(f"switch_off.{line}"), "p": found.get(i, 0.0)}
        for rank, i in enumerate(ids)
        for line, found in (("before", was), ("after", now))
    ]
    table = pd.DataFrame(rows)
    words = {name: say(f"switch_off.{name}") for name in ("before", "after", "probability")}
    words["alt"] = say("switch_off.next_alt", place=metric.position)
    page_text.heading("switch_off.next", place=metric.position, small=True)
    st.altair_chart(effects.next_tokens(table, words))
    slug = f"{figure_footer.safe(before.key.model)}-switched-off-next-tokens"
    figure_footer.draw(
        "switch-next", say("switch_off.next_sentence"), figure_footer.worst_badge(forced, forced.sites),
        lambda: {f"{slug}.csv": lambda: export.table_csv(table)}, lambda: effects.next_tokens(table, words), (most_probable,),
    )  # fmt: skip
