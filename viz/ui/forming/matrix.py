"""The selected head at a step of the training, with the slider over all of them: the browser has every step's cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from viz.base import axes, export
from viz.heads import color_scale
from viz.heads import matrix as head_matrix
from viz.ui import components, language
from viz.ui.heads.matrix import code_of, remarks, select_cell
from viz.ui.language import say
from viz.ui.shared import figure_footer
from viz.ui.shared.side_bar import site_name
from viz.ui.state import page_controls, view

if TYPE_CHECKING:
    import altair as alt

    from model.forming.over_steps import StepRun
    from model.trace.site import Site
    from model.trace.trace import Trace
    from viz.base.check_note import CheckNote

_STEP, _FIGURE = "forming-step", "forming-matrix"


def chosen_step(steps: list[int], first: int) -> int:
    """The step that is looked at: by the link or the slider, else `first`, that of the model at hand."""
    page_controls.among(_STEP, first, steps)
    return int(st.session_state[_STEP])


def at_step(found: list[StepRun], step: int) -> StepRun:
    return next(run for run in found if run.step == step)


def badge(found: list[StepRun], site: Site) -> CheckNote:
    """How the site checks in the run in which it checks worst."""
    notes = [figure_footer.site_badge(run.trace, site) for run in found]
    return next((note for note in notes if note.fails), notes[-1])


def show(trace: Trace, found: list[StepRun], step: int) -> None:
    """A press on a cell selects it, a step that the slider is let go at is the page's."""
    from viz import forming

    site, head, row, column = view.selected()
    if any(figure_footer.refused(run.trace, site) for run in found):
        return
    last = found[-1].trace
    record = last.record(site)
    at = min(row, record.queries - 1), min(column, record.keys - 1)
    shown = axes.axes(last, site, at)
    most = max(color_scale.largest(run.trace.record(site), head, shown) for run in found)
    end = color_scale.end(most, "")
    words = _words() | {
        "alt": say("matrix.alt_text", site=site_name(site), head=head, rows=record.queries, columns=record.keys),
        "legend": f"{say('matrix.legend')} · {say('forming.legend')}",
    }
    frame = forming.scrub_frame(found, site, head, at, words, shown, step, end)
    components.matrix(
        key=_FIGURE, data=frame, on_select_change=lambda: select_cell(_FIGURE, record, head, shown),
        on_step_change=lambda: _scrubbed([run.step for run in found]),
    )  # fmt: skip
    here = at_step(found, step).trace
    figure_footer.draw(
        _FIGURE, f"{say('matrix.sentence')} {remarks(last, site, shown)}".rstrip(), badge(found, site),
        lambda: _files(trace, found, site, head, step), _static(here, site, head, at, end, step), code_of(record),
    )  # fmt: skip


def _words() -> dict[str, str]:
    return language.group("matrix") | {"query_decoder": say("forming.query")}


def _scrubbed(steps: list[int]) -> None:
    picked = st.session_state[_FIGURE].get("step")
    if picked is not None and int(picked) in steps:
        page_controls.put(_STEP, int(picked))


def _files(
    trace: Trace, found: list[StepRun], site: Site, head: int, step: int
) -> dict[str, Callable[[], bytes]]:  # fmt: skip
    """The weights of the step that is shown as a table, those of every step as arrays."""
    slug = f"{figure_footer.safe(trace.key.model)}-{site}-head{head}"
    here = at_step(found, step).trace

    def csv() -> bytes:
        from viz.base import tokens

        names = tokens.query_names(here, site), here.tokens(site.key_side)
        return export.head_csv(here.record(site), head, *names)

    def npz() -> bytes:
        record = here.record(site)
        every = np.stack([run.trace.record(site).weights(head).numpy() for run in found])
        return export.head_npz(record, head, every=every, steps=np.array([run.step for run in found]))

    return {f"{slug}-step{step}.csv": csv, f"{slug}-step{step}.npz": npz}


def _static(
    trace: Trace, site: Site, head: int, at: tuple[int, int], end: float, step: int
) -> Callable[[], alt.Chart | alt.LayerChart] | None:  # fmt: skip
    shown = axes.axes(trace, site, at)  # with what this step writes
    if max(len(axis.labels) for axis in shown) > export.LARGEST:
        return None

    def draw() -> alt.Chart | alt.LayerChart:
        from viz.base import static_chart

        values, allowed = head_matrix.cells(trace.record(site), head, shown)
        rows, columns = ([label["text"] for label in axis.labels] for axis in shown)
        told = head_matrix.header(trace, site, shown, None, _words())
        titles = (told["row_title"], told["column_title"], say("matrix.legend"))
        chart = static_chart.heat_map(values, rows, columns, 0.0, end, allowed, titles)
        step_name = say("matrix.step", step=f"{step:,}")
        return chart.properties(title=f"{site_name(site)} · {say('site.head', head=head)} · {step_name}")

    return draw
