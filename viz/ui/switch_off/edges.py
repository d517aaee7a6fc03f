"""What every edge of the selected head is worth to the number, beside its weight: one of the methods of `model.attribution`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import axes, export, numbers, tokens
from viz.heads import color_scale
from viz.heads import matrix as head_matrix
from viz.ui import components, language
from viz.ui.heads.matrix import select_cell
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.state import current_run, page_controls, view
from viz.ui.switch_off import answer, measured

if TYPE_CHECKING:
    import numpy as np

    from model.attribution.attribution import Attribution
    from model.attribution.metric import Metric
    from model.trace.trace import Trace

METHODS = ("knockout", "gradient_attention", "value_norm", "contribution", "value_zeroing", "rollout")
_FIGURES = ("switch-weights", "switch-edges")


def show(trace: Trace, metric: Metric) -> None:
    """The weights and what they are worth, side by side; a press on a cell selects it."""
    site, head, row, column = view.selected()
    if figure_footer.refused(trace, site):
        return
    page_text.heading("switch_off.edges")
    name = st.selectbox(
        say("switch_off.method"), METHODS, format_func=lambda each: say(f"switch_off.method_{each}"), width=300,
        **page_controls.among("switch-method", METHODS[0], METHODS),
    )  # fmt: skip
    found = _attributed(trace, metric, name)
    if found is None:
        return
    record = trace.record(site)
    shown = axes.axes(trace, site, (row, column))
    values = found.weights(site, head, shown[0].span, shown[1].span).numpy()
    with st.container(key="figures-edges"):
        areas = st.columns(2, gap="medium")
    frames = (_weights(trace, shown), _worth(trace, shown, values, found))
    titles = (say("switch_off.method_weight"), say(f"switch_off.method_{name}"))
    for area, key, frame, title in zip(areas, _FIGURES, frames, titles, strict=True):
        with area:
            st.markdown(f"**{title}**")
            components.matrix(
                key=key, data=frame, on_select_change=lambda key=key: select_cell(key, record, head, shown)
            )
    _foot(trace, metric, found, (row, column))


def _attributed(trace: Trace, metric: Metric, name: str) -> Attribution | None:
    """What the method says of this run; where it takes a backward pass or runs of its own they are made now."""
    model = current_run.model()
    site, head, _, _ = view.selected()

    def work() -> Attribution:
        from model.attribution.attribution import explain

        found = explain(model, trace, name, metric)
        found.weights(site, head)
        return found

    # Only value zeroing is made a head at a time.
    key = (trace.key, metric, name, (str(site), head) if name == "value_zeroing" else None)
    return measured.made("edges", key, work, say("switch_off.waiting_edges"))


def _weights(trace: Trace, shown: axes.Axes) -> bytes:
    site, head, row, column = view.selected()
    end = color_scale.end(color_scale.largest(trace.record(site), head, shown), view.current().scale)
    words = language.group("matrix") | {"legend": say("matrix.legend"), "alt": say("switch_off.method_weight")}
    return head_matrix.matrix_frame(trace, site, head, (row, column), words, 440, shown, end)


def _worth(trace: Trace, shown: axes.Axes, values: np.ndarray, found: Attribution) -> bytes:
    """Diverging and symmetric about 0 where a cell has a sign, else from 0 to the largest."""
    site, _, row, column = view.selected()
    allowed = trace.record(site).allowed(shown[0].span, shown[1].span).numpy()
    end = float(abs(values).max(initial=0.0)) or 1.0
    legend = say(f"switch_off.legend_{found.method.name}")
    words = language.group("matrix") | {"legend": legend, "alt": legend}
    low = -end if found.method.signed else 0.0
    return head_matrix.values_frame(trace, site, values, allowed, shown, (row, column), words, (low, end))


def _foot(trace: Trace, metric: Metric, found: Attribution, cell: tuple[int, int]) -> None:
    site, head, _, _ = view.selected()
    name, value = found.method.name, float(found.weights(site, head, *cell))
    told = answer.signed(value) if found.method.signed else numbers.short(value)
    said = say("switch_off.edges_sentence", formula=f"${found.method.formula}$", source=found.method.source, value=told)
    if found.method.signed:
        said += " " + say("switch_off.explains", metric=answer.in_words(metric))
    slug = f"{figure_footer.safe(trace.key.model)}-{site}-head{head}-{name.replace('_', '-')}"

    def csv() -> bytes:
        import pandas as pd

        whole = found.weights(site, head).numpy()
        rows = tokens.query_names(trace, site)
        return export.table_csv(pd.DataFrame(whole, columns=trace.tokens(site.key_side)).assign(query=rows))

    def npz() -> bytes:
        return export.npz(values=found.weights(site, head).numpy(), weights=trace.weights(site, head).numpy())

    figure_footer.draw(
        "switch-edges", said, figure_footer.site_badge(trace, site), lambda: {f"{slug}.csv": csv, f"{slug}.npz": npz},
        _static(trace, found), (found.method.work,),
    )  # fmt: skip


def _static(trace: Trace, found: Attribution):
    """The matrix of values for a file; None where it has more rows or columns than a file of marks should."""
    site, head, row, column = view.selected()
    shown = axes.axes(trace, site, (row, column))
    if max(len(axis.labels) for axis in shown) > export.LARGEST:
        return None

    def draw():
        from viz.base import static_chart

        values = found.weights(site, head, shown[0].span, shown[1].span).numpy()
        allowed = trace.record(site).allowed(shown[0].span, shown[1].span).numpy()
        end = float(abs(values).max(initial=0.0)) or 1.0
        rows, columns = ([label["text"] for label in axis.labels] for axis in shown)
        told = head_matrix.header(trace, site, shown, None, language.group("matrix"))
        titles = (told["row_title"], told["column_title"], say(f"switch_off.legend_{found.method.name}"))
        chart = static_chart.heat_map(values, rows, columns, -end if found.method.signed else 0.0, end, allowed, titles)
        return chart.properties(
            title=f"{site_name(site)} · {say('site.head', head=head)} · {say(f'switch_off.method_{found.method.name}')}"
        )

    return draw
