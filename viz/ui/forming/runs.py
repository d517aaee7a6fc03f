"""The runs of this session's text at every step of a history: made ahead in a job, kept within the memory budget."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.checkpoints.disk.files import siblings
from model.checkpoints.disk.shipped import shipped
from model.checkpoints.history import history
from model.errors import DamagedCheckpoint, HeadlightError, NoHistory, Stopped
from model.jobs.progress import tick
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import current_run, jobs, memory_budget, model_cache, model_list, view

if TYPE_CHECKING:
    from model.forming.over_steps import StepRun
    from model.trace.trace import Trace

_STOPPED = "forming-stopped"
_SAID = 3  # damaged steps that are named
MOST = 60  # steps of a history that are looked at, evenly chosen among more


def steps_of(name: str) -> list[int]:
    """The steps of a model's history, at most `MOST`, first and last among them; none where it has no history."""
    try:
        every = history(name, confined=model_list.confined())
    except (NoHistory, HeadlightError):
        return []
    wanted = {round(i * (len(every) - 1) / (MOST - 1)) for i in range(MOST)} if len(every) > MOST else range(len(every))
    return [every[i] for i in sorted(wanted)]


def step_of(name: str, steps: list[int]) -> int:
    """The step of the model at hand: of one checkpoint of a training by its name, else the last."""
    number = Path(name).name.rpartition("-")[2]
    own = int(number) if number.isdecimal() and siblings(Path(name)) else steps[-1]
    return own if own in steps else steps[-1]


def shipped_histories() -> list[str]:
    """The names of the models that ship with their history."""
    return [name for name in shipped() if name != view.current().model and steps_of(name)]


def recorded(trace: Trace, steps: list[int]) -> list[StepRun] | None:
    """The run of every step, with progress and Stop; None where it was stopped or failed, which is said.

    An encoder–decoder reads at every step what the model at hand wrote, else the runs would be of other tokens.
    """
    from model.forming.over_steps import written_ids

    now = current_run.shown_view()  # what cannot be read has been said, and the run before it is shown
    ids = written_ids(trace) if model_list.is_ours(now.model) and not now.target else None
    asked = replace(now, new=0)
    how = tuple((name, value) for name, value in asdict(asked).items() if name in view.RUN and name != "model")
    key = (now.model, model_list.changed(now.model), tuple(steps), how, ids)
    if st.session_state.get(_STOPPED) == key and not jobs.has_result("forming", "runs", key):
        _stopped()
        return None
    try:
        found, left_out = jobs.cached(
            "forming", "runs", key, lambda: _all(now.model, steps, how, ids), say("forming.waiting", n=len(steps))
        )
        for step, error in left_out[:_SAID]:
            st.warning(
                say("forming.left_out", step=f"{step:,}", reason=language.explain(error)), icon=":material/error:"
            )
        return found
    except Stopped:
        st.session_state[_STOPPED] = key
        _stopped()
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
    return None


def _stopped() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(say("forming.stopped"), icon=":material/stop_circle:", width="stretch")
        st.button(say("note.run"), key="forming-again", on_click=lambda: st.session_state.pop(_STOPPED, None))


def _all(
    name: str, steps: list[int], how: tuple[tuple[str, Any], ...], ids: tuple[int, ...] | None
) -> tuple[list[StepRun], list[tuple[int, DamagedCheckpoint]]]:
    """Those that were made before a Stop are there already. A step whose file is damaged is left out, with what is wrong with it.

    Raises DamagedCheckpoint where fewer than two steps are left.
    """
    found, left_out = [], []
    for done, step in enumerate(steps):
        tick("steps", done / len(steps))
        try:
            found.append(_one(name, step, how, ids))
        except DamagedCheckpoint as error:
            left_out.append((step, error))
    if len(found) < 2 and left_out:
        raise left_out[0][1]
    return found, left_out


def _one(name: str, step: int, how: tuple[tuple[str, Any], ...], ids: tuple[int, ...] | None) -> StepRun:
    from model import open_model
    from model.forming.over_steps import StepRun, step_run

    def make() -> StepRun:
        model = open_model(name, step=step, confined=model_list.confined())
        return step_run(step, model_cache.record(name, how, checked=False, model=model, target_ids=ids))

    key = (name, model_list.changed(name), step, how, ids)
    return memory_budget.shared().get("runs", ("step", *key), make, StepRun.held_bytes)
