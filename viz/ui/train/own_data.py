"""Text of one's own to train on: where it is from, what its check finds, and where a file that was handed in is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError, TrainingNotWritten
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import own_file
from viz.ui.shared.own_file import HANDED_IN, TYPED, Place
from viz.ui.state import jobs

if TYPE_CHECKING:
    from model.data_files.check import Report
    from model.training.tasks.task import Task

_PAGE, SOURCES = "train", (TYPED, HANDED_IN)


def picker() -> Place | None:
    """The controls, and the file that was chosen with them; what is wrong with it is one sentence."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        own_file.picker(_PAGE, SOURCES)
    try:
        return own_file.place(_PAGE, SOURCES)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None


def report(
    place: Place, task: Task, sizes: Mapping[str, Any], chosen: Mapping[str, Any]
) -> dict[str, str] | None:  # fmt: skip
    """What is odd in the file, with line numbers and a choice each -> what was chosen; None for a file that is refused."""
    vocabulary = chosen.get("vocabulary", task.kind)
    # As the tasks read it: a pair has to fit with its start and end, a text is cut into as many pieces as it takes.
    room = sizes["max_length"] - 2 if task.shape == "pairs" else None

    def check() -> Report:
        from model.training.tasks.own_files import report_of

        return report_of(place.given, task.shape == "pairs", vocabulary, room, place.name)

    try:
        key = (*place.key, task.shape == "pairs", vocabulary, room)
        found = jobs.cached("train", "check", key, check, say("evaluate.checking"))
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None
    train, validation, test = (f"{found.parts[part]:,}" for part in ("train", "validation", "test"))
    st.caption(say("train.lines", n=f"{found.rows:,}", train=train, validation=validation, test=test))
    return own_file.choices(_PAGE, found)


def kept(place: Place) -> str:
    """The path of the file; one that was handed in is written into the lab's folder, where its training finds it again.

    Raises TrainingNotWritten.
    """
    from model.files.atomic import write_bytes
    from model.lab.queue import lab_folder
    from model.lab.uploads import DATA

    if not isinstance(place.given, bytes):
        return str(place.given)
    folder = lab_folder() / DATA / hashlib.sha256(place.given).hexdigest()[:16]
    path = folder / (_safe(place.name) or "text.txt")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, place.given)
    except OSError as error:
        raise TrainingNotWritten(path=folder, reason=(error.strerror or str(error)).lower(), step=0) from error
    return str(path)


def _safe(name: str) -> str:
    """A file's own name without what leads elsewhere."""
    return "".join(letter for letter in name if letter.isalnum() or letter in "._- ").lstrip(".")[-80:]
