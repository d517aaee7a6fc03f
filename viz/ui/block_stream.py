"""What comes into each sub-layer on the residual stream, and what it adds."""

from __future__ import annotations

import streamlit as st

from viz.ui import block, feet
from viz.ui.block import Chosen, heading, layer_name
from viz.ui.language import say


def show(chosen: Chosen) -> None:
    """Lengths by sub-layer, of the chosen token or as the mean over all."""
    from model import block_views
    from viz import block as pictures

    own = block_views.own(chosen.trace)
    heading("stream")
    st.latex(r"x \leftarrow \mathrm{LayerNorm}(x + \mathrm{Sublayer}(x))" if _post(chosen) and own else
             r"x \leftarrow x + \mathrm{Sublayer}(\mathrm{LayerNorm}(x))" if own else
             r"x^{(l+1)} = x^{(l)} + \Delta^{(l)}")  # fmt: skip
    mean = st.toggle(say("block.mean"), key="block-mean", persist_state="session")
    found = block_views.additions(chosen.trace, chosen.stack)
    table = pictures.addition_table(found, None if mean else chosen.row, layer_name)
    words = {name: say(f"block.{name}") for name in ("comes_in", "adds", "length")} | {"alt": say("block.stream_alt")}

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


def _post(chosen: Chosen) -> bool:
    return chosen.trace.facts.get("norm", "post") == "post"


def _limit(found) -> float:
    """What 32-bit sums of numbers this large leave."""
    from model.fidelity import TOLERANCE

    return TOLERANCE * max(1.0, *(float(item.before.abs().max()) for item in found))
