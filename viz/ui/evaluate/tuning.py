"""Fine-tune a little: a few steps on lines that one types, what changes in losses, outputs and heads, and the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.base import export, numbers
from viz.ui import language
from viz.ui.evaluate import asked_language, sample
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.state import jobs, model_list, page_controls, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.fine_tune.fine_tune import FineTuned

_RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3]
_LINES, _SAMPLED, _HEADS = "tune-lines", 4, 8
_FOUND, _FOUND_FOR, _SAVED = "tuned", "tuned-for", "tuned-saved"


def show(model: Any) -> None:
    from model.fine_tune.fine_tune import usual

    page_text.heading("evaluate.tune")
    name = view.current().model
    key = f"{_LINES}@{name}"
    if key not in st.session_state:
        st.session_state[key] = "\n".join(_first(model))
    text = st.text_area(say("evaluate.tune_lines"), key=key, height=180)
    usual_steps, usual_rate = usual(model)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        steps = st.slider(
            say("evaluate.steps"), 1, 100, width=260, **page_controls.between("tune-steps", usual_steps, 1, 100)
        )
        rate = st.select_slider(
            say("output.rate"), _RATES, format_func=lambda r: f"{r:.0e}", width=260,
            **page_controls.among("tune-rate", usual_rate, _RATES),
        )  # fmt: skip
        to = asked_language.choice(model)
        pressed = st.button(say("evaluate.tune_go"), key="tune-go", type="primary")
    asked = (name, model_list.changed(name), text, steps, rate, to)
    if pressed:
        st.session_state[_FOUND] = None  # the copy before goes first
        st.session_state[_FOUND] = _tuned(model, text, int(steps), float(rate), to, asked)
        st.session_state[_FOUND_FOR] = asked
    found = st.session_state.get(_FOUND) if st.session_state.get(_FOUND_FOR) == asked else None
    if found is not None:
        _losses(found)
        _outputs(found)
        _heads(found)
        _save(found)


def _first(model: Any) -> list[str]:
    """What the field begins with: a few held-out examples, nothing where there are none."""
    try:
        return sample.lines(model, _SAMPLED)
    except HeadlightError:  # the page that scores them says why
        return []


def _tuned(
    model: Any, text: str, steps: int, rate: float, to: str | None, asked: tuple[Any, ...]
) -> FineTuned | None:  # fmt: skip
    from model.data_files.typed import typed_lines
    from model.fine_tune.fine_tune import fine_tune

    def work() -> FineTuned:
        return fine_tune(model, typed_lines(text), steps=steps, learning_rate=rate, language=to)

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

    vocabulary = found.before.about["vocabulary"]
    sentence = say("evaluate.tune_sentence", n=found.before.examples, tokens=f"{found.before.tokens:,}")
    sentence += " " + say("evaluate.guess", v=f"{vocabulary:,}", loss=numbers.short(found.before.guess, 4))
    figure_footer.draw(
        "tune-loss", sentence, None, lambda: {f"{slug}-losses.csv": csv},
        lambda: step_losses(found.losses, words).properties(width=700), (fine_tune,),
    )  # fmt: skip


def _outputs(found: FineTuned) -> None:
    if not found.outputs:
        return
    page_text.heading("evaluate.outputs", what="", small=True)
    names = ["given", "before", "after", *(["wanted"] if any(one.wanted for one in found.outputs) else [])]
    st.table(  # whose cells wrap: an answer is read to its end
        {say(f"evaluate.{name}"): [language.plain(getattr(one, name) or "") for one in found.outputs] for name in names},
        hide_index=True,
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
        pressed = st.button(say("evaluate.save"), key="tune-save", disabled=not folder.strip())
    if pressed:
        _write(found, folder.strip())
    told = st.session_state.get(_SAVED, (None, ""))
    if told[0] == st.session_state[_FOUND_FOR]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.success(say("evaluate.saved", path=language.plain(told[1])))
            st.button(
                say("evaluate.open"), key="tune-open", on_click=_opened, args=(told[1],), icon=":material/open_in_new:"
            )


def _opened(folder: str) -> None:
    view.change(model=folder)
    st.session_state.go_to = "heads"


def _write(found: FineTuned, folder: str) -> None:
    from model.fine_tune.save import save

    try:
        path = save(found, folder)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return
    model_list.found.clear()
    st.session_state[_SAVED] = (st.session_state[_FOUND_FOR], str(path))
