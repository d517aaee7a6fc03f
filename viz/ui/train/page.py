"""The page Train: a training is begun here, or watched, by its folder alone, while a process of its own makes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from viz.ui.language import say
from viz.ui.shared.widgets import parts
from viz.ui.state import jobs, view
from viz.ui.train import allowed, form, listed, watch

if TYPE_CHECKING:
    from model.lab.runs import Status

NEW, RUN = PARTS = ("new", "run")
_COMMAND = "python -m model train copy --steps 200 --seed 0 --out copy"


def show() -> str:
    """The page; -> which part is open."""
    for kind, box in (("complaint", st.error), ("notice", st.warning), ("done", st.success)):
        if told := st.session_state.pop(kind, None):
            box(told)
    if not allowed.may_train():
        st.info(say("train.confined"), icon=":material/info:")
        st.code(_COMMAND, language="bash")
        return NEW
    jobs.run(("train-import",), _imported, say("train.opening"))
    found = allowed.runs()
    on_way = any(not one.is_over for one in found)
    part = parts("train", say("train.parts"), PARTS, RUN if on_way else NEW, lambda one: say(f"train.part_{one}"))
    if part == RUN:
        _watched(found)
    else:
        form.show()
    listed.show(found)
    return part


def _imported() -> None:
    """What the page asks for, torch among it: at the first visit after the server's start this takes seconds."""
    import model.training.options
    import model.training.tasks.registry  # noqa: F401


def _watched(found: Sequence[Status]) -> None:
    """The run of the link, else the newest that is on its way, else the newest."""
    asked = view.tab("train_run")
    named = [one for one in found if allowed.identity(one.folder) == asked]
    chosen = named or [one for one in found if not one.is_over] or found
    if asked and not named:
        st.warning(say("train.lost"))
    if not chosen:
        st.info(say("train.none"), icon=":material/info:")
        st.code(_COMMAND, language="bash")
        return
    # A run that ends is still watched, here and where the link is opened.
    view.note_tab("train", RUN)
    view.note_tab("train_run", allowed.identity(chosen[0].folder))
    watch.show(chosen[0])
