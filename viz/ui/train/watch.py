"""One run, watched while its own process makes it: its state and controls, the curves, and what it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.base import numbers
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import page_controls, view
from viz.ui.train import allowed, curves, listed

if TYPE_CHECKING:
    from model.lab.runs import Status

_SURE = 320  # px of the question before a run is deleted
_EVERY = 1.0  # seconds between two looks at the folder of a run that is on its way
_SHOWN = ("loss", "validation_loss", "perplexity", "accuracy", "exact_match", "bleu", "chrf")


def show(found: Status) -> None:
    """The run as it stands, with its buttons; a part of the page by itself follows it as long as it is on its way."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="train-run"):
        st.markdown(listed.named(found), width="stretch")
        _buttons(found)
    if not found.is_over:
        st.caption(say("train.pause_or_stop"))
    if found.error:
        st.error(language.explain_told(found.code, found.values, found.error), icon=":material/error:")
    part = st.fragment(run_every=None if found.is_over else _EVERY)(_followed)
    with st.container(key="train-followed"):  # its runs by itself have no sign of work (viz/ui/style.css)
        part(found.folder, (found.state, found.wanted))


def _buttons(found: Status) -> None:
    from model.lab import remove, runs
    from model.lab.files import GO

    asked = not found.is_over and found.wanted != GO and found.state != "paused"  # it is about to do it
    if found.state in ("running", "queued", "starting"):
        may = found.state == "running" and not asked
        _button("pause", found, runs.pause, ":material/pause:", not may)
    if found.can_resume:
        _button("resume", found, runs.resume, ":material/play_arrow:", False)
    if not found.is_over:
        _button("stop", found, runs.stop, ":material/stop:", asked)
    listed.open_button(found, "train-open", "primary" if found.is_over else "secondary")
    if found.is_over and remove.deletable(found.folder):
        with (
            # A key of the run's own: the question about another run is another popover, which nobody has opened.
            st.popover(
                say("train.delete"), icon=":material/delete:", key=f"train-delete-{allowed.identity(found.folder)}"
            ),
            st.container(width=_SURE),
        ):
            st.markdown(say("train.delete_sure", name=language.plain(found.folder.name)))
            _button("delete_now", found, _delete, ":material/delete_forever:", False)


def _delete(folder: Path) -> None:
    """The run, where this person may train; a model of it that is open is left."""
    from model.lab import remove

    if not allowed.may_train():
        return
    remove.delete(folder)
    st.session_state.done = say("train.deleted", name=language.plain(folder.name))
    if Path(view.current().model).is_relative_to(folder):
        view.change(model=view.View.model)
    view.open_tab("train_run", "")  # another run is no surprise then


def _button(name: str, found: Status, act: Callable[[Any], None], icon: str, disabled: bool) -> None:
    def pressed() -> None:
        page_controls.act()
        try:
            act(found.folder)
        except HeadlightError as error:
            st.session_state.complaint = language.explain(error)

    st.button(say(f"train.{name}"), key=f"train-{name}", icon=icon, on_click=pressed, disabled=disabled)


def _followed(folder: Path, shown: tuple[str, str]) -> None:
    """Once a second: the state anew, and the curves with what came in. Another state draws the page with its buttons anew."""
    from model.lab import runs

    try:
        found = runs.status(folder)
    except HeadlightError as error:  # the folder is gone
        st.error(language.explain(error), icon=":material/error:")
        return
    if (found.state, found.wanted) != shown:
        st.rerun()
    st.progress(min(1.0, found.step / max(1, found.steps)), text=progress(found))
    if told := _numbers(found):
        st.caption(told)
    curves.show(found)


def _numbers(found: Status) -> str:
    """The newest values of the log; of several seeds the one's that trains, in the end of all: mean, least, largest."""
    from model.training.run_files.curves import together

    name, _, seeds = listed.seed_of(found)
    if seeds == 1 or found.state != "finished":
        told = [f"{say(f'train.{name}')} {_said(name, found.last[name])}" for name in _SHOWN if name in found.last]
        return (f"{say('train.of_seed', name=name)} " if seeds > 1 and told else "") + " · ".join(told)
    told = []
    for quantity in _SHOWN:
        curve = together(curves.logs_of(found), quantity)
        if curve.steps and curve.low is not None and curve.high is not None:
            mean, low, high = (_said(quantity, values[-1]) for values in (curve.values, curve.low, curve.high))
            told.append(say("train.mean_range", what=say(f"train.{quantity}"), mean=mean, low=low, high=high))
    return f"{say('train.over_seeds', n=seeds)} {' · '.join(told)}" if told else ""


def _said(name: str, value: float) -> str:
    if name in ("accuracy", "exact_match"):
        return f"{100 * value:.1f} %"
    return f"{value:.1f}" if name in ("bleu", "chrf") else numbers.short(value)


def progress(found: Status) -> str:
    """How the run stands, in a line."""
    parts = [state(found), listed.steps_of(found)]
    if found.seconds_left is not None and found.state == "running":
        parts.append(say("train.left", time=_time(found.seconds_left)))
    return " · ".join(parts)


def state(found: Status) -> str:
    """The state in words: what was asked of a run that has not done it yet, and how many go first."""
    if (not found.is_over and found.wanted == "stop") or (found.state == "running" and found.wanted == "pause"):
        return say(f"train.state_to_{found.wanted}")
    if found.state == "queued" and found.place is not None:  # with nobody before it, it starts
        return say("train.state_queued_behind", n=found.place) if found.place else say("train.state_starting")
    return say(f"train.state_{found.state}")


def _time(seconds: float) -> str:
    whole = max(1, round(seconds))
    if whole < 60:
        return say("train.seconds", n=whole)
    if whole < 3600:
        return say("train.minutes", n=f"{whole // 60}:{whole % 60:02d}")
    return say("train.hours", n=f"{whole // 3600}:{whole % 3600 // 60:02d}")
