"""Which file is evaluated: sentences of our own grammar, a path of one's own, or one that was handed in; and its check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.data_files.check import KEEP
from model.errors import HeadlightError
from viz.ui import language
from viz.ui.evaluate.sample import sample
from viz.ui.language import say
from viz.ui.shared import own_file
from viz.ui.shared.own_file import HANDED_IN, SAMPLE, TYPED, Place
from viz.ui.state import jobs

if TYPE_CHECKING:
    from model.data_files.check import Report
    from model.data_files.read import DataFile

_PAGE, SOURCES = "evaluate", (SAMPLE, HANDED_IN, TYPED)


@dataclass(frozen=True)
class Chosen:
    """A file and how its odd lines are treated. key: what it is, for whatever is kept of it."""

    file: DataFile
    report: Report
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.file.digest(), self.file.parallel, self.file.columns, *sorted(self.choices.items()))


def source() -> str:
    """Where the file is from, by the link or a press."""
    return own_file.source(_PAGE, SOURCES)


def picker() -> None:
    """Where the file is from, and the field for it."""
    own_file.picker(_PAGE, SOURCES)


def opened(model: Any) -> Chosen | None:
    """The chosen file with its check, None where there is none yet; what is wrong with it is one sentence."""
    try:
        place = _place(model)
        if place is None:
            return None
        found = jobs.cached("evaluate", "check", place.key, lambda: _checked(place), say("evaluate.checking"))
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None
    if source() == SAMPLE:  # as it is: the numbers of a card are over all of it
        return Chosen(found.file, found, dict.fromkeys(set(found.findings) & {"duplicate"}, KEEP))
    return Chosen(found.file, found, own_file.choices(_PAGE, found))


def _place(model: Any) -> Place | None:
    if source() != SAMPLE:
        return own_file.place(_PAGE, SOURCES)
    found = sample(model)
    return Place(found.text.encode(), found.name) if found is not None else None


def note(model: Any) -> str:
    """What is said of the held-out sentences, "" where nothing is."""
    try:
        found = sample(model)
    except HeadlightError:
        return ""
    return found.said if found is not None else ""


def language_of(model: Any) -> str | None:
    """The language of the held-out sentences, where the model can be asked for it."""
    from model.evaluation.by_model import languages_of

    found = sample(model) if source() == SAMPLE else None
    return found.language if found is not None and found.language in languages_of(model) else None


def _checked(place: Place) -> Report:
    from model.data_files.check import check
    from model.data_files.read import DataFile

    return check(DataFile.open(place.given, place.name), shares=(1.0, 0.0, 0.0))
