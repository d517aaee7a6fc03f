"""Rotary positions: the selected head's queries and keys before and after rotation, and how q · k then depends on the offset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.positions import space
from viz.ui.positions.common import chosen_head, files, grid, lacking, self_site, slider, static, where
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.state import view

if TYPE_CHECKING:
    from model.positions.rotary import Rotated
    from model.trace.site import Site
    from model.trace.trace import Trace

_PLACES = ("place_q", "place_k")
_LONGEST = 24


def rotary(trace: Trace, _model: Any) -> None:
    """The pairs turning; q · k of one query and one key at every two places; the two matrices side by side."""
    from model.positions.rotary import rotate

    site = self_site(trace)
    if site is None:
        st.info(say("positions.no_self"), icon=":material/info:")
        return
    where(trace, site)
    head = chosen_head(trace, site)
    found = rotate(trace, site, head)
    if not found.pairs:
        st.info(say("positions.no_pairs"), icon=":material/info:")
        return
    if not found.own:
        lacking("rotary")
    labels = tokens.labels(trace, site.query_side)
    pair = slider("pair", 0, len(found.pairs) - 1, 0, key=f"positions-rotary-pair@{trace.key.model}")
    left, right = st.columns(2, gap="large")
    with left:
        _plane(trace, found, labels, pair, site, head)
    with right:
        _places(trace, found, labels, site)
    _both(trace, found, labels)


def _plane(trace: Trace, rotated: Rotated, labels: list, pair: int, site: Site, head: int) -> None:
    from model.positions.rotary import rotate
    from viz import pair_plane
    from viz.ui.theme import theme

    page_text.heading("positions.plane_name", small=True, site=site_name(site), head=head)
    words = {name: say(f"positions.{name}") for name in ("before", "after", "position")}
    words["alt"] = say("positions.plane_alt")
    before, after = pair_plane.pair_of(rotated, pair, "q")

    def draw(how: str = "light") -> Any:
        return pair_plane.drawn(before, after, labels, rotated.pairs[pair], words, "q", how)

    chart, untold = draw(theme())
    st.altair_chart(chart, width="content")
    angle = float(rotated.cos[1, rotated.pairs[pair][0]].clamp(-1, 1).arccos()) if len(rotated.cos) > 1 else 0.0
    a, b = rotated.pairs[pair]
    names = trace.tokens(site.query_side)
    sentence = say("positions.plane_sentence", a=a, b=b, angle=numbers.short(angle))
    if len(names) > pair_plane.ARROWS:
        sentence += " " + say("positions.helix_first", n=pair_plane.ARROWS, all=len(names))
    if untold:
        sentence += " " + say("positions.plane_untold", n=untold)
    figure_footer.draw("positions-plane", sentence, figure_footer.fidelity_badge(rotated.error, rotated.limit, trace),
              lambda: {"headlight-plane.csv": lambda: export.matrix_csv(
                  np.hstack([before, after]), names, [f"{when}_{d}" for when in ("before", "after") for d in (a, b)]),
                  "headlight-plane.npz": lambda: export.npz(before=before, after=after, tokens=names)},
              lambda: draw()[0], [rotate])  # fmt: skip
    space.pair(trace, rotated, before, after, labels, pair, site, head)


def _places(trace: Trace, found: Rotated, labels: list, site: Site) -> None:
    from model.positions.rotary import by_offset, products_at_every_two_positions, products_limit
    from viz import positions as pictures
    from viz.positions import numbered

    selected, _, row, column = view.selected()
    here = {selected.query_side, selected.key_side} == {site.query_side}  # the same tokens ask and answer in each layer
    query = min(row if here else len(found.q) - 1, len(found.q) - 1)
    key = min(column if here else 0, len(found.k) - 1)
    values = products_at_every_two_positions(found, query, key)[:_LONGEST, :_LONGEST]
    offsets, mean, spread = by_offset(values)
    words = {name: page_text.code(labels[i]["text"]) for name, i in (("asks", query), ("answers", key))}
    page_text.heading("positions.places_name", small=True, **words)
    # The least to the most, said by the legend: what all places have in common would drown what the offset changes.
    array, size = values.numpy(), float(values.abs().max())
    scale = {"kind": "sequential", "low": float(values.min()), "high": float(values.max())}
    names = [str(i) for i in range(len(values))]
    grid("places", array, numbered(len(values)), numbered(len(values)), scale, _PLACES, max_height=320)
    told = {name: say(f"positions.{name}") for name in ("offset", "product")} | {"alt": say("positions.product_alt")}
    st.altair_chart(pictures.by_offset_chart(values.numpy(), offsets.numpy(), mean.numpy(), told))
    sentence = say("positions.places_sentence", spread=numbers.short(spread), most=numbers.short(size))
    said = figure_footer.fidelity_badge(spread, products_limit(found, query, key), trace)
    figure_footer.draw("positions-places", sentence, said, files("places", array, names, names),
              static(array, names, names, scale, _PLACES), [products_at_every_two_positions, by_offset])  # fmt: skip


def _both(trace: Trace, rotated: Rotated, labels: list) -> None:
    """q' beside q and k' beside k."""
    from model.transformer.positions import Rotary
    from viz import positions as pictures

    page_text.heading("positions.both_name", small=True)
    st.latex(
        r"q_i = R_{\Theta,i}\,q'_i,\quad k_j = R_{\Theta,j}\,k'_j,\quad q_i^\top k_j = q_i'^\top R_{\Theta,\,j-i}\,k'_j"
    )
    shown = slice(0, _LONGEST)
    arrays = {"q_before": rotated.q, "q": rotated.q_rotated, "k_before": rotated.k, "k": rotated.k_rotated}
    for letter in "qk":
        before, after = (arrays[name][shown].numpy() for name in (f"{letter}_before", letter))
        words = language.group("equation") | {"alt": say("positions.both_what"), "help": say("equation.help_cell")}
        frame = pictures.rotation_frame(letter, before, after, labels[shown], words)
        components.equation(key=f"positions-turned-{letter}", data=frame)
    names = [label["text"] for label in labels]
    columns = [str(i) for i in range(rotated.q.shape[1])]
    figure_footer.draw("positions-turned", say("positions.both_sentence_own") if rotated.own else say("positions.both_sentence"),
              figure_footer.fidelity_badge(rotated.error, rotated.limit, trace), lambda: {
                  "headlight-rotary.csv": lambda: export.matrix_csv(rotated.q_rotated.numpy(), names, columns),
                  "headlight-rotary.npz": lambda: export.npz(**{name: v.numpy() for name, v in arrays.items()})},
              static(rotated.q_rotated.numpy(), names, columns, pictures.diverging(rotated.q_rotated.numpy()),
                    ("word", "dimension_axis")), [type(rotated).at] if rotated.own else [Rotary])  # fmt: skip
