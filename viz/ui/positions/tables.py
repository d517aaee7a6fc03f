"""Positions that are added to the embeddings: the sinusoidal table, learned ones, and the sum on the words of this run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from viz.base import export, numbers, tokens
from viz.steps import equation
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.positions import space, waves
from viz.ui.positions.common import WIDTH, files, grid, lacking, slider, static
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import page_controls

if TYPE_CHECKING:
    import torch

    from model.positions.tables import Sum
    from model.trace.trace import Trace

_TABLE = ("position", "dimension_axis")
_PAIRS = ("position", "other")
# As many dimensions of the sum as are drawn side by side.
_DIMS = 24
_BASES = [10, 100, 1000, 10_000, 100_000]
_LONGEST = 40


def _width(model: Any) -> int:
    """How many dimensions the table has at first: those of a model that adds it, else few enough to be seen."""
    config = getattr(model, "config", None)
    adds = getattr(config, "positions", "") == "sinusoidal"
    return int(config.d_model) if adds and config.d_model % 2 == 0 else 64


def sinusoidal(trace: Trace, model: Any) -> None:
    """The table for any L, d and n; the sum on this run; curves, dot products, and one pair that turns."""
    import torch

    from model.positions import tables as views
    from model.transformer.positions import sinusoidal as make

    with st.container(horizontal=True, gap="small"):
        length = slider("length", 8, 128, 50)
        d = slider("width", 8, 256, _width(model), step=2)
        n = st.select_slider(say("positions.base"), _BASES, format_func=lambda v: f"{v:,}", width=WIDTH,
                             **page_controls.among("positions-base", 10_000, _BASES))  # fmt: skip
    n = float(n)
    table = make(length, d, n, torch.float64)
    position = _kept("positions-k", length - 1, 3)
    pair = _kept("positions-pair", d // 2 - 1, 2)

    def select(row: int, column: int) -> None:
        page_controls.put("positions-k", row)
        page_controls.put("positions-pair", column // 2)
        page_controls.put("positions-dims", [column])  # its wave, beside the table

    lengths = views.wavelengths(d, n)
    dims = waves.dimensions(d)
    chosen = dims[0] if len(dims) == 1 and dims[0] // 2 == pair else 2 * pair
    with st.container(key="beside-waves"):
        left, right = st.columns([6, 5], gap="medium")
    with left:
        page_text.heading("positions.table_name", small=True)
        notes = [say("positions.wavelength", value=numbers.short(float(value))) for value in lengths]
        _table_grid("table", table, select, (position, chosen), curve=lengths.numpy(), notes=notes)
    with right:
        waves.show(table, lengths, dims, position)
    st.latex(r"PE_{(k,\,2i)} = \sin\frac{k}{n^{2i/d}},\qquad PE_{(k,\,2i+1)} = \cos\frac{k}{n^{2i/d}}")
    st.latex(r"0 \le k < L,\qquad 0 \le i < d/2")
    figure_footer.draw("positions-table", say("positions.table_sentence"), None, files("sinusoidal", *_named(table)),
              static(*_named(table), {"low": -1, "high": 1}, _TABLE), [make, views.wavelengths])  # fmt: skip
    space.table(table)
    stack = "encoder" if "encoder" in trace.sides else "decoder"
    found = views.recorded_sum(trace, stack, getattr(model, "module", None))
    if found is not None and trace.facts.get("positions") == "sinusoidal":
        _sum(trace, stack, found)
    _products(table, views.products)
    _turn(table, length, d, n)


def _kept(key: str, last: int, first: int) -> int:
    """What a slider further down holds, brought inside its range before it is drawn."""
    return int(st.session_state[page_controls.between(key, min(first, last), 0, last)["key"]])


def _named(table: torch.Tensor) -> tuple[Any, list[str], list[str]]:
    rows, columns = table.shape
    return table.numpy(), [str(i) for i in range(rows)], [str(i) for i in range(columns)]


def _table_grid(key: str, table: torch.Tensor, select: Any = None, selection: tuple[int, int] | None = None,
                share: float = 1.0, **more: Any) -> None:  # fmt: skip
    """more: of `viz.positions.grid_frame`, the line over the cells and what is noted of each column."""
    from viz.positions import diverging, numbered

    rows, columns = table.shape
    scale = diverging(table.numpy(), share)
    grid(key, table.numpy(), numbered(rows), numbered(columns), scale, _TABLE, select, selection=selection,
         max_height=440, **more)  # fmt: skip


def _products(table: torch.Tensor, make: Any, share: float = 1.0) -> None:
    from viz.positions import diverging, numbered

    page_text.heading("positions.products_name", small=True)
    values = make(table)
    scale = diverging(values.numpy(), share)  # of one kind whatever n is, also where no number is negative
    sentence = say("positions.products_sentence")
    if share < 1:
        sentence += " " + say("positions.cut_scale", share=f"{100 * share:g}")
    grid("products", values.numpy(), numbered(len(values)), numbered(len(values)), scale, _PAIRS, max_height=340)
    figure_footer.draw("positions-products", sentence, None, files("products", *_named(values)),
              static(*_named(values), scale, _PAIRS), [make])  # fmt: skip


def _turn(table: torch.Tensor, length: int, d: int, n: float) -> None:
    from model.positions import tables as views
    from viz import positions as pictures

    with st.container(key="step-positions-turn"):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with right:
        page_text.heading("positions.turn_name", small=True)
        pair = slider("pair", 0, d // 2 - 1, 2, key="positions-pair")
        k = slider("k", 0, length - 1, 3, key="positions-k")
        shift = slider("shift", 0, 32, 5)
        found = views.rotated(d, k, shift, pair, n)
        R, before, after = found.matrix, found.before, found.rotated
        cells = r" \\ ".join(" & ".join(numbers.tex(float(x)) for x in row) for row in R)
        columns = [r" \\ ".join(numbers.tex(float(x)) for x in vector) for vector in (before, after)]
        st.latex(rf"\begin{{bmatrix}}{cells}\end{{bmatrix}}\begin{{bmatrix}}{columns[0]}\end{{bmatrix}} = "
                 rf"\begin{{bmatrix}}{columns[1]}\end{{bmatrix}}")  # fmt: skip
        st.caption(say("positions.turn_table", table=", ".join(numbers.short(float(x)) for x in found.looked_up),
                       error=numbers.short(found.error)))  # fmt: skip
    words = {"alt": say("positions.turn_what"), "sin": f"sin: {2 * pair}", "cos": f"cos: {2 * pair + 1}"}

    def draw() -> Any:
        return pictures.circle(found, table[:, 2 * pair : 2 * pair + 2].numpy(), k, shift, words)

    with left:
        st.altair_chart(draw(), width="content")
    arrays = {"matrix": R, "before": before, "turned": after, "table": found.looked_up}
    said = figure_footer.fidelity_badge(views.rotation_error(length, d, shift, n), views.rotation_limit(length, shift))
    figure_footer.draw("positions-turn", say("positions.turn_sentence"), said,
              lambda: {"headlight-turn.csv": lambda: _turn_csv(arrays),
                       "headlight-turn.npz": lambda: export.npz(**{name: v.numpy() for name, v in arrays.items()})},
              draw, [views.rotation, views.rotated, views.rotation_error])  # fmt: skip


def _turn_csv(arrays: dict[str, torch.Tensor]) -> bytes:
    """Each array as rows of sine and cosine."""
    rows = [(name, *row) for name, v in arrays.items() for row in v.reshape(-1, 2).tolist()]
    return export.matrix_csv(np.array([row[1:] for row in rows]), [row[0] for row in rows], ["sin", "cos"])


def _sum(trace: Trace, stack: str, embedding_sum: Sum, made: bool = False) -> None:
    """E + PE = X of this run, a window of the dimensions at a time; `made`: from the model's tables, not as recorded."""
    from model.positions import tables as views
    from viz import positions as pictures

    page_text.heading("positions.sum_name", small=True)
    d = embedding_sum.total.shape[1]
    first = slider("first_dim", 0, max(0, d - _DIMS), 0, step=8) if d > _DIMS else 0
    dims = slice(first, min(d, first + _DIMS))
    words = language.group("equation") | {"alt": say("positions.sum_what"), "help": say("equation.help_cell")}
    shown = slice(0, _LONGEST)
    labels = tokens.labels(trace, stack)[shown]
    names = ("embedding", "positions", "total", "segments")
    parts = {name: value for name in names if (value := getattr(embedding_sum, name)) is not None}
    cut = views.Sum(**({name: value[shown] for name, value in parts.items()} | {"error": embedding_sum.error}))
    components.equation(key="positions-sum", data=pictures.sum_frame(cut, labels, words, dims))
    rest = r" + T" if embedding_sum.segments is not None else ""
    factor = r"\sqrt{d_{model}}\," if embedding_sum.factor else ""
    st.latex(rf"X = E + PE{rest},\qquad E = {factor}W_E[\mathrm{{id}}]")
    sentence = say(
        "positions.sum_made" if made else "positions.sum_sentence", first=dims.start, last=dims.stop - 1, d=d
    )
    if embedding_sum.factor and embedding_sum.factor_error is not None:
        sentence += " " + say(
            "positions.sum_factor",
            factor=numbers.short(embedding_sum.factor),
            error=numbers.short(embedding_sum.factor_error),
        )
    if embedding_sum.normed:
        sentence += " " + say("positions.sum_normed")
    total = embedding_sum.total.numpy()

    def draw() -> Any:
        scale = equation.shared_scale([total])
        return static(total, trace.tokens(stack), [str(i) for i in range(d)], scale, ("word", "dimension_axis"))()

    arrays = {name: value.numpy() for name, value in parts.items()} | {"tokens": trace.tokens(stack)}
    badge = figure_footer.fidelity_badge(embedding_sum.error, embedding_sum.limit, trace)
    figure_footer.draw("positions-sum", sentence, badge, lambda: {
        "headlight-sum.csv": lambda: export.matrix_csv(total, trace.tokens(stack), [str(i) for i in range(d)]),
        "headlight-sum.npz": lambda: export.npz(**arrays),
    }, draw, [views.library_sum if made else views.recorded_sum])  # fmt: skip


def learned(trace: Trace, model: Any) -> None:
    """The opened model's own table, dot products between its rows, and the sum where the record allows it."""
    from model.checkpoints.record.position_tables import position_tables
    from model.positions import tables as views

    module = getattr(model, "module", None)
    tables = position_tables(module) if module is not None else []
    if not tables:
        lacking("learned")
        return
    number = next((i for i, each in enumerate(tables) if each.trained), 0)
    if len(tables) > 1:
        number = st.segmented_control(
            say("positions.which"), range(len(tables)), required=True, format_func=lambda i: tables[i].name,
            **page_controls.among(f"positions-which@{trace.key.model}", number, range(len(tables))),
        )  # fmt: skip
    table = tables[number or 0]
    rows = table.rows[table.first :].double()
    length = slider("shown", min(8, len(rows)), min(256, len(rows)), 128)
    page_text.heading(
        "positions.learned_name" if table.trained else "positions.fixed_name", what="positions.learned_what", small=True,
        name=f"`{table.name}`", rows=len(rows), d=rows.shape[1],
    )  # fmt: skip
    _table_grid("learned", rows[:length], share=0.995)
    sentence = (
        say("positions.learned_sentence")
        + " "
        + say("positions.cut_scale", share="99.5")
        + (f" {say('positions.fixed')}" if not table.trained else "")
    )
    named = _named(rows[:length])
    from viz.positions import diverging

    figure_footer.draw("positions-learned", sentence, None, files("learned", *named),
              static(*named, diverging(named[0], 0.995), _TABLE), [position_tables])  # fmt: skip
    _products(rows[:length], views.products, 0.98)
    if table.stack in trace.sides:
        own = views.recorded_sum(trace, table.stack, module)
        found = own or views.library_sum(trace, table, module)
        if found is not None:
            _sum(trace, table.stack, found, own is None)
