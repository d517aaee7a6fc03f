"""The page Evaluate: a model or several on a file, in numbers and example by example; and a few steps of fine-tuning."""

from __future__ import annotations

import shlex

import streamlit as st

from viz.ui.evaluate import asked_language, files, results, table, tuning, worst
from viz.ui.language import say
from viz.ui.models import lab_models
from viz.ui.shared.widgets import parts
from viz.ui.state import current_run, model_list, page_controls, view

_FIRST = (100, 1_000, 10_000, 100_000)
_PARTS = ("score", "tune")
_MOST_MODELS = 6


def show() -> str:
    """The page; -> which part is open."""
    if complaint := st.session_state.pop("complaint", None):
        st.error(complaint, icon=":material/error:")
    if note := st.session_state.pop("notice", None):
        st.warning(note)
    if model_list.is_trace(view.current().model):
        st.info(say("evaluate.a_trace"), icon=":material/info:")
        return _PARTS[0]
    model = current_run.model()
    part = parts("evaluate", say("evaluate.parts"), _PARTS, _PARTS[0], lambda one: say(f"evaluate.part_{one}"))
    if part == "tune":
        tuning.show(model)
    else:
        _score(model)
    return part


def _score(model: object) -> None:
    with st.container(key="evaluate-controls", gap="small"):
        files.picker()
        chosen = files.opened(model)
        if chosen is None:
            st.info(
                say("evaluate.no_sample" if files.source() == files.SAMPLE else "evaluate.none"), icon=":material/info:"
            )
            st.code(_command(model), language="bash")
            return
        if (note := files.note(model)) and files.source() == files.SAMPLE:
            st.caption(note)
        names, first, to, pressed = _asked(model)
    found = results.made(chosen, names, first, to, pressed, _at_once())
    if found is None:
        return
    table.show(found, names, results.asked(chosen, names, first, to))
    shown = 0
    if len(found) > 1:
        key = "evaluate-whose"
        shown = st.selectbox(
            say("evaluate.whose"), range(len(names)), format_func=lambda i: model_list.title(names[i]), width=320,
            **page_controls.among(key, 0, range(len(names))),
        )  # fmt: skip
    worst.show(found[shown], names[shown])


def _command(model: object) -> str:
    """What does the same for this model."""
    from model.evaluation.by_model import languages_of

    pairs = languages_of(model) or getattr(model, "task", "") == "seq2seq" or model_list.writes(view.current().model)
    file = "pairs.tsv" if pairs else "texts.txt"
    return f"python -m model evaluate --model {shlex.quote(view.current().model)} --data {file} --json scores.json"


def _asked(model: object) -> tuple[list[str], int, str | None, bool]:
    """(the models, how many examples at most, the language that was chosen, whether the button was pressed)."""
    now = view.current().model
    others = [
        name for name in (*model_list.found(), *lab_models.paths()) if name != now and not model_list.is_trace(name)
    ]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        more = st.multiselect(
            say("evaluate.others"), others, format_func=model_list.title, key="evaluate-others", width=360,
            max_selections=_MOST_MODELS - 1, placeholder=say("evaluate.choose"),
        )  # fmt: skip
        first = st.selectbox(
            say("evaluate.first"), _FIRST, format_func=lambda n: f"{n:,}", width=130,
            **page_controls.among("evaluate-first", _FIRST[1], _FIRST),
        )  # fmt: skip
        to = files.language_of(model) or asked_language.choice(model)
        pressed = st.button(say("evaluate.go"), key="evaluate-go", type="primary")
    return [now, *more], int(first), to, pressed


def _at_once() -> bool:
    """Whether the sample is scored without a press: short sentences by a small model of ours, once a session."""
    if files.source() != files.SAMPLE or not model_list.is_ours(view.current().model):
        return False
    return not st.session_state.get("evaluate-others")
