"""The by-hand page: inputs in editors, every step recomputed at once, three ways to weigh side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from model.errors import HeadlightError
from model.steps import worked_example
from model.steps.worked_example import HandSized
from viz.base import export, numbers
from viz.base.check_note import note
from viz.steps.equation import EquationFrame, shared_scale
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import page_controls, view

if TYPE_CHECKING:
    import altair as alt

_INPUTS = {"x": "X", "w_query": "W_Q", "w_key": "W_K", "w_value": "W_V"}
_WAYS = ("unscaled", "scaled", "rounded")


def show() -> None:
    """Editors, then the computation; a bad cell says so and keeps the last good one."""
    inputs = _editors()
    try:
        result = worked_example.attention_by_hand(**inputs)
        st.session_state.by_hand_good = inputs
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        result = worked_example.attention_by_hand(**st.session_state.get("by_hand_good", _original()))
    row, column = _pick(result)
    with st.container(key="figures"):
        areas = [*st.columns(2, gap="large"), *st.columns(2, gap="large")]
    _projections(areas, result, row, column)
    with areas[3]:
        _scores(result, row, column)
    _ways(result, row, column)


def _original() -> dict[str, np.ndarray]:
    return {name: worked_example.fixture()[name] for name in _INPUTS}


def _editors() -> dict[str, np.ndarray]:
    """X and the three weight matrices; what was typed stays when one leaves the page and comes back."""
    link = view.current().hand
    if st.session_state.get("by_hand_link") != link:  # a link with other inputs: the editors begin anew
        st.session_state.by_hand_link = link
        st.session_state.by_hand_kept = worked_example.from_text(link) or _original()
        st.session_state.by_hand_version = st.session_state.get("by_hand_version", 0) + 1
    version = st.session_state.by_hand_version
    kept = st.session_state.by_hand_kept
    edited = {}
    with st.container(key="editors"):
        columns = st.columns([9, 8, 8, 8], gap="small")
    for column, (name, symbol) in zip(columns, _INPUTS.items(), strict=True):
        key = f"edit-{name}-{version}"
        if key not in st.session_state:  # an editor starts anew from what was kept; later its own edits lie on top
            st.session_state[f"base-{key}"] = kept[name]
        base = st.session_state[f"base-{key}"]
        prefix = "x" if name == "x" else "w"
        table = pd.DataFrame(base, columns=[f"{i}" for i in range(base.shape[1])])
        table.index = [f"{prefix}{i}" for i in range(base.shape[0])]
        with column:
            st.latex(symbol)
            found = st.data_editor(
                table, key=key, num_rows="fixed", width="stretch",
                column_config={c: st.column_config.NumberColumn(c, format="%g", step=0.001, width=48) for c in table.columns},
            )  # fmt: skip
        edited[name] = found.to_numpy(dtype=np.float64, na_value=np.nan)
    st.session_state.by_hand_kept = edited
    if all(np.isfinite(matrix).all() for matrix in edited.values()):
        st.session_state.by_hand_link = worked_example.to_text(edited)
        view.remember(hand=st.session_state.by_hand_link)
    st.caption(say("by_hand.edit"))
    st.button(say("by_hand.reset"), on_click=_reset, key="by-hand-reset", type="tertiary")
    return edited


def _reset() -> None:
    st.session_state.by_hand_version += 1
    st.session_state.by_hand_kept = _original()
    st.session_state.by_hand_link = ""
    view.change(hand="")


def _pick(result: HandSized) -> tuple[int, int]:
    """Which query and key the hairlines follow."""
    n = result.x.shape[0]
    left, right = st.columns(2)
    row = left.segmented_control(
        say("pick.query"), range(n), required=True, **page_controls.among("hand-row", min(1, n - 1), range(n))
    )
    column = right.segmented_control(say("pick.key"), range(n), required=True,
                                     **page_controls.among("hand-column", min(1, n - 1), range(n)))  # fmt: skip
    return int(row or 0), int(column or 0)


def _labels(prefix: str, count: int) -> list[dict[str, str]]:
    return [{"text": f"{prefix}{i}", "kind": "word"} for i in range(count)]


def _equation(key: str, frame: EquationFrame, alt: str) -> None:
    frame.words = language.group("equation") | {"alt": alt}
    if key != "hand-q":
        frame.words["help"] = ""  # once on a page is enough
    components.equation(key=key, data=frame.frame())


def _projections(areas: list, result: HandSized, row: int, column: int) -> None:
    """q = X W_Q, k = X W_K, v = X W_V."""
    n = result.x.shape[0]
    triples = (
        ("q", result.w_query, result.query),
        ("k", result.w_key, result.key),
        ("v", result.w_value, result.value),
    )
    for area, (letter, weight, values) in zip(areas, triples, strict=False):
        followed = row if letter == "q" else column
        frame = EquationFrame({}, followed, None, 130)
        scale = shared_scale([result.x, weight, values])
        frame.matrix("X", result.x, ("query", _labels("x", n)), scale=scale)
        frame.operator("×")
        frame.matrix(f"W_{letter.upper()}", weight, scale=scale)
        frame.operator("=")
        frame.matrix(letter, values, ("query", None), result=True, scale=scale)
        frame.link = {"kind": "product", "left": "X", "right": f"W_{letter.upper()}", "result": letter}
        with area:
            _equation(f"hand-{letter}", frame, say(f"step.{letter}.what"))


def _scores(result: HandSized, row: int, column: int) -> None:
    n = result.x.shape[0]
    frame = EquationFrame({}, row, column, 130)
    scale = shared_scale([result.query, result.key, result.scores])
    frame.matrix("q", result.query, ("query", _labels("q", n)), scale=scale)
    frame.operator("×")
    frame.matrix("kT", result.key.T, (None, None), ("key", _labels("k", n)), scale=scale)
    frame.operator("=")
    frame.matrix("S", result.scores, ("query", None), ("key", _labels("k", n)), result=True, scale=scale)
    frame.link = {"kind": "product", "left": "q", "right": "kT", "result": "S"}
    _equation("hand-scores", frame, say("step.products.what"))
    terms = " + ".join(
        f"{numbers.tex(a)}\\cdot{numbers.factor(b)}" for a, b in zip(result.query[row], result.key[column], strict=True)
    )
    st.latex(
        rf"S_{{{row},{column}}} = q_{{{row}}}\cdot k_{{{column}}} = {terms} = {numbers.tex(result.scores[row, column])}"
    )


def _ways(result: HandSized, row: int, column: int) -> None:
    """Softmax unscaled, scaled by 1/√d_k, and rounded to tenths for reading: weights and output of each."""
    n, d_k = result.x.shape[0], result.query.shape[1]
    with st.container(key="ways"):
        columns = st.columns(3, gap="large")
    for area, way in zip(columns, _WAYS, strict=True):
        weights, output = getattr(result, f"weights_{way}"), getattr(result, f"output_{way}")
        with area:
            page_text.heading(f"by_hand.{way}", small=True, d_k=d_k)
            frame = EquationFrame({}, row, column, 130)
            frame.matrix("A", weights, ("query", _labels("q", n)), ("key", _labels("k", n)))
            frame.operator("×")
            scale = shared_scale([result.value, output])
            frame.matrix("v", result.value, scale=scale)
            frame.operator("=")
            frame.matrix("o", output, ("query", None), result=True, scale=scale)
            frame.link = {"kind": "product", "left": "A", "right": "v", "result": "o"}
            _equation(f"hand-{way}", frame, say("step.sum.what"))
            st.latex(_softmax_line(result, way, row, column, weights))
    sums = max(abs(float(getattr(result, f"weights_{way}").sum(-1).max()) - 1) for way in _WAYS)
    figure_footer.draw(
        "by-hand", say("by_hand.sentence"), note(say("by_hand.rows", error=numbers.short(sums))), lambda: _files(result),
        figure=lambda: _figure(result), code=(worked_example.attention_by_hand,),
    )  # fmt: skip


def _figure(result: HandSized) -> alt.HConcatChart:
    """The weights of the three ways side by side, from 0 to 1, for a file."""
    from viz.base import static_chart

    n = result.x.shape[0]
    rows, columns = ([f"{letter}{i}" for i in range(n)] for letter in "qk")
    ways = [(say(f"by_hand.{way}"), getattr(result, f"weights_{way}")) for way in _WAYS]
    return static_chart.beside(
        [static_chart.heat_map(weights, rows, columns, titles=("", "", name)) for name, weights in ways]
    )


def _softmax_line(result: HandSized, way: str, row: int, column: int, weights: np.ndarray) -> str:
    weight = numbers.tex(float(weights[row, column]), 4)
    if way == "rounded":
        return rf"{numbers.tex(float(result.weights_unscaled[row, column]), 4)} \approx {weight}"
    scores = result.scores if way == "unscaled" else result.scores_scaled
    below = " + ".join(f"e^{{{numbers.tex(float(s))}}}" for s in scores[row])
    return rf"\frac{{e^{{{numbers.tex(float(scores[row, column]))}}}}}{{{below}}} = {weight}"


def _files(result: HandSized):
    arrays = dict(vars(result))
    rows = [(name, i, j, v) for name, m in arrays.items() for (i, j), v in np.ndenumerate(m)]
    table = pd.DataFrame(rows, columns=["matrix", "row", "column", "value"])
    return {
        "by-hand.csv": lambda: export.table_csv(table),
        "by-hand.npz": lambda: export.npz(**arrays),
    }
