"""The step-by-step page: the selected cell written out, then every step as matrices beside its formula."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.trace.site import Site
from viz.base import export, numbers, tokens
from viz.base.numbers import decimals, minus
from viz.steps import equation, latex
from viz.ui import components, language, tile_server
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import view

if TYPE_CHECKING:
    import altair as alt

    from model.steps.head import Step
    from model.trace.trace import Trace


# More scores than this are for the data of the figure, not for reading.
_ROW_SCORES = 64


def steps(trace: Trace) -> None:
    """The cell in one line, then the strip; steps unfold one at a time or all at once."""
    from model.steps import head as head_steps
    from model.steps import step as parts
    from model.steps.weight import weight_derivation

    site, head, row, column = view.selected()
    cell = weight_derivation(trace, site, head, row, column)
    _cell(cell, trace.record(site).d_k)  # before the steps, which take longer
    found = head_steps.head_steps(trace, site, head, row)
    if found[0].key != "input":
        st.caption(say("steps.recorded"))
    if max(trace.record(site).queries, trace.record(site).keys) > parts.WINDOW:
        st.caption(say("steps.window", n=parts.WINDOW))
    shown = _unfold(len(found))
    axes = {"query": site.query_side, "key": site.key_side}
    for step in found[:shown]:
        _step(trace, site, step, axes, (row, column), latex.with_numbers(step, row, column, cell))
    _advance(len(found))
    if shown == len(found):
        _output(trace, site, row)


def _cell(cell, d_k: int) -> None:
    """The chosen cell as a chain of numbers, and every product behind it for a calculator."""
    with st.container(key="cell-chain"):
        st.latex(latex.chain(cell, d_k))
    with st.expander(say("steps.written_out", terms=len(cell.terms)), expanded=False):
        text, total = latex.written_out(cell)
        st.code(text, language=None, wrap_lines=True)
        st.caption(
            say("steps.calculator", printed=minus(f"{total:.4f}"), exact=minus(f"{cell.product:.7f}"),
                root=f"{1 / cell.scale:.4f}", score=minus(f"{cell.score:.7f}"), weight=f"{cell.weight:.7f}")
        )  # fmt: skip
        if len(cell.row_scores) <= _ROW_SCORES:
            st.caption(say("steps.row_scores", scores=", ".join(decimals(s, 4) for s in cell.row_scores)))


def _unfold(count: int) -> int:
    """How many steps are open; −1 in the link means all."""
    now = view.current().step
    mode = "all" if now < 0 else "one"
    key = f"unfold-{language.current()}"
    if st.session_state.get(key) != mode:
        st.session_state[key] = mode
    st.segmented_control(
        say("steps.unfold"), ["all", "one"], format_func=lambda m: say(f"steps.{m}"), key=key, required=True,
        on_change=lambda: view.change(step=-1 if st.session_state[key] == "all" else 0), label_visibility="collapsed",
    )  # fmt: skip
    return count if now < 0 else min(now, count - 1) + 1


def _advance(count: int) -> None:
    now = view.current().step
    if now < 0:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(say("steps.back"), disabled=now == 0, on_click=view.change, kwargs={"step": now - 1}, key="step-back")
        st.button(
            say("steps.next"), disabled=now >= count - 1, on_click=view.change, kwargs={"step": now + 1},
            type="primary", key="step-next",
        )  # fmt: skip
        st.caption(say("steps.progress", now=min(now, count - 1) + 1, count=count), width="content")


def _formula(trace: Trace, step: Step) -> str:
    """The formula of a step; where the rows come from, which the record has under a name of its own, in words."""
    if step.key != "input":
        return step.latex
    before = say("steps.from_before") if trace.facts.get("norm", "post") == "post" else say("steps.from_norm")

    def said(found: re.Match) -> str:
        return rf"\text{{{say('steps.from_encoder') if found[1] == 'encoder.output' else before}}}"

    told = re.sub(r"\\texttt\{([^}]*)\}", said, step.latex)
    # The two of cross-attention are a line each: beside one another they are wider than the column.
    lines = told.replace(r",\quad Y", r" \\ Y")
    return told if lines == told else r"\begin{gathered}" + lines + r"\end{gathered}"


def _step(trace: Trace, site: Site, step: Step, axes: dict[str, str], at: tuple[int, int], line: str) -> None:
    """One step: its matrices on the left, the formula and the same formula with this row's numbers on the right."""
    key = f"step-{step.key}"
    with st.container(key=f"{key}-box"):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with right:
        page_text.heading(f"step.{step.key}.name", small=True)
        st.latex(_formula(trace, step))
        st.latex(line)
    with left:
        words = language.group("equation") | {"alt": f"{say(f'step.{step.key}.name')}. {say(f'step.{step.key}.what')}"}
        if step.key != "input":
            words["help"] = ""  # once on a page is enough
        words |= {"sums": say("map.sums"), "added": say("map.added"), "log_sum": say("map.log_sum")}
        address = tile_server.address(trace, site, view.current().head)
        frame = equation.step_frame(trace, step, axes, *at, words, address)

        def select() -> None:
            _select(key, step)

        components.equation(key=key, data=frame, on_select_change=select)
        if len(step.operands) > 1 and step.key == "input":
            _ids(trace, site, at[0])
        badge, whole = figure_footer.fidelity_badge(step.error, step.limit), figure_footer.site_badge(trace, site)
        badge = badge + whole if whole.fails else badge  # a step of a sub-layer that fails, whatever it is by itself
        figure_footer.draw(
            key, say("steps.shape", symbol=step.result.symbol.replace("_", ""), shape=_shape(step)), badge,
            lambda: _files(trace, site, step), figure=lambda: _figure(trace, site, step, at), code=_code(step.key),
        )  # fmt: skip


def _code(key: str) -> tuple[Callable[..., object], ...]:
    """The function that recomputed the step; "input" to "v" and what follows the softmax are made in `head_steps`."""
    from model.steps import head as head_steps
    from model.steps import scores as score_steps

    scores = ("products", "scaled", "softcap", "bias", "mask", "softmax")
    return (score_steps.score_steps,) if key in scores else (head_steps.head_steps,)


def _figure(trace: Trace, site: Site, step: Step, at: tuple[int, int]) -> alt.Chart | alt.LayerChart:
    """The step's result as a chart for a file; beyond `static_chart.LARGEST` rows or columns those around the selected cell."""
    from viz.base.static_chart import step_map

    labels = {"query": tokens.query_labels(trace, site), "key": tokens.key_labels(trace, site)}
    return step_map(step, {axis: [label["text"] for label in found] for axis, found in labels.items()}, at)


def _ids(trace: Trace, site: Site, row: int) -> None:
    """Each token's vocabulary id: the row of the embedding table that E is read from; of a long text the selected one's."""
    side = trace.side(site.query_side)
    shown = list(zip(side.tokens, side.ids, strict=True))
    shown = shown if len(shown) <= 24 else shown[row : row + 1]
    pairs = " · ".join(f"{page_text.code(tokens.readable(token))} {i}" for token, i in shown)
    st.caption(say("steps.ids", ids=pairs))


def _shape(step: Step) -> str:
    rows, columns = step.result.values.shape
    return f"{rows} × {columns}"


def _select(key: str, step: Step) -> None:
    """A click on a cell whose axes are queries and keys selects it; on a row of queries, that query."""
    picked = st.session_state[key].get("select")
    if not picked:
        return
    matrices = [m for m in (*step.operands, step.result) if not isinstance(m, str)]
    matrix = next((m for m in matrices if m.symbol == picked.get("matrix")), None)
    if matrix is None:
        return
    changes = {}
    for axis, index in ((matrix.rows, picked["row"]), (matrix.columns, picked["column"])):
        if axis in ("query", "key"):
            changes["row" if axis == "query" else "column"] = int(index)
    if changes:
        view.change(**changes)


def _files(trace: Trace, site: Site, step: Step):
    values = step.result.values.numpy()
    side = {"query": site.query_side, "key": site.key_side}.get(step.result.rows or "")
    # Of a long text's later steps only a window of the queries was made.
    start = step.start if step.result.rows == "query" else 0
    names = tokens.query_names(trace, site) if step.result.rows == "query" else trace.tokens(side) if side else ()
    rows = names[start:][: values.shape[0]] if side else [str(i) for i in range(values.shape[0])]
    columns = trace.tokens(site.key_side) if step.result.columns == "key" else [str(i) for i in range(values.shape[1])]
    slug = f"{figure_footer.safe(trace.key.model)}-{site}-head{view.current().head}-{step.key}"
    return {
        f"{slug}.csv": lambda: export.matrix_csv(values, rows, columns),
        f"{slug}.npz": lambda: export.npz(result=values, rows=rows, columns=columns),
    }


def _output(trace: Trace, site: Site, row: int) -> None:
    """Where it all leads: the probabilities of the next token after this decoder position."""
    if not trace.predicts or (trace.sides.keys() - {site.stack} and site.stack != "decoder"):
        return
    page_text.heading("step.output.name", small=True)
    if trace.parameter(site, "gamma") is not None:
        st.latex(r"p = \mathrm{softmax}(y^{(N)} W_{out} + b_{out})")
    best = trace.next_tokens(row, top=5)
    st.dataframe(
        {
            say("card.token"): [tokens.readable(token) for token, _, _ in best],
            say("card.id"): [i for _, i, _ in best],
            say("steps.probability"): [p for _, _, p in best],
            say("steps.exact"): [numbers.short(p, 4) for _, _, p in best],
        },
        column_config={
            say("steps.probability"): st.column_config.ProgressColumn(format=" ", min_value=0.0, max_value=1.0)
        },
        hide_index=True,
        width=620,
    )
