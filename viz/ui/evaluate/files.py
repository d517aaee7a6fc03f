"""Which file is evaluated: sentences of our own grammar, a path of one's own, or one that was handed in; and its check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import own_file
from viz.ui.shared.own_file import HANDED_IN, SAMPLE, TYPED, Place
from viz.ui.state import jobs, model_list, view

if TYPE_CHECKING:
    from model.data_files.check import Report
    from model.data_files.read import DataFile

_PAGE, SOURCES = "evaluate", (SAMPLE, HANDED_IN, TYPED)
_SENTENCES = 300


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
    return Chosen(found.file, found, own_file.choices(_PAGE, found))


def _place(model: Any) -> Place | None:
    if source() != SAMPLE:
        return own_file.place(_PAGE, SOURCES)
    text, name = sample(model)
    return Place(text.encode(), name) if text else None


def _reads(model: Any, text: str) -> bool:
    try:
        model.read(text)
    except HeadlightError:
        return False
    return True


def sample(model: Any) -> tuple[str, str]:
    """(sentences of our grammar that no shipped model was trained on, as a file for this model, its name); ("", "") where the
    model reads something else than English."""
    from model.training.tasks.registry import held_out

    ours = model_list.is_ours(view.current().model)
    if ours and not {"zh", "fr"} & set(getattr(model, "starts", ())):
        return "", ""
    to = view.current().to if ours and view.current().to in ("zh", "fr") else "fr"
    pairs = [(" ".join(one.source), " ".join(one.target)) for one in held_out("translate", to, _SENTENCES)]
    if ours and not _reads(model, pairs[0][0]):
        return "", ""
    if ours or getattr(model, "task", "") == "seq2seq":
        return "".join(f"{source}\t{target}\n" for source, target in pairs), f"grammar-{to}.tsv"
    return "".join(f"{source}\n" for source, _ in pairs), "grammar-en.txt"


def _checked(place: Place) -> Report:
    from model.data_files.check import check
    from model.data_files.read import DataFile

    return check(DataFile.open(place.given, place.name), shares=(1.0, 0.0, 0.0))
