"""What comes into each sub-layer on the residual stream, and what it adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from viz.ui.block import common
from viz.ui.block.common import BlockSelection, layer_name
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.widgets import signed
from viz.ui.state import current_run, page_controls

if TYPE_CHECKING:
    from torch import Tensor

    from model.residual.additions import Addition
    from model.trace.site import Site

_FORMS = {
    "post": r"x \leftarrow \mathrm{LayerNorm}(x + F(x))",
    "pre": r"x \leftarrow x + F(\mathrm{LayerNorm}(x))",
    "apart": r"x \leftarrow x + F(\mathrm{Norm}(x))",
    "": r"x^{(l+1)} = x^{(l)} + \Delta^{(l)}",
}


def show(chosen: BlockSelection) -> None:
    """Lengths by sub-layer, of the chosen token or as the mean over all."""
    from model.residual import stream as residual_stream
    from model.residual.additions import Addition, by_layer, reads_unrecorded
    from viz import block as pictures

    own = residual_stream.own(chosen.trace)
    page_text.heading("block.stream")
    form = st.container()
    with st.container(horizontal=True, gap="medium"):
        mean = st.toggle(say("block.mean"), **page_controls.switch("block-mean"))
        fed = None if own else _fed(chosen)
    row = None if mean else chosen.row

    def add() -> list[Addition]:
        return residual_stream.additions(chosen.trace, chosen.stack, row, fed)

    found = common.cached("stream", (chosen.trace.key, chosen.stack, row, fed is not None), add)
    apart = any(item.name.endswith(".ffn") for item in found)
    form.latex(_FORMS[str(chosen.trace.facts.get("norm", "post")) if own else "apart" if apart else ""])
    table = pictures.addition_table(found, lambda name: _last(name) if name == found[-1].name else layer_name(name))
    words = {name: say(f"block.{name}") for name in ("comes_in", "adds", "length", "cosine")}
    words["alt"] = say("block.stream_alt")

    def draw():
        return pictures.addition_chart(table, words)

    st.altair_chart(draw(), width="stretch")
    with st.expander(say("block.in_numbers"), expanded=False):
        shown = {
            say("block.sublayer"): table["name"], words["comes_in"]: table["comes_in"], words["adds"]: table["adds"],
            say("block.ratio"): table["adds"] / table["comes_in"], say("block.cosine"): table["cosine"],
        }  # fmt: skip
        digits = dict(zip(list(shown)[1:], (4, 4, 3, 3), strict=True))
        st.dataframe(signed(pd.DataFrame(shown), digits), hide_index=True, width=760)
    checked = [item for item in found if item.error is not None]
    worst = max(checked, key=lambda item: item.error / item.limit, default=None)
    badge = chosen.check if worst is None else figure_footer.fidelity_badge(worst.error, worst.limit, chosen.trace)
    said = "sentence" if own else "library" if fed is None else "apart" if apart else "together"
    sentence = say(f"block.stream_{said}")
    if not own and not apart and any(reads_unrecorded(chosen.trace, site) for site in _crosses(chosen)):
        sentence = say("block.stream_no_cross") + " " + sentence
    figure_footer.draw(
        "block-stream",
        sentence,
        badge,
        common.table_files(f"{chosen.slug}-stream", table),
        draw,
        (residual_stream.additions, Addition) if own else (by_layer, Addition),
    )


def _crosses(chosen: BlockSelection) -> list[Site]:
    return [site for site in chosen.trace.sites if site.stack == chosen.stack and site.kind == "cross"]


def _last(name: str) -> str:
    """The topmost change: of most library models it ends behind their final norm, which no other layer's does."""
    return say("block.part_last") if name.endswith(".layer") else layer_name(name)


def _fed(chosen: BlockSelection) -> dict[int, Tensor] | None:
    """What the feed-forward parts put out, from one more run where somebody asks for it."""
    from model.checkpoints.record import mlp_hooks
    from model.residual import stream as residual_stream

    module = getattr(current_run.model(), "module", None)
    if module is None or not current_run.is_library(chosen.trace) or not mlp_hooks.projections(module):
        return None
    if not st.toggle(say("block.fed"), help=say("block.fed_help"), **page_controls.switch("block-fed")):
        common.forget("fed")
        return None
    layers = len(residual_stream.streams(chosen.trace, chosen.stack)) - 1

    def hear() -> dict[int, Tensor]:
        with mlp_hooks.capture_outputs(module, tuple(chosen.trace.sides), chosen.stack, layers) as captured:
            current_run.again()
        return dict(captured)

    return common.cached("fed", (chosen.trace.key, chosen.stack), hear, "wait.running")
