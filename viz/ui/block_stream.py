"""What comes into each sub-layer on the residual stream, and what it adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.ui import block, feet
from viz.ui.block import Chosen, heading, layer_name
from viz.ui.language import say

if TYPE_CHECKING:
    from model.block_views import Addition

_FORMS = {
    "post": r"x \leftarrow \mathrm{LayerNorm}(x + F(x))",
    "pre": r"x \leftarrow x + F(\mathrm{LayerNorm}(x))",
    "": r"x^{(l+1)} = x^{(l)} + \Delta^{(l)}",
}


def show(chosen: Chosen) -> None:
    """Lengths by sub-layer, of the chosen token or as the mean over all."""
    from model import block_views
    from viz import block as pictures

    own = block_views.own(chosen.trace)
    heading("stream")
    st.latex(_FORMS[str(chosen.trace.facts.get("norm", "post")) if own else ""])
    mean = st.toggle(say("block.mean"), key="block-mean", persist_state="session")
    row = None if mean else chosen.row

    def add() -> list[Addition]:
        return block_views.additions(chosen.trace, chosen.stack, row)

    found = block.kept("stream", (chosen.trace.key, chosen.stack, row), add)
    table = pictures.addition_table(found, layer_name)
    words = {name: say(f"block.{name}") for name in ("comes_in", "adds", "length", "cosine")}
    words["alt"] = say("block.stream_alt")

    def draw():
        return pictures.addition_chart(table, words)

    st.altair_chart(draw(), width="stretch")
    with st.expander(say("block.in_numbers"), expanded=False):
        st.dataframe(
            {say("block.sublayer"): table["name"], words["comes_in"]: table["comes_in"].round(4),
             words["adds"]: table["adds"].round(4), say("block.ratio"): (table["adds"] / table["comes_in"]).round(3),
             say("block.cosine"): table["cosine"].round(3)},
            hide_index=True, width=760,
        )  # fmt: skip
    errors = [item.error for item in found if item.error is not None]
    badge = feet.fidelity_badge(max(errors), _limit(found)) if errors else ""
    sentence = say("block.stream_sentence") if own else say("block.stream_library")
    feet.foot("block-stream", sentence, badge, block.table_files(f"{chosen.slug}-stream", table), draw,
              (block_views.additions, block_views.Addition))  # fmt: skip


def _limit(found: list[Addition]) -> float:
    """What 32-bit sums of numbers this large leave."""
    from model.fidelity import TOLERANCE

    return TOLERANCE * max(1.0, *(float(item.before.abs().max()) for item in found))
