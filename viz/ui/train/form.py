"""What is trained, and how: the task, its steps and seed, a file of one's own, and what else can be chosen, folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import page_controls
from viz.ui.train import allowed, listed, more, own_data

if TYPE_CHECKING:
    from viz.ui.shared.own_file import Place

_TASK, _STEPS, _SEED = "train-task", "train-steps", "train-seed"
_FIRST = "copy"
_MOST_STEPS, _MOST_SEED = 1_000_000, 999_999


def show() -> None:
    """The controls; with the button a run begins, and the page goes over to watching it."""
    from model.training.options import options_of
    from model.training.tasks.registry import TASKS

    # One's own data first: they end a list of ten that is as long as the screen.
    names = (*(name for name in TASKS if TASKS[name].read), *(name for name in TASKS if not TASKS[name].read))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="train-controls"):
        name = st.selectbox(
            say("train.task"), names, format_func=_offered, width=360, **page_controls.among(_TASK, _FIRST, names),
        )  # fmt: skip
        task = TASKS[name]
        own = task.read is not None
        usual = options_of(name, data="-" if own else None)
        steps = _number(say("train.steps"), f"{_STEPS}@{name}", usual.steps, 1, _MOST_STEPS)
        seed = _number(say("train.seed"), _SEED, 0, 0, _MOST_SEED)
        button = None if own else st.container(width="content")
    about = [language.in_card(task.card[part]) for part in (("description",) if own else ("description", "data"))]
    st.caption(" ".join(about))
    place = own_data.picker() if own else None
    chosen, seeds = more.show(task, usual, steps)
    given = {"steps": steps, "seed": seed, **chosen}
    complaint = _refused(name, given, own)
    if complaint:
        st.error(complaint, icon=":material/error:")
    elif place is not None:
        checked = own_data.report(place, task, {**usual.sizes, **chosen}, chosen)
        place, given = (place, given | checked) if checked is not None else (None, given)
    # What the check of a file says stands above the button that goes on with it.
    (button or st.container(width="content")).button(
        say("train.start"), key="train-start", type="primary", on_click=_start, args=(name, given, seeds, place),
        disabled=bool(complaint) or (own and place is None),
    )  # fmt: skip


def _offered(name: str) -> str:
    """A task as the list has it: by what it does, and by its short name, which is what people type to find it."""
    return say("train.task_named", title=listed.title_of(name), name=name)


def _number(label: str, key: str, first: int, low: int, high: int) -> int:
    """A whole number to type."""
    return int(st.number_input(label, low, high, step=1, width=130, **page_controls.between(key, first, low, high)))


def _refused(name: str, given: dict[str, Any], own: bool) -> str:
    """Why these options do not go together, "" where they do."""
    from model.training.options import options_of

    try:
        options_of(name, data="-" if own else None, **given)
    except HeadlightError as error:
        return language.explain(error)
    return ""


def _start(name: str, given: dict[str, Any], seeds: int, place: Place | None) -> None:
    """Begin the run in a process of its own; what goes wrong is one sentence on the same page."""
    from model.lab import runs

    if not allowed.may_train():
        return
    page_controls.act()
    try:
        data = {} if place is None else {"data": own_data.kept(place)}
        folder = runs.start(name, given | data, seeds=seeds)
    except HeadlightError as error:
        st.session_state.complaint = language.explain(error)
        return
    allowed.watch(folder)
