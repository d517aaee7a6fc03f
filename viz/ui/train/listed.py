"""Every run of the lab in a list: how each stands, with a button that shows it and one that opens its model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import page_text
from viz.ui.state import page_controls, view
from viz.ui.train import allowed

if TYPE_CHECKING:
    from pathlib import Path

    from model.lab.runs import Status

_LISTED = 12
_READY = ("paused", "stopped", "killed", "failed", "finished")


def show(found: Sequence[Status]) -> None:
    """The newest first."""
    if not found:
        return
    page_text.heading("train.runs", what="")
    with st.container(key="train-runs", gap="small"):
        for one in found[:_LISTED]:
            _row(one)
    if len(found) > _LISTED:
        st.caption(say("train.more_runs", n=len(found) - _LISTED))


def _row(one: Status) -> None:
    name = allowed.identity(one.folder)
    words, facts, first, second = st.columns([4, 5, 1.4, 1.6], vertical_alignment="center")
    words.markdown(named(one))
    parts = [say(f"train.state_{one.state}")]
    if one.is_over or one.state == "paused":  # else it is further by the time that it is read
        parts.append(steps_of(one))
    if len(parts) > 1 and "validation_loss" in one.last:
        parts.append(f"{say('train.validation_loss')} {numbers.short(one.last['validation_loss'])}")
    facts.caption(" · ".join(parts))
    first.button(say("train.show"), key=f"train-show-{name}", on_click=_shown, args=(one.folder,), type="tertiary")
    with second:
        open_button(one, f"train-open-{name}", "tertiary")


def named(one: Status) -> str:
    """A run in Markdown: what it learns, and its folder."""
    return f"**{language.plain(title_of(one.task))}** · `{one.folder.name}`"


def title_of(task: str) -> str:
    """What a task is called on the page."""
    from model.training.tasks.registry import TASKS

    return language.in_card(TASKS[task].card["title"]) if task in TASKS else task


def seed_of(one: Status) -> tuple[str, int, int]:
    """(the folder of the seed that trains or trained last, its number from 1, how many there are) of a run."""
    from model.training.seeds import folders_of

    parts = folders_of(one.folder)
    number = min(len(parts), 1 + max(0, one.step - 1) // max(1, one.steps // len(parts)))
    return parts[number - 1].name, number, len(parts)


def steps_of(one: Status) -> str:
    """How far a run is: of one from several seeds, how far its seed is."""
    name, number, seeds = seed_of(one)
    each = one.steps // seeds
    step = say("train.of_steps", step=f"{one.step - each * (number - 1):,}", steps=f"{each:,}")
    return step if seeds == 1 else say("train.of_seeds", name=name, n=number, of=seeds, step=step)


def open_button(one: Status, key: str, kind: str) -> None:
    """Opens the folder as a model of the app, where there are weights of a run that is not under way."""
    from model.training.run_files.folder import WEIGHTS
    from model.training.seeds import folders_of

    folder = folders_of(one.folder)[0]
    ready = one.state in _READY and (folder / WEIGHTS).is_file()
    st.button(
        say("train.open"), key=key, on_click=_opened, args=(folder,), type=kind, disabled=not ready,
        icon=":material/open_in_new:",
    )  # fmt: skip


def _shown(folder: Path) -> None:
    page_controls.act()
    allowed.watch(folder)


def _opened(folder: Path) -> None:
    view.change(model=str(folder))
    st.session_state.go_to = "overview"
