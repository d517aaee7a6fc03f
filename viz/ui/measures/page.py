"""The page Measures: every head in numbers, as small maps and as a table, and induction on random repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from model.measures.registry import ROLES, TABLE
from viz.atlas import atlas
from viz.base import export
from viz.ui import language, navigation
from viz.ui.atlas import compute
from viz.ui.language import say
from viz.ui.shared import figure_footer, measure_words, page_text, parallel
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import signed
from viz.ui.state import current_run, jobs, picked_heads, view

if TYPE_CHECKING:
    import pandas as pd

    from model.trace.trace import Trace


def show(trace: Trace) -> None:
    """The maps, the heads as lines, the table, what each column means, and the induction panel."""
    from viz import measures as pictures

    table = measured(trace)
    _maps(trace, table)
    parallel.show("measures", lambda: _lines(trace, table, pictures.rows(trace, short_names(trace), upwards=True)))
    _links(trace)
    _table(trace, table)
    _meanings()
    _induction(trace)


def measured(trace: Trace) -> pd.DataFrame:
    """`Trace.statistics` of this run, measured once, with a bar and Stop; the Atlas does not measure it again."""
    from model.measures import head_statistics
    from model.measures import table as head_table

    known = compute.gathered(trace.key, atlas.size(trace))

    def table() -> pd.DataFrame:
        if not known.all_measures:
            known.measures.update(head_statistics.trace_statistics(trace, costly=True))
        return head_table.table(trace, known.measures)

    return jobs.cached("measures", "table", (trace.key,), table, say("measures.wait"))


def _lines(trace: Trace, table: pd.DataFrame, rows: dict[str, str]) -> parallel.Heads:
    from model.measures import table as head_table

    return parallel.Heads(
        "measures", table, parallel.axes([measure.column for measure in TABLE], rows), trace.key,
        say("measures.parallel_sentence", heads=len(table)), figure_footer.worst_badge(trace, trace.sites),
        figure_footer.safe(trace.key.model), (head_table.table,),
    )  # fmt: skip


def _words() -> dict[str, str]:
    names = {measure.column: measure_words.short_name(measure.column) for measure in TABLE}
    return names | {
        "site": say("measures.site"),
        "head": say("measures.column_head"),
        "alt": say("measures.map_alt", measure="{measure}"),
    }


def short_names(trace: Trace) -> dict[str, str]:
    """What stands before a layer's number by stack and kind: a letter, or the name of a stack of somebody's own module."""
    found = {}
    for site in trace.sites:
        kind = f"{site.stack}_{site.kind}"
        own = language.stack(site.stack) + (" × " if site.kind == "cross" else " ")
        found[kind] = say(f"measures.short_{kind}") if language.known(f"measures.short_{kind}") else own
    return found


def _maps(trace: Trace, table: pd.DataFrame) -> None:
    """A click picks a head, or leaves it out, here and on every page."""
    from model.measures import head_statistics, one_pass
    from model.measures import table as head_table
    from model.measures.definitions.effective_rank import effective_rank
    from viz import measures as pictures
    from viz.ui.theme import theme

    named, picked = pictures.rows(trace, short_names(trace)), picked_heads.picked(trace)

    site, head, *_ = view.selected()
    chosen = (str(site), head)

    found = pictures.maps(table, named, picked, _words(), theme(), chosen)
    page_text.heading("measures.maps")
    kinds = {(site.stack, site.kind) for site in trace.sites}
    if len(kinds) > 1 and all(stack in ("encoder", "decoder") for stack, _ in kinds):
        st.caption(say("measures.letters"))
    # A map forgets its click with each new set of picks, so that the same head can be clicked again.
    own = f"{language.current()}-{view.current().picks}"
    with st.container(horizontal=True, gap="medium", key="measures-maps"):
        for name, chart in found.items():
            key = f"measures-{name}-{own}"
            st.altair_chart(
                pictures.clickable(chart), width="content", key=key, on_select=lambda key=key: _clicked(trace, key),
                selection_mode="head",
            )  # fmt: skip
    slug = figure_footer.safe(trace.key.model)

    def csv() -> bytes:
        return export.table_csv(table)

    def npz() -> bytes:
        return export.npz(**{name: table[name].to_numpy() for name in table.columns if name != "site"},
                          site=list(table["site"]))  # fmt: skip

    figure_footer.draw("measures", say("measures.sentence", heads=len(table)), figure_footer.worst_badge(trace, trace.sites),
              lambda: {f"{slug}-measures.csv": csv, f"{slug}-measures.npz": npz},
              lambda: pictures.together(pictures.maps(table, named, picked, _words(), selected=chosen)),
              (head_table.table, head_statistics.statistics, one_pass.measured_in_one_pass, effective_rank))  # fmt: skip


def _clicked(trace: Trace, key: str) -> None:
    points = st.session_state[key].selection.get("head", [])
    if points and points[-1].get("id"):
        site, _, head = str(points[-1]["id"]).rpartition(".")
        view.change(site=site, head=int(head), heads="")
        picked_heads.toggle(trace, site, int(head))


def _links(trace: Trace) -> None:
    """What is picked, and where to look at it."""
    picked = picked_heads.picked(trace)
    names = " · ".join(
        f"{site_name(trace.record(site).site)}, {say('measures.head', head=head)}" for site, head in picked
    )
    page_text.selection_line(trace)
    if picked:
        st.markdown(say("measures.picked", heads=names))
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        navigation.link("heads", say("measures.door_heads"))
        if picked:
            navigation.link("comparing", say("measures.door_compare", n=len(picked)))
            st.button(
                say("measures.unpick"), key="measures-unpick", on_click=lambda: picked_heads.pick([]), type="tertiary"
            )


def _table(trace: Trace, table: pd.DataFrame) -> None:
    """Sortable by any column; rows that are ticked are the picked heads."""
    from model.measures import table as head_table

    page_text.heading("measures.table", least=f"{head_table.LEAST:g}")
    by_name = table.rename(columns={measure.column: measure.name for measure in TABLE})
    roles = [head_table.role(row) for row in by_name[list(ROLES)].to_dict("records")]
    told = [measure_words.of_role(*found) if found else "" for found in roles]
    shown = table.assign(site=[site_name(trace.record(site).site) for site in table["site"]])
    shown.insert(2, "role", told)
    number = {
        name: st.column_config.NumberColumn(measure_words.short_name(name), help=measure_words.about(name))
        for name in head_table.COLUMNS
    }
    heads = list(zip(table["site"], table["head"], strict=True))
    if aligned := _aligned(trace):
        shown.insert(3, "alignment", [aligned.get(place, float("nan")) for place in heads])
        about = say("measures.alignment_help")
        number["alignment"] = st.column_config.NumberColumn(say("forming.alignment"), help=about)
    ticked = [place for place, head in enumerate(heads) if head in picked_heads.picked(trace)]
    key = f"measures-table-{language.current()}"
    _tick(key, ticked)
    st.dataframe(
        signed(shown, dict.fromkeys(number, 3)), hide_index=True, placeholder="–", height=min(420, 38 + 35 * len(shown)),
        key=key, selection_mode="multi-row",
        on_select=lambda: _ticked(key, heads),
        column_config=number | {
            "site": st.column_config.TextColumn(say("measures.site"), pinned=True),
            "head": st.column_config.NumberColumn(say("measures.column_head"), pinned=True),
            "role": st.column_config.TextColumn(
                say("measures.role"), pinned=True, width=150, help=say("measures.role_help", least=f"{head_table.LEAST:g}")
            ),
        },
    )  # fmt: skip


def _aligned(trace: Trace) -> dict[picked_heads.Pick, float]:
    """(site, head) -> the share of this run's rows whose strongest key is the gold one; {} where no gold alignment is known."""
    from model.measures import cross_alignment

    known = cross_alignment.gold(trace)
    if known.missing or not any(known.rows):
        return {}
    found = cross_alignment.agreement_of_heads(trace, known.rows)
    return {(str(site), head): right / counted for (site, head), (right, counted) in found.items()}


def _tick(key: str, places: list[int]) -> None:
    """Tick these rows. The table stays the same one, so that the order in which a person sorted it stays too."""
    known = st.session_state.get(key)
    if known is None or sorted(known["selection"]["rows"]) != places:
        st.session_state[key] = {"selection": {"rows": places, "columns": [], "cells": []}}


def _ticked(key: str, heads: list[picked_heads.Pick]) -> None:
    rows = list(st.session_state[key].selection.rows)
    picked_heads.pick([heads[row] for row in rows])


def _meanings() -> None:
    with st.expander(say("measures.meanings"), expanded=False):
        for measure in TABLE:
            st.markdown(f"**{measure_words.short_name(measure.column)}** · {measure_words.about(measure.column)}")
            st.latex(measure.latex)


def _induction(trace: Trace) -> None:
    """Random tokens, twice: which heads find the repetition, and how sure that is."""
    from model.measures import induction

    page_text.heading("measures.induction", length=induction.LENGTH, texts=induction.TEXTS)
    model = current_run.model()
    asked = (trace.key.model, trace.key.weights_hash, 0)
    known = jobs.has_result("measures", "induction", asked)
    if not hasattr(model, "record_ids") or getattr(model, "decodes", True):
        st.caption(say("measures.induction_none"))
        return
    pressed = st.button(say("measures.induction_run"), key="measures-induction", type="primary", disabled=known)
    running = st.session_state.get("jobs", {}).get("measures_induction") is not None
    if not (known or pressed or running):
        return
    try:
        found = jobs.cached(
            "measures", "induction", asked, lambda: induction.measured(model), say("measures.induction_wait"), pressed
        )
    except HeadlightError as error:
        st.warning(language.explain(error))
        return
    _induction_figure(trace, found)


def _induction_figure(trace: Trace, found: Any) -> None:
    from model.measures import induction
    from viz import measures as pictures
    from viz.ui.theme import theme

    table = found.table()
    named = {str(site): f"{site_name(site)} · {say('measures.head', head='{head}')}" for site, _ in found.heads}
    words = {name: say(f"measures.i_{name}") for name in ("induction", "low", "high", "n")}
    words |= {"head": say("measures.column_head"), "alt": say("measures.induction_alt")}
    st.altair_chart(pictures.induction_bars(table, named, words, theme()), width="stretch")
    slug = figure_footer.safe(trace.key.model)
    said = say("measures.induction_sentence", n=f"{found.queries:,}", texts=len(found.by_text), length=found.length,
               seed=found.seed, resamples=f"{induction.RESAMPLES:,}")  # fmt: skip
    figure_footer.draw("measures-induction", said, figure_footer.verdict(None, False),
              lambda: {f"{slug}-induction.csv": lambda: export.table_csv(table)},
              lambda: pictures.induction_bars(table, named, words),
              (induction.measured, induction.random_repeats, induction.interval))  # fmt: skip
