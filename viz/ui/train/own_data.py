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
from viz.ui.state import jobs, page_controls

if TYPE_CHECKING:
    from model.data_files.check import Report
    from model.training.tasks.task import Task

_PAGE, SOURCES = "train", (TYPED, HANDED_IN)
LINES, RUNNING = "lines", "running"
OVERLAPS = ("none", "half")
_FEW = 50  # examples to train on; with fewer a model has little but them to learn


def picker() -> Place | None:
    """The controls, and the file that was chosen with them; what is wrong with it is one sentence."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        own_file.picker(_PAGE, SOURCES)
    try:
        return own_file.place(_PAGE, SOURCES)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None


def report(place: Place, task: Task, sizes: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is odd in the file, with line numbers and a choice each, and how a running text is cut -> the options that were chosen
    of it; None for a file that is refused or leaves too little to train on."""
    vocabulary = chosen.get("vocabulary", task.kind)
    # As the tasks read it: a pair has to fit with its start and end, a text is cut into as many pieces as it takes.
    room = sizes["max_length"] - 2 if task.shape == "pairs" else None
    try:
        cut = {} if task.shape == "pairs" else _cut(place, vocabulary, sizes["max_length"])
        key = (*place.key, task.shape == "pairs", vocabulary, room, cut.get("piece", 0))

        def check() -> Report:
            from model.training.tasks.own_files import report_of

            return report_of(place.given, task.shape == "pairs", vocabulary, room, place.name, cut.get("piece", 0))

        found = jobs.cached("train", "check", key, check, say("evaluate.checking"))
        choices = own_file.choices(_PAGE, found)
        _counted(found, key, choices)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None
    return cut | ({"choices": choices} if choices else {})


def _counted(found: Report, key: tuple[Any, ...], choices: dict[str, str]) -> None:
    """How many lines each part takes of what the choices leave. Raises TooFewLines or NothingLeft."""

    def parts() -> tuple[dict[str, int], int]:
        from model.training.tasks.own_files import parts_of

        made = parts_of(found, choices)
        return dict(made.counts), made.kept

    counts, kept = jobs.cached("train", "parts", (*key, *sorted(choices.items())), parts, say("evaluate.checking"))
    train, validation, test = (f"{counts[part]:,}" for part in ("train", "validation", "test"))
    values = {
        "n": f"{found.rows:,}",
        "out": f"{found.rows - kept:,}",
        "train": train,
        "validation": validation,
        "test": test,
    }
    st.caption(say("train.pieces", **values) if found.file.piece else say("train.lines", **values))
    if counts["train"] < _FEW:
        st.info(say("train.few", n=train), icon=":material/info:")


def _cut(place: Place, vocabulary: str, max_length: int) -> dict[str, Any]:
    """Whether each line is an example, or the file a running text: offered as the file looks, said why, chosen by a person.

    Raises DataFileRefused.
    """

    def look() -> str:
        from model.data_files.read import DataFile
        from model.data_files.running import running

        return running(DataFile.open(place.given, place.name, parallel=False))

    looks = jobs.cached("train", "running", place.key, look, say("evaluate.checking"))
    first = RUNNING if looks else LINES
    what = "-".join(place.key[:2])[:40]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.segmented_control(
            say("train.examples"), (LINES, RUNNING), format_func=lambda one: say(f"train.examples_{one}"), required=True,
            **page_controls.among(f"train-examples@{what}", first, (LINES, RUNNING)),
        )  # fmt: skip
        if chosen == LINES:
            return {}
        overlap = st.selectbox(
            say("train.overlap"), OVERLAPS, format_func=lambda one: say(f"train.overlap_{one}"), width=230,
            **page_controls.among("train-overlap", OVERLAPS[0], OVERLAPS),
        )  # fmt: skip
    if looks:
        st.caption(say("train.looks_long") if looks == "long" else say("train.looks_wrapped"))
    from model.training.tasks.own_text import piece_of

    return {"piece": piece_of(vocabulary, max_length)} | ({"overlap": 0.5} if overlap == OVERLAPS[1] else {})


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
