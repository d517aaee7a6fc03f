"""One head on two inputs: both matrices over the tokens of both, what changed, and every head by how much it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import export, numbers
from viz.ui import language
from viz.ui.compare import two_heads, window
from viz.ui.compare.pair import HeadOfRun, HeadPair
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, second_run, side_bar
from viz.ui.shared.widgets import mirror
from viz.ui.state import current_run, jobs, model_list, view

if TYPE_CHECKING:
    from model.compare.aligned_runs import HeadChange
    from model.compare.heads import Aligned
    from model.trace.trace import Trace

_WORD = 20  # characters of a changed word that a button names
_NUMBER = 76  # px of a column of numbers


def show(trace: Trace) -> None:
    """The second text, how it aligns, and the head on both."""
    side_bar.head_picker(trace, words=False)
    other = _second(trace)
    if other is None:
        return
    site, head, _, _ = view.selected()
    if str(site) not in {str(s) for s in other.sites} or head >= other.record(site).heads:
        st.info(say("comparing.no_counterpart"))
        return
    for run in (trace, other):
        if figure_footer.refused(run, site):
            return
    from model.compare import aligned_runs

    every = aligned_runs.aligned_sides(trace, other)
    found = {side: every[side] for side in (site.query_side, site.key_side)}
    two_heads.tokens_line(trace, other, found)
    _figures(trace, other, found, every)


def _second(trace: Trace) -> Trace | None:
    """The other text's run; what cannot be run is said, and the page stays."""
    now, told = view.current(), second_run.told_text()
    if not second_run.takes_text():
        st.info(say("comparing.no_second"))
        return None
    key = mirror("comparing_text", told)
    how = {"key": key, "placeholder": say("comparing.second_hint"), "on_change": second_run.keep_text, "args": (key,)}
    if model_list.is_ours(now.model):  # one line, as the first text is: Enter runs it
        st.text_input(say("comparing.second"), **how)
    else:
        st.text_area(say("comparing.second"), height=96, **how)
    _example(now, told)
    return second_run.of_text()


def _example(now: view.View, told: str) -> None:
    """Two texts that differ in one word and that this model reads, for whoever has none at hand."""
    from model.checkpoints import minimal_pair

    card = model_list.card(now.model)
    pair = minimal_pair.minimal_pair(current_run.model(), card["examples"], card.get("pair"))
    if pair is None or (now.text, told) == pair:
        return
    words = [word.strip(".,") for word in minimal_pair.changed(*pair) or ()]
    short = bool(words) and max(map(len, words)) <= _WORD
    label = say("comparing.example", first=words[0], second=words[1]) if short else say("comparing.example_pair")
    # The head that the card measured to read the changed word, where it did.
    head = {
        name: value
        for name, value in card.get("coreference", {}).get("adjective_to_noun", {}).items()
        if name in ("site", "head")
    }
    st.button(label, key="comparing-example", type="tertiary",
              on_click=lambda: view.change(text=pair[0], against=f"text:{pair[1]}", **head))  # fmt: skip


def _figures(trace: Trace, other: Trace, aligned: dict[str, Aligned], every: dict[str, Aligned]) -> None:
    from model.compare import aligned_runs
    from viz.compare import heads as pictures

    site, head, _, _ = view.selected()
    rows, columns = (aligned_runs.merged(aligned[side]) for side in (site.query_side, site.key_side))
    if not all(aligned[side].pairs or aligned[side].changed for side in (site.query_side, site.key_side)):
        st.info(say("comparing.nothing_aligned"))
        return
    ends = [
        HeadOfRun(run, site, head, say(f"comparing.{name}_text")) for run, name in ((trace, "first"), (other, "second"))
    ]
    two = HeadPair("input", (ends[0], ends[1]), rows, columns, say("comparing.second_less"))
    two_heads.matrices(two)
    numbers_of = two_heads.compared(two)
    said = say(
        "comparing.inputs_sentence",
        mean=numbers.short(numbers_of.mean),
        most=numbers.short(numbers_of.largest[0]),
        lost=numbers.short(max(0.0, numbers_of.outside)),
    )
    slug = f"{figure_footer.safe(trace.key.model)}-{site}-head{head}-two-inputs"
    two_heads.draw_footer(two, numbers_of, said, slug, (aligned_runs.aligned_sides,))
    told = {name: say(f"comparing.{name}") for name in ("before", "after")} | {
        "query": say("matrix.query"),
        "key": say("matrix.key"),
    }
    with st.container(key="ways"):
        left, right = st.columns([2, 3], gap="medium")
    with left:
        page_text.heading("comparing.most_changed", what="")
        table = pictures.changed_table(numbers_of.changed, *two.both(window.long(two)), told)
        narrow = dict.fromkeys((told["before"], told["after"], "Δ"), st.column_config.Column(width=_NUMBER))
        st.dataframe(table, hide_index=True, column_config=narrow)
    with right:
        _ranked(trace, other, every)


def _ranked(trace: Trace, other: Trace, sides: dict[str, Aligned]) -> None:
    """Every head by how much it changes from the first text to the second; a row that is ticked selects its head."""
    from model.compare import aligned_runs
    from viz.compare import heads as pictures

    page_text.heading("comparing.ranked")
    found = jobs.cached("comparing", "ranked", (trace.key, other.key),
                        lambda: aligned_runs.ranked_changes(trace, other, sides), say("comparing.wait_ranked"))  # fmt: skip
    names = {
        (site.query_side, site.key_side): HeadPair(
            "", (HeadOfRun(trace, site, 0, ""), HeadOfRun(other, site, 0, "")),
            aligned_runs.merged(sides[site.query_side]), aligned_runs.merged(sides[site.key_side]), "",
        ).both()
        for site in {each.site for each in found}
    }  # fmt: skip
    table = pictures.ranked_table(found, names)
    shown = table[["divergence", "query", "key"]].assign(
        **{name: pictures.weights(table[name]) for name in ("before", "after")}
    )
    shown.insert(0, "head", [two_heads.head_name(each.site, each.head) for each in found])
    key = f"comparing-ranked-{language.current()}"
    st.dataframe(
        shown, hide_index=True, height=min(38 + 35 * 12, 38 + 35 * len(shown)), key=key, selection_mode="single-row",
        on_select=lambda: _ticked(key, found),
        column_config={
            "head": st.column_config.TextColumn(say("measures.column_head"), pinned=True),
            "divergence": st.column_config.NumberColumn(say("comparing.column_change"), format="%.3f", width=_NUMBER),
            "query": st.column_config.TextColumn(say("matrix.query")), "key": st.column_config.TextColumn(say("matrix.key")),
            **{name: st.column_config.TextColumn(say(f"comparing.{name}"), width=_NUMBER) for name in ("before", "after")},
        },
    )  # fmt: skip
    slug = f"{figure_footer.safe(trace.key.model)}-two-inputs-heads"
    check = two_heads.badges(*(figure_footer.worst_badge(run, [each.site for each in found]) for run in (trace, other)))
    figure_footer.draw("comparing-ranked", "", check, lambda: {f"{slug}.csv": lambda: export.table_csv(table)}, None,
                       (aligned_runs.ranked_changes, aligned_runs.pair))  # fmt: skip


def _ticked(key: str, found: tuple[HeadChange, ...]) -> None:
    for place in st.session_state[key].selection.rows:
        view.change(site=str(found[place].site), head=found[place].head, heads="")
