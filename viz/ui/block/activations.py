"""Any recorded activation: as a heat map, as a distribution by layer; how alike the tokens become, and where they lie."""

from __future__ import annotations

import numpy as np
import streamlit as st

from viz.ui.block import common, paths
from viz.ui.block.common import BlockSelection, short, words
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import page_controls

_LAYERS = 48  # distributions that are drawn; of more layers every second, third, …
_POINTS = 256  # tokens whose directions are computed; of more those around the selected one


def show(chosen: BlockSelection) -> None:
    """Heat map and distribution of one kind of activation, then the residual stream by layer."""
    _any(chosen)
    if len(chosen.texts) < 2:
        page_text.heading("block.alike", what="")
        st.caption(say("block.alike_alone"))
        return
    depth = _similarity(chosen)
    _plane(chosen, depth)
    paths.show(chosen)


def _any(chosen: BlockSelection) -> None:
    """One activation, [tokens, features]; and its numbers by layer."""
    from model.residual import activations as activations
    from viz import block as pictures

    page_text.heading("block.any")
    found = activations.names(chosen.trace, chosen.stack)
    kinds = activations.kinds(found)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        usual = next((k for k in ("ffn.norm", "stream") if k in kinds), kinds[0])
        how = page_controls.among(f"block-kind@{chosen.stack}-{len(kinds)}", usual, kinds)
        kind = st.selectbox(say("block.kind"), kinds, width=220, **how)
        layers = activations.layers_of(found, kind)
        name = st.selectbox(say("block.of"), layers, width=280,
                            **page_controls.among(f"block-name@{chosen.stack}-{kind}", layers[0], layers))  # fmt: skip
    values = chosen.trace.activation(name).float().numpy()
    cut = chosen.cut
    frame = pictures.matrices_frame([(name.split(".")[-1], values[cut])], chosen.labels[cut], chosen.row - cut.start,
                                    words(say("block.any_alt", name=name)), 320)  # fmt: skip
    common.draw("block-any-frame", frame, chosen)
    said = say("block.any_sentence", name=name, n=f"{values.shape[0]:,}", d=f"{values.shape[1]:,}")
    figure_footer.draw("block-any", said, chosen.check,
              common.matrix_files(f"{chosen.slug}-{name}", values, chosen.texts),
              lambda: pictures.static_maps([(name, values[cut])], chosen.texts[cut]),
              (type(chosen.trace).activation,))  # fmt: skip
    if len(layers) > 1:
        _distribution(chosen, layers, kind)


def _distribution(chosen: BlockSelection, layers: list[str], kind: str) -> None:
    import pandas as pd

    from model.residual import activations as activations
    from viz import block as pictures

    page_text.heading("block.distribution", kind=kind)
    shown = layers[:: -(-len(layers) // _LAYERS)]

    def measure() -> np.ndarray:
        return np.array([activations.quantiles(chosen.trace.activation(name)).numpy() for name in shown])

    table = common.cached("distribution", (chosen.trace.key, chosen.stack, kind), measure)
    texts = {"value": say("block.value"), "alt": say("block.distribution_alt", kind=kind)}

    def draw():
        return pictures.quantile_chart(table, shown, texts)

    st.altair_chart(draw(), width="stretch")
    frame = pd.DataFrame(table, columns=[f"q{q:g}" for q in activations.QUANTILES]).assign(name=shown)
    said = say("block.distribution_sentence")
    if activations.thinned(chosen.trace.store.shape(shown[0])) > 1:
        said += " " + say("block.thinned", k=activations.thinned(chosen.trace.store.shape(shown[0])))
    figure_footer.draw("block-distribution", said, chosen.check,
              common.table_files(f"{chosen.slug}-{kind}-quantiles", frame), draw, (activations.quantiles,))  # fmt: skip


def _similarity(chosen: BlockSelection) -> int:
    """Cosines of the tokens at one depth, and their mean by depth; -> the depth."""
    from model.residual import activations as activations
    from model.residual import stream as residual_stream
    from viz import block as pictures

    names = residual_stream.streams(chosen.trace, chosen.stack)
    page_text.heading("block.alike")
    last = len(names) - 1
    how = page_controls.between(f"block-depth@{chosen.stack}-{last}", last, 0, last)
    depth = st.slider(say("block.depth"), 0, last, width=320, **how)
    cut = chosen.cut
    cosines = activations.similarity(chosen.trace.activation(names[depth])[cut]).numpy()
    at = (chosen.row - cut.start,) * 2
    frame = pictures.similarity_frame(cosines, chosen.labels[cut], at, words(say("block.alike_alt")))

    def measure() -> list[float]:
        return [activations.mean_similarity(chosen.trace.activation(name)) for name in names]

    means = common.cached("alike", (chosen.trace.key, chosen.stack), measure)
    texts = {"depth": say("block.depth"), "value": say("block.mean_cosine"), "alt": say("block.alike_lines_alt")}

    def draw():
        return pictures.depth_lines({say("block.mean_cosine"): means}, texts, zero=False, at=depth)

    with st.container(key="figures"):
        left, right = st.columns(2, gap="large")
    with left:
        common.draw("block-alike", frame, chosen)
    with right:
        st.altair_chart(draw(), width="stretch")
    figure_footer.draw("block-alike", say("block.alike_sentence", name=names[depth], mean=short(means[depth], 3)), chosen.check,
              common.matrix_files(f"{chosen.slug}-cosines", cosines, chosen.texts[cut], chosen.texts[cut]), draw,
              (activations.similarity, activations.mean_similarity))  # fmt: skip
    return depth


def _plane(chosen: BlockSelection, depth: int) -> None:
    """The tokens on the first two principal components of the stream at `depth`."""
    import pandas as pd

    from model.residual import activations as activations
    from model.residual import stream as residual_stream
    from model.steps.step import window
    from viz import block as pictures

    page_text.heading("block.plane")
    name = residual_stream.streams(chosen.trace, chosen.stack)[depth]
    count = len(chosen.texts)
    cut = window(count, chosen.row, _POINTS)
    start = cut.start
    found = common.cached("plane", (chosen.trace.key, chosen.stack, depth, start),
                       lambda: activations.plane(chosen.trace.activation(name)[cut]))  # fmt: skip
    texts = chosen.texts[cut]

    def draw():
        return pictures.plane_chart(found, texts, chosen.row - start, {"alt": say("block.plane_alt", name=name)})

    st.altair_chart(draw(), width="stretch")
    table = pd.DataFrame(found.points.numpy(), columns=["PC1", "PC2"]).assign(token=texts)
    said = say("block.plane_sentence", name=name, share=f"{sum(found.share):.0%}")
    said += " " + say("block.plane_window", first=start, last=cut.stop - 1) if count > _POINTS else ""
    figure_footer.draw(
        "block-plane", said, chosen.check, common.table_files(f"{chosen.slug}-plane", table), draw, (activations.plane,)
    )
