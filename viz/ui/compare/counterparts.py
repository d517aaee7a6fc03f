"""Every head of one checkpoint with its counterpart on another, as maps and as a table, and the selected pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from viz.base import export, numbers
from viz.ui import language
from viz.ui.compare import two_heads
from viz.ui.compare.pair import HeadOfRun, HeadPair
from viz.ui.compare.two_heads import head_name
from viz.ui.language import say
from viz.ui.measures import page as measures
from viz.ui.shared import figure_footer, page_text, side_bar
from viz.ui.shared.widgets import parts, signed
from viz.ui.state import view
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.compare.aligned_runs import Pair
    from model.compare.checkpoints import Counterpart, Counterparts, Head
    from model.compare.heads import Aligned
    from model.trace.trace import Trace


def show(
    trace: Trace, other: Trace, counterparts: Counterparts, sides: Mapping[str, Aligned], titles: tuple[str, str]
) -> None:
    """The maps, the table, and the selected head with its counterpart."""
    _summary(counterparts, titles)
    _maps(trace, other, counterparts, titles)
    _table(trace, counterparts)
    _selected(trace, other, counterparts, sides, titles)


def _summary(counterparts: Counterparts, titles: tuple[str, str]) -> None:
    from model.compare.checkpoints import LEAST

    moved, none = sum(row.moved for row in counterparts.heads), sum(row.other is None for row in counterparts.heads)
    st.markdown(say("comparing.counted", heads=len(counterparts.heads), kept=len(counterparts.heads) - moved - none, moved=moved,
                    none=none, a=language.plain(titles[0]), b=language.plain(titles[1]), least=f"{LEAST:g}"))  # fmt: skip
    if counterparts.alone:
        shown = " · ".join(head_name(*each) for each in counterparts.alone[:4]) + (
            " · …" if len(counterparts.alone) > 4 else ""
        )
        st.caption(say("comparing.alone_in_b", n=len(counterparts.alone), heads=shown))
    if not counterparts.same_shape:
        st.caption(say("comparing.other_shape"))


def _maps(trace: Trace, other: Trace, counterparts: Counterparts, titles: tuple[str, str]) -> None:
    """A click selects the head, here and on every page."""
    from model.compare import checkpoints as compare_checkpoints
    from viz import measures as measured
    from viz.compare import checkpoints as pictures

    how = parts("alike", say("comparing.likeness"), pictures.HOW, "correlation", lambda h: say(f"comparing.how_{h}"))
    named = measured.rows(trace, measures.short_names(trace))
    now = view.current()
    selected = (now.site, now.head)
    words = {name: say(f"comparing.map_{name}") for name in ("match", "place", "other", "alt")} | {
        "layer": say("comparing.layer"), "head": say("measures.column_head"),
        "correlation": say("comparing.unlike_correlation"), "divergence": say("comparing.legend_divergence"),
    }  # fmt: skip
    wheres = pictures.WHERE if counterparts.same_shape else pictures.WHERE[:1]
    own = f"{language.current()}-{now.site}-{now.head}-{how}"  # a map forgets its click with each new selection
    with st.container(horizontal=True, gap="large", key="comparing-maps"):
        for where in wheres:
            key = f"comparing-map-{where}-{own}"
            chart = pictures.heads_map(counterparts, how, where, named, selected, words, theme())
            st.altair_chart(measured.clickable(chart), width="content", key=key, on_select=lambda key=key: _clicked(key),
                            selection_mode="head")  # fmt: skip
    letters = [say("measures.letters")] if len(counterparts.r) > 1 else []
    st.caption(" ".join([say("comparing.map_what"), *letters]))
    slug = f"{figure_footer.safe(titles[0])}-{figure_footer.safe(titles[1])}-heads"
    badge = two_heads.badges(*(figure_footer.worst_badge(run, run.sites) for run in (trace, other)))

    def npz() -> bytes:
        tables = {f"r_{stack}_{kind}": r.numpy() for (stack, kind), (_, _, r) in counterparts.r.items()}
        heads = {f"{which}_{stack}_{kind}": pictures.names(each[place])
                 for place, which in enumerate("ab") for (stack, kind), each in counterparts.r.items()}  # fmt: skip
        return export.npz(**tables, **heads)

    def static() -> object:
        return measured.together({w: pictures.heads_map(counterparts, how, w, named, None, words) for w in wheres})

    figure_footer.draw("comparing-counterparts", say(f"comparing.counterparts_sentence_{how}"), badge, lambda: {
        f"{slug}.csv": lambda: export.table_csv(pictures.frame(counterparts.heads)),
        f"{slug}.npz": npz,
    }, static, (compare_checkpoints.counterparts, compare_checkpoints._correlations, compare_checkpoints._matched))  # fmt: skip


def _clicked(key: str) -> None:
    points = st.session_state[key].selection.get("head", [])
    if points and points[-1].get("id"):
        site, _, head = str(points[-1]["id"]).rpartition(".")
        view.change(site=site, head=int(head), heads="")


def _table(trace: Trace, counterparts: Counterparts) -> None:
    """Most changed first, sortable; a row that is ticked selects its head."""
    from viz.compare import checkpoints as pictures

    order = counterparts.by_change
    table = pictures.frame(order)
    shown = table[["r", "divergence", "place_r", "place_divergence"]].copy()
    shown.insert(0, "what", [_what(row) for row in order])
    shown.insert(0, "other", [head_name(*row.other) if row.other else "–" for row in order])
    shown.insert(0, "head", [head_name(row.site, row.head) for row in order])
    st.caption(say("comparing.sorted_place" if counterparts.same_shape else "comparing.sorted_match"))
    key = f"comparing-counterparts-{language.current()}"
    digits = dict.fromkeys(("r", "divergence", "place_r", "place_divergence"), 3)
    number = {name: st.column_config.NumberColumn(say(f"comparing.column_{name}")) for name in digits}
    st.dataframe(
        signed(shown, digits), hide_index=True, placeholder="–", height=min(300, 38 + 35 * len(shown)), key=key,
        selection_mode="single-row", on_select=lambda: _ticked(key, order),
        column_config=number | {
            name: st.column_config.TextColumn(say(f"comparing.column_{name}"), pinned=name == "head")
            for name in ("head", "other", "what")
        },
    )  # fmt: skip


def _what(row: Counterpart) -> str:
    return say(f"comparing.why_{row.why}") if row.why else say("comparing.moved" if row.moved else "comparing.stayed")


def _ticked(key: str, order: Sequence[Counterpart]) -> None:
    for place in st.session_state[key].selection.rows:
        view.change(site=str(order[place].site), head=order[place].head, heads="")


def _selected(
    trace: Trace, other: Trace, counterparts: Counterparts, sides: Mapping[str, Aligned], titles: tuple[str, str]
) -> None:
    """The selected head of the first with its counterpart, or with the head in its place."""
    site, head, _, _ = view.selected()
    row = counterparts.of(site, head)
    page_text.heading("comparing.selected_pair", what="")
    side_bar.head_picker(trace, words=False)
    place = (site, head) if str(site) in map(str, other.sites) and head < other.record(site).heads else None
    with_place = place is not None and (row.other is None or row.moved)
    against = parts("counterpart", say("comparing.against"), ("match", "place"), "match",
                    lambda w: say(f"comparing.against_{w}")) if with_place else "match"  # fmt: skip
    partner = place if against == "place" else row.other
    if partner is None:
        nearest = head_name(*row.nearest) if row.nearest else ""
        st.info(say(f"comparing.none_{row.why}", nearest=nearest, r=numbers.minus(f"{row.r:.3f}")))
        return
    _pair(trace, other, partner, sides, titles)


def _matrices(two: HeadPair, found: Pair, sides: Mapping[str, Aligned]) -> None:
    """Both heads over all their tokens. What the tokenizers cut apart is drawn in its own matrix; its weights are those of
    other pieces, so that it has no difference and is in none of the numbers."""
    from model.compare import aligned_runs

    site = two.ends[0].site
    queries, keys = (
        aligned_runs.merged(aligned_runs.cut_apart(sides[side])) for side in (site.query_side, site.key_side)
    )
    if (queries, keys) == (tuple(two.queries), tuple(two.keys)):
        two_heads.matrices(two, found)
        return
    whole = replace(two, queries=queries, keys=keys, cut_apart=True)
    two_heads.matrices(whole, aligned_runs.spread(found, two.queries, two.keys, queries, keys))
    st.caption(say("comparing.cut_apart_what"))


def _pair(
    trace: Trace, other: Trace, partner: Head, sides: Mapping[str, Aligned], titles: tuple[str, str]
) -> None:  # fmt: skip
    site, head, _, _ = view.selected()
    queries, keys = (sides[side].pairs if side in sides else () for side in (site.query_side, site.key_side))
    if not queries or not keys:
        st.info(say("comparing.no_common_token"))
        return
    ends = (
        HeadOfRun(trace, site, head, f"A · {head_name(site, head)}"),
        HeadOfRun(other, *partner, f"B · {head_name(*partner)}"),
    )
    two = HeadPair("checkpoints", ends, queries, keys, say("comparing.difference"))
    found = two_heads.compared(two)
    _matrices(two, found, sides)
    names = two.names(0)
    with st.container(key="beside-checkpoints"):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    left.altair_chart(two_heads.divergence(names[0], found.rows.numpy()), width="stretch")
    with right:
        two_heads.in_words(found.mean, found.correlation, found.largest, *names)
    said = say("comparing.pair_sentence", lost=numbers.short(max(0.0, found.outside)))
    slug = f"{figure_footer.safe(titles[0])}-{site}-{head}-{figure_footer.safe(titles[1])}-{partner[0]}-{partner[1]}"
    two_heads.draw_footer(
        two, found, said, slug, (), lambda: two_heads.divergence(names[0], found.rows.numpy(), mode="light")
    )
