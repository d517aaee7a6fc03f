"""A recorded LayerNorm, LayerNorm beside BatchNorm on the same numbers, and post-LN against pre-LN."""

from __future__ import annotations

from typing import Any

import streamlit as st

from viz.base import numbers
from viz.ui.block import common
from viz.ui.block.common import BlockSelection, layer_name, short, words
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import current_run, page_controls, view

_FORMS = {
    "post": r"x \leftarrow \mathrm{LN}(x + F(x))",
    "pre": r"x \leftarrow x + F(\mathrm{LN}(x))",
}


def show(chosen: BlockSelection) -> None:
    """One recorded norm where there is one; norms of features against norms of tokens; post-LN against pre-LN."""
    from model.residual import stream as residual_stream

    own = residual_stream.own(chosen.trace)
    module = getattr(current_run.model(), "module", None) if own else None
    if own:
        _recorded(chosen, module)
    else:
        st.info(say("block.norm_library"), icon=":material/info:")
    _against_batch(chosen)
    if hasattr(getattr(module, "config", None), "norm"):
        _orders(chosen, module)


def _feature(width: int) -> int:
    """The feature that is written out: the last that a click in a figure picked."""
    return int(st.session_state[page_controls.between("block-feature", 0, 0, width - 1)["key"]])


def _stream_name(name: str, names: list[str]) -> str:
    """What goes into a norm, in words: x + F(x) of a sub-layer, or the stream below or above a layer."""
    if name.endswith(".residual"):
        return say("block.sum_of", part=layer_name(name.removesuffix(".residual")))
    at = names.index(name)
    return say("block.stream_first") if at == 0 else say("block.stream_after", layer=at - 1)


def _pick(feature: int) -> None:
    page_controls.put("block-feature", feature)


def _recorded(chosen: BlockSelection, module: Any) -> None:
    """γ (x − μ) / σ + β of one sub-layer, with the chosen token's numbers."""
    from model.residual import stream as residual_stream
    from viz import block as pictures

    trace = chosen.trace
    names = [
        n for n in residual_stream.sublayers(trace, chosen.stack) if residual_stream.norm_parameters(trace, module, n)
    ]
    page_text.heading("block.norm")
    if not names:
        return
    site = str(view.selected()[0])
    name = st.selectbox(
        say("block.sublayer"), names, format_func=layer_name, width=320,
        **page_controls.among(f"block-norm@{site}", site if site in names else names[0], names),
    )  # fmt: skip
    found = residual_stream.normalised(trace, name, residual_stream.norm_parameters(trace, module, name))
    row, cut = chosen.row, chosen.cut
    feature = _feature(found.x.shape[1])
    _written_out(found, row, feature)
    pair = [("x", found.x.numpy()), ("y", found.y.numpy())]
    items = [(pair[0][0], pair[0][1][cut]), "→", (pair[1][0], pair[1][1][cut])]
    frame = pictures.matrices_frame(items, chosen.labels[cut], row - cut.start, words(say("block.norm_alt")),
                                    shared=False, column=feature)  # fmt: skip
    common.draw("block-norm-frame", frame, chosen, _pick)
    after = [short(value, 3) for value in (found.y[row].mean(), found.y[row].var(unbiased=False))]
    said = say("block.norm_sentence", mean=after[0], variance=after[1])
    badge = figure_footer.fidelity_badge(found.error, found.limit, chosen.trace)
    files = common.matrix_files(f"{chosen.slug}-{name}-norm", found.y.numpy(), chosen.texts)
    figure_footer.draw("block-norm", said, badge, files,
              lambda: pictures.static_maps(pair, chosen.texts), (residual_stream.normalised,))  # fmt: skip


def _written_out(found: Any, row: int, feature: int) -> None:
    """The formula, and the same with the numbers of one token's feature."""

    def tex(value: Any) -> str:
        return numbers.factor(float(value), 4)

    mean, variance = found.mean[row], found.variance[row]
    st.latex(r"y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta,\qquad "
             rf"\mu = {numbers.tex(float(mean), 4)},\quad \sigma^2 = {numbers.tex(float(variance), 4)}")  # fmt: skip
    root = numbers.tex(float(found.sigma[row]), 4)
    x, gamma, beta, y = (values[feature] for values in (found.x[row], found.gamma, found.beta, found.y[row]))
    st.latex(rf"y_{{{feature}}} = {numbers.tex(float(gamma), 4)} \cdot \frac{{{numbers.tex(float(x), 4)} - {tex(mean)}}}"
             rf"{{{root}}} + {tex(beta)} = {numbers.tex(float(y), 4)}")  # fmt: skip
    st.caption(say("block.feature_click", feature=feature))


def _against_batch(chosen: BlockSelection) -> None:
    """The same activations normalised by token and by feature."""
    from model.residual import stream as residual_stream
    from model.transformer.layer_norm import layer_norm
    from viz import block as pictures

    page_text.heading("block.batch")
    names = residual_stream.streams(chosen.trace, chosen.stack)
    if residual_stream.own(chosen.trace):
        names = [f"{n}.residual" for n in residual_stream.sublayers(chosen.trace, chosen.stack)]
    site = str(view.selected()[0])
    first = next((name for name in names if name.startswith(f"{site}.")), names[len(names) // 2])
    name = st.selectbox(say("block.of"), names, width=320, format_func=lambda n: _stream_name(n, names),
                        **page_controls.among(f"block-batch@{chosen.stack}-{len(names)}-{site}", first, names))  # fmt: skip
    x = chosen.trace.activation(name).double()
    row, cut, feature = chosen.row, chosen.cut, _feature(x.shape[1])
    parts = [
        ("x", x.numpy()),
        ("LN", residual_stream.by_token(x).numpy()),
        ("BN", residual_stream.batch_norm(x).numpy()),
    ]
    drawn = [(symbol, values[cut]) for symbol, values in parts]
    frame = pictures.matrices_frame([drawn[0], "→", drawn[1], "|", drawn[2]], chosen.labels[cut], row - cut.start,
                                    words(say("block.batch_alt")), shared=False, column=feature)  # fmt: skip
    common.draw("block-batch-frame", frame, chosen, _pick)
    head = [f"| | {say('block.token_mean')} | {say('block.variance')} | {say('block.feature_mean', feature=feature)} | "
            f"{say('block.variance')} |", "|:--|--:|--:|--:|--:|"]  # fmt: skip
    lines = []
    for symbol, values in parts:
        told = [part for own in (values[row], values[:, feature]) for part in (own.mean(), own.var())]
        lines.append(f"| {symbol} | " + " | ".join(_rounded(value) for value in told) + " |")
    st.markdown("\n".join(head + lines))
    layer, batch = residual_stream.change_without_a_token(x, row)
    said = (
        say("block.batch_sentence", layer=_rounded(layer), batch=short(batch, 3)) if len(x) > 1 else say("block.alone")
    )
    figure_footer.draw("block-batch", said, chosen.check,
              common.matrix_files(f"{chosen.slug}-{name}-batchnorm", parts[2][1], chosen.texts),
              lambda: pictures.static_maps(parts, chosen.texts),
              (layer_norm, residual_stream.batch_norm, residual_stream.change_without_a_token))  # fmt: skip


def _rounded(value: float) -> str:
    """What float64 leaves of a sum that is zero is zero."""
    return "0" if abs(value) < 1e-12 else short(value, 3)


def _orders(chosen: BlockSelection, module: Any) -> None:
    """The same weights with the norms in the other place."""
    import pandas as pd

    from model.residual import stream as residual_stream
    from viz import block as pictures

    page_text.heading("block.orders")
    for column, kind in zip(st.columns(2, gap="large"), ("post", "pre"), strict=True):
        column.markdown(say("block.this_order" if kind == module.config.norm else "block.other_order", kind=kind))
        column.latex(_FORMS[kind])

    def both() -> residual_stream.Orders:
        with current_run.model().lock:
            return residual_stream.both_orders(module, chosen.trace, chosen.stack)

    found = common.cached("orders", (chosen.trace.key, chosen.stack), both, "wait.running")
    lines = {f"{norm}-LN": found.lengths[norm][:, chosen.row].tolist() for norm in ("post", "pre")}
    names = {"depth": say("block.depth"), "value": say("block.stream_length"), "alt": say("block.orders_alt")}

    def draw():
        return pictures.depth_lines(lines, names)

    st.altair_chart(draw(), width="stretch")
    ends = {norm: short(lines[f"{norm}-LN"][-1], 3) for norm in ("post", "pre")}
    said = say("block.orders_sentence", own=f"{found.own}-LN", **ends)
    figure_footer.draw("block-orders", said, figure_footer.fidelity_badge(found.error, found.limit, chosen.trace),
              common.table_files(f"{chosen.slug}-orders", pd.DataFrame(lines)), draw,
              (residual_stream.both_orders, residual_stream.other_order))  # fmt: skip
