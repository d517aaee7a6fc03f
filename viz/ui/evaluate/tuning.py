"""Fine-tune a little: a few steps on lines that one types, what changes in losses, outputs and heads, and the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.base import export, numbers
from viz.ui import language
from viz.ui.evaluate import files
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.state import jobs, model_list, page_controls, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.fine_tune.fine_tune import FineTuned

_RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3]
_LINES, _SAMPLED, _HEADS = "tune-lines", 4, 8
_FOUND, _FOUND_FOR = "tuned", "tuned-for"


def show(model: Any) -> None:
    page_text.heading("evaluate.tune")
    name = view.current().model
    key = f"{_LINES}@{name}"
    if key not in st.session_state:
        st.session_state[key] = "".join(files.sample(model)[0].splitlines(keepends=True)[:_SAMPLED])
    text = st.text_area(say("evaluate.tune_lines"), key=key, height=140)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        steps = st.slider(say("evaluate.steps"), 1, 100, width=260, **page_controls.between("tune-steps", 20, 1, 100))
        rate = st.select_slider(
            say("output.rate"), _RATES, format_func=lambda r: f"{r:.0e}", width=260,
            **page_controls.among("tune-rate", 1e-4, _RATES),
        )  # fmt: skip
        pressed = st.button(say("evaluate.tune_go"), key="tune-go", type="primary")
    asked = (name, model_list.changed(name), text, steps, rate, view.current().to)
    if pressed:
        st.session_state[_FOUND] = None  # the copy before goes first
        st.session_state[_FOUND] = _tuned(model, text, int(steps), float(rate), asked)
        st.session_state[_FOUND_FOR] = asked
    found = st.session_state.get(_FOUND) if st.session_state.get(_FOUND_FOR) == asked else None
    if found is not None:
        _losses(found)
        _outputs(found)
        _heads(found)
        _save(found)


def _tuned(model: Any, text: str, steps: int, rate: float, asked: tuple[Any, ...]) -> FineTuned | None:
    from model.data_files.read import DataFile
    from model.fine_tune.fine_tune import fine_tune

    to = view.current().to
    wanted = to if model_list.is_ours(asked[0]) and to in (getattr(model, "starts", None) or ()) else None

    def work() -> FineTuned:
        lines = [line for line in DataFile.open(text.encode(), "examples") if line.source]
        return fine_tune(model, lines, steps=steps, learning_rate=rate, language=wanted)

    try:
        return jobs.run(("tune", *asked), work, say("evaluate.tuning"), pressed=True)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None


def _losses(found: FineTuned) -> None:
    columns = st.columns(3)
    columns[0].metric(say("output.loss_before"), numbers.short(found.before.loss, 5))
    # Streamlit takes a change for a fall only where its sign is the keyboard's.
    change = numbers.short(found.after.loss - found.before.loss).replace("−", "-")
    columns[1].metric(say("output.loss_after"), numbers.short(found.after.loss, 5), delta=change, delta_color="inverse")
    columns[2].metric(say("evaluate.perplexity"), numbers.short(found.after.perplexity, 4))

    def csv() -> bytes:
        import pandas as pd

        return export.table_csv(pd.DataFrame({"step": range(1, len(found.losses) + 1), "loss": found.losses}))

    from viz.training_curve import step_losses

    words = {"step": say("evaluate.step"), "loss": say("evaluate.loss")}
    st.altair_chart(step_losses(found.losses, words, theme()), width="stretch", key="tune-losses")
    slug = figure_footer.safe(found.model.name)
    from model.fine_tune.fine_tune import fine_tune

    sentence = say("evaluate.tune_sentence", n=found.before.examples, tokens=f"{found.before.tokens:,}")
    figure_footer.draw(
        "tune-loss", sentence, None, lambda: {f"{slug}-losses.csv": csv},
        lambda: step_losses(found.losses, words).properties(width=700), (fine_tune,),
    )  # fmt: skip


def _outputs(found: FineTuned) -> None:
    if not found.outputs:
        return
    page_text.heading("evaluate.outputs", what="", small=True)
    st.dataframe(
        {say("evaluate.given"): [one.given for one in found.outputs],
         say("evaluate.before"): [one.before for one in found.outputs],
         say("evaluate.after"): [one.after for one in found.outputs]},
        hide_index=True, width="stretch",
    )  # fmt: skip


def _heads(found: FineTuned) -> None:
    page_text.heading("evaluate.heads", small=True)
    shown = found.changes[:_HEADS]
    st.dataframe(
        {say("corpus.where"): [site_name(str(one.site)) for one in shown], say("corpus.head"): [one.head for one in shown],
         say("evaluate.divergence"): [numbers.short(one.mean) for one in shown]},
        hide_index=True, width=520,
    )  # fmt: skip


def _save(found: FineTuned) -> None:
    """A folder of one's own; where the app is served to others, none is written."""
    if model_list.confined():
        st.caption(say("evaluate.save_here_only"))
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        folder = st.text_input(say("evaluate.folder"), key="tune-folder", placeholder="~/models/tuned", width=420)
        if not st.button(say("evaluate.save"), key="tune-save", disabled=not folder.strip()):
            return
    from model.fine_tune.save import save

    try:
        path = save(found, folder.strip())
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return
    model_list.found.clear()
    st.success(say("evaluate.saved", path=language.plain(str(path))))
