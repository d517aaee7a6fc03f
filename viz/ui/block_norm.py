"""LayerNorm before and after, beside BatchNorm on the same numbers, and in the other place."""

from __future__ import annotations

import streamlit as st

from viz.ui import block, feet, session, work
from viz.ui.block import Chosen, heading, layer_name, short, words
from viz.ui.language import say


def show(chosen: Chosen) -> None:
    """One recorded norm where there is one; norms of features against norms of tokens; post-LN against pre-LN."""
    from model import block_views

    own = block_views.own(chosen.trace)
    module = getattr(session.current_model(), "module", None) if own else None
    if own:
        _recorded(chosen, module)
    else:
        st.info(say("block.norm_library"), icon=":material/info:")
    _against_batch(chosen)
    if own and module is not None and hasattr(module, "config") and hasattr(module.config, "norm"):
        _orders(chosen, module)


def _recorded(chosen: Chosen, module) -> None:
    """γ (x − μ) / σ + β of one sub-layer, with the chosen token's numbers."""
    from model import block_views
    from viz import block as pictures

    trace = chosen.trace
    names = [n for n in block_views.sublayers(trace, chosen.stack) if block_views.norm_parameters(trace, module, n)]
    heading("norm")
    if not names:
        return
    name = st.selectbox(say("block.sublayer"), names, format_func=layer_name, key=f"block-norm-{chosen.stack}", width=320,
                        persist_state="session")  # fmt: skip
    found = block_views.normalised(trace, name, block_views.norm_parameters(trace, module, name))
    row, mean, variance = chosen.row, found.mean[chosen.row], found.variance[chosen.row]
    root = (variance + block_views.EPSILON).sqrt()
    st.latex(r"y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta,\qquad "
             rf"\mu = {short(mean)},\quad \sigma^2 = {short(variance)}")  # fmt: skip
    st.latex(rf"y_0 = {short(found.gamma[0])} \cdot \frac{{{short(found.x[row, 0])} - ({short(mean)})}}{{{short(root)}}}"
             rf" + ({short(found.beta[0])}) = {short(found.y[row, 0])}")  # fmt: skip
    after = (float(found.y[row].mean()), float(found.y[row].var(unbiased=False)))
    cut = chosen.cut
    frame = pictures.matrices_frame(
        [("x", found.x[cut].numpy()), "→ LayerNorm →", ("y", found.y[cut].numpy())], chosen.labels[cut], row - cut.start,
        words(say("block.norm_alt")), shared=False,
    )  # fmt: skip
    block.draw("block-norm-frame", frame, chosen)
    said = say("block.norm_sentence", mean=short(after[0], 3), variance=short(after[1], 3))
    slug = f"{chosen.slug}-{name}-norm"
    feet.foot("block-norm", said, feet.fidelity_badge(found.error, 2e-6 * max(1.0, float(found.y.abs().max()))),
              block.matrix_files(slug, found.y.numpy(), chosen.texts), code=(block_views.normalised,))  # fmt: skip


def _against_batch(chosen: Chosen) -> None:
    """The same activations normalised by token and by feature."""
    from model import block_views
    from viz import block as pictures

    heading("batch")
    names = block_views.streams(chosen.trace, chosen.stack)
    if block_views.own(chosen.trace):
        names = [f"{n}.residual" for n in block_views.sublayers(chosen.trace, chosen.stack)]
    name = st.selectbox(say("block.of"), names, index=len(names) // 2, key=f"block-batch-{chosen.stack}-{len(names)}", width=320,
                        persist_state="session")  # fmt: skip
    x = chosen.trace.activation(name).double()
    by_token, by_feature = block_views.layer_norm(x), block_views.batch_norm(x)
    cut = chosen.cut
    frame = pictures.matrices_frame(
        [("x", x[cut].numpy()), "|", ("LN", by_token[cut].numpy()), "|", ("BN", by_feature[cut].numpy())], chosen.labels[cut],
        chosen.row - cut.start, words(say("block.batch_alt")), shared=False,
    )  # fmt: skip
    block.draw("block-batch-frame", frame, chosen)
    row, lines = chosen.row, []
    for symbol, values in (("x", x), ("LN", by_token), ("BN", by_feature)):
        own, feature = values[row], values[:, 0]
        lines.append(f"| {symbol} | {short(own.mean(), 3)} | {short(own.var(unbiased=False), 3)} | "
                     f"{short(feature.mean(), 3)} | {short(feature.var(unbiased=False), 3)} |")  # fmt: skip
    head = [f"| | {say('block.token_mean')} | {say('block.token_variance')} | {say('block.feature_mean')} | "
            f"{say('block.feature_variance')} |", "|:--|--:|--:|--:|--:|"]  # fmt: skip
    st.markdown("\n".join(head + lines))
    layer, batch = block_views.depends(x, row)
    said = say("block.batch_sentence", layer=short(layer, 3), batch=short(batch, 3)) if len(x) > 1 else ""
    feet.foot("block-batch", said, "", block.matrix_files(f"{chosen.slug}-{name}-batchnorm", by_feature.numpy(), chosen.texts),
              code=(block_views.layer_norm, block_views.batch_norm, block_views.depends))  # fmt: skip


def _orders(chosen: Chosen, module) -> None:
    """The same weights with the norms in the other place."""
    from model import block_views
    from viz import block as pictures

    heading("orders", norm=f"{chosen.trace.facts.get('norm', 'post')}-LN")
    st.latex(
        r"\text{post-LN: } x \leftarrow \mathrm{LN}(x + F(x))\qquad \text{pre-LN: } x \leftarrow x + F(\mathrm{LN}(x))"
    )
    ids = chosen.trace.token_ids("encoder"), chosen.trace.token_ids("decoder")
    key = ("orders", chosen.trace.key, chosen.stack)
    kept = st.session_state.get("block-orders")
    if kept is None or kept[0] != key:

        def both():
            with session.current_model().lock:
                return block_views.both_orders(module, *ids, chosen.stack)

        st.session_state["block-orders"] = kept = (key, work.run(key, both, say("wait.running")))
    lines = {f"{norm}-LN": [float(v.mean()) for v in kept[1][norm]] for norm in ("post", "pre")}
    names = {"depth": say("block.depth"), "value": say("block.mean_length"), "alt": say("block.orders_alt")}

    def draw():
        return pictures.depth_lines(lines, names)

    st.altair_chart(draw(), width="stretch")
    import pandas as pd

    feet.foot("block-orders", say("block.orders_sentence"), "", block.table_files(f"{chosen.slug}-orders", pd.DataFrame(lines)),
              draw, (block_views.both_orders, block_views.other_order))  # fmt: skip
