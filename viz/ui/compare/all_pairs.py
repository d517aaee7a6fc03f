"""All pairs of heads of one run: how alike they are, which stand together, and where they lie in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import export
from viz.ui import components, language, navigation
from viz.ui.compare import loop
from viz.ui.language import say
from viz.ui.shared import figure_footer
from viz.ui.shared.widgets import parts
from viz.ui.state import jobs, page_controls, picked_heads, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    import numpy as np

    from model.compare.heads import PairwiseSimilarity
    from model.trace.trace import Trace

_ORDERS = ("clusters", "layers")
_NAMED = 50  # heads that have a label each beside the matrix
_FORMULAS = {
    "correlation": r"r = \frac{\sum (A - \bar A)(B - \bar B)}{\sqrt{\sum (A - \bar A)^2 \sum (B - \bar B)^2}}",
    "divergence": r"\mathrm{JS} = \tfrac12 \sum_j a_j \ln\frac{a_j}{m_j} + \tfrac12 \sum_j b_j \ln\frac{b_j}{m_j},"
    r"\quad m = \tfrac{a + b}{2}",
}


def show(trace: Trace) -> None:
    """The measure, and a group for each pair of sides."""
    from model.compare import heads as numbers

    with st.container(horizontal=True, gap="medium"):
        how = parts(
            "likeness", say("comparing.likeness"), numbers.HOW, "correlation", lambda h: say(f"comparing.how_{h}")
        )
        by = parts("pairs_order", say("comparing.order"), _ORDERS, "clusters", lambda o: say(f"comparing.order_{o}"))
    st.latex(_FORMULAS[how])
    groups = jobs.cached(
        "comparing", "pairs", (trace.key, how), lambda: numbers.all_pairs(trace, how), say("comparing.wait_pairs")
    )
    if len(groups) > 1:
        st.caption(say("comparing.groups"))
    for place, group in enumerate(groups):
        _group(trace, group, place, by)


def _group(trace: Trace, group: PairwiseSimilarity, place: int, by: str) -> None:
    from model.compare import heads as numbers
    from viz.compare import heads as pictures
    from viz.compare import plane

    distance = group.distance
    site, head, *_ = view.selected()
    selected = (site, head)
    order = numbers.clustered(distance)[0] if by == "clusters" else pictures.by_layer(group)
    places, share = numbers.classical_scaling(distance)
    kinds = dict.fromkeys(
        say("comparing.kind", stack=language.stack(s.stack), kind=say(f"site.{s.kind}")) for s, _ in group.heads
    )
    thinned = f"  \n{say(f'comparing.labelled_{by}')}" if len(group.heads) > _NAMED else ""
    st.markdown(f"#### {' + '.join(kinds)}  \n{say(f'comparing.group_{by}', n=len(group.heads))}{thinned}")
    words = language.group("matrix") | {
        "alt": say("comparing.pairs_alt", n=len(group.heads)), "legend": say(f"comparing.legend_{group.how}"),
        "value": say(f"comparing.value_{group.how}"), "arrow": "·", "row": say("pick.head"), "column": say("pick.head"),
        "help": say("comparing.pairs_help"), "tick": say("comparing.tick", layer="{layer}"),
    }  # fmt: skip
    with st.container(key=f"beside-pairs-{place}"):
        left, right = st.columns([1, 1], gap="large")
    with left:
        key = f"comparing-pairs-{place}"
        components.matrix(key=key, data=pictures.pairs_frame(group, order, words, by == "layers"),
                          on_select_change=lambda: _cell(trace, group, order, key))  # fmt: skip
    said = {
        "layer": say("comparing.layer"),
        "head": say("pick.head"),
        "alike": say(f"comparing.alike_{group.how}", head="{head}"),
        "alt": say("comparing.plane_alt", n=len(group.heads)),
    }
    with right:
        how_to = _plane(trace, group, places.numpy(), said, place)
        ringed = " " + say("comparing.plane_ring", head=pictures.short(*selected)) if selected in group.heads else ""
        few = "few" if len(group.heads) <= plane.FEW else "many"
        named = say(f"comparing.plane_named_{few}", n=plane.NEAREST)
        st.caption(f"{say('comparing.plane_what', share=f'{share:.0%}')} {how_to}{ringed} {named}")
    slug = f"{figure_footer.safe(trace.key.model)}-pairs-{place}"
    names = [f"{site}.{head}" for site, head in group.heads]

    def csv() -> bytes:
        return export.matrix_csv(group.values.numpy(), names, names)

    def npz() -> bytes:
        return export.npz(values=group.values.numpy(), distance=distance.numpy(), places=places.numpy(), order=order,
                          heads=names)  # fmt: skip

    check = figure_footer.worst_badge(trace, [site for site, _ in group.heads])
    figure_footer.draw(f"comparing-pairs-{place}", say(f"comparing.pairs_sentence_{group.how}"), check,
              lambda: {f"{slug}.csv": csv, f"{slug}.npz": npz},
              lambda: plane.plane(group, places.numpy(), picked_heads.picked(trace), said, "light", selected),
              (numbers.all_pairs, numbers.clustered, numbers.classical_scaling))  # fmt: skip
    if picked_heads.picked(trace) and place == 0:
        navigation.link("measures", say("comparing.door_measures"))


def _plane(trace: Trace, group: PairwiseSimilarity, places: np.ndarray, words: dict[str, str], place: int) -> str:
    """The heads as dots to click, or to draw a loop around; -> how to pick, in words."""
    from viz.compare import plane

    site, head, *_ = view.selected()
    if st.toggle(say("comparing.loop"), **page_controls.switch(f"comparing-loop-{place}")):
        loop.draw(trace, group, places, words, (site, head), place)
        return say("comparing.plane_loop")
    # Like the maps of Measures: the chart forgets its click with each new set of picks.
    own = f"comparing-plane-{place}-{language.current()}-{view.current().picks}"
    st.altair_chart(
        plane.plane(group, places, picked_heads.picked(trace), words, theme(), (site, head)), width="content", key=own,
        on_select=lambda: _dot(trace, own), selection_mode="head",
    )  # fmt: skip
    return say("comparing.plane_click")


def _cell(trace: Trace, group: PairwiseSimilarity, order: list[int], key: str) -> None:
    """A pair of heads picks both."""
    if told := st.session_state[key].get("select"):
        both = [group.heads[order[int(told[name])]] for name in ("row", "column")]
        picked_heads.pick([*picked_heads.picked(trace), *((str(site), head) for site, head in both)])


def _dot(trace: Trace, key: str) -> None:
    points = st.session_state[key].selection.get("head", [])
    if points and points[-1].get("id"):
        site, _, head = str(points[-1]["id"]).rpartition(".")
        picked_heads.toggle(trace, site, int(head))
