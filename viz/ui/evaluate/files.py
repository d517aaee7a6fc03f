"""Which file is evaluated: sentences of our own grammar, a path of one's own, or one that was handed in; and its check."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import DataFileRefused, HeadlightError, NotAllowed
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared.widgets import mirror
from viz.ui.state import jobs, model_list, page_controls, view

if TYPE_CHECKING:
    from model.data_files.check import Report
    from model.data_files.read import DataFile

SAMPLE, HANDED_IN, TYPED = SOURCES = ("sample", "upload", "path")
_SENTENCES = 300
_UPLOAD = 20  # MB
_GIVEN, _PATH, _UPLOADED = "evaluate-given", "evaluate-path", "evaluate-upload"
_NUMBERED = 6  # line numbers that the page names of each kind


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
    asked = view.tab("evaluate_from")
    return asked if asked in SOURCES else SAMPLE


def picker() -> None:
    """Where the file is from, and the field for it."""
    key = mirror("evaluate-from", source())

    def moved() -> None:
        view.open_tab("evaluate_from", st.session_state[key])

    st.segmented_control(
        say("evaluate.from"), SOURCES, format_func=lambda one: say(f"evaluate.from_{one}"), key=key, required=True,
        on_change=moved,
    )  # fmt: skip
    if source() == TYPED:
        st.text_input(say("evaluate.path"), key=_PATH, placeholder="/data/pairs.tsv", width=420)
    elif source() == HANDED_IN:
        st.file_uploader(
            say("evaluate.upload"), key=_UPLOADED, max_upload_size=_UPLOAD, on_change=_handed_in,
            type=["tsv", "csv", "jsonl", "parquet", "txt", "json", "ndjson", "tab"],
        )  # fmt: skip


def _handed_in() -> None:
    file = st.session_state[_UPLOADED]
    # The session keeps it, because its field forgets it on another page.
    st.session_state[_GIVEN] = None if file is None else (file.name, file.getvalue())


def opened(model: Any) -> Chosen | None:
    """The chosen file with its check, None where there is none yet; what is wrong with it is one sentence."""
    try:
        place = _place(model)
        if place is None:
            return None
        given, name, changed = place
        what = hashlib.sha256(given).hexdigest() if isinstance(given, bytes) else str(given)
        key = (what, name, changed)
        found = jobs.cached("evaluate", "check", key, lambda: _checked(*place), say("evaluate.checking"))
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None
    return Chosen(found.file, found, _choices(found))


def _place(model: Any) -> tuple[Any, str, float] | None:
    """(path or bytes, name, when it was changed)."""
    if source() == SAMPLE:
        text, name = sample(model)
        return (text.encode(), name, 0.0) if text else None
    if source() == HANDED_IN:
        given = st.session_state.get(_GIVEN)
        return None if given is None else (given[1], given[0], 0.0)
    typed = st.session_state.get(_PATH, "").strip().strip('"')
    if not typed:
        return None
    place = model_list.place(typed)
    if place is None:
        raise (
            NotAllowed(path=typed)
            if model_list.confined()
            else DataFileRefused(path=typed, reason="there is no such file")
        )
    return place, place.name, place.stat().st_mtime if place.is_file() else 0.0


def sample(model: Any) -> tuple[str, str]:
    """(sentences of our grammar that no shipped model was trained on, as a file for this model, its name); ("", "") where the
    model reads something else than English."""
    from model.training.tasks.registry import held_out

    ours = model_list.is_ours(view.current().model)
    if ours and not {"zh", "fr"} & set(getattr(model, "starts", ())):
        return "", ""
    to = view.current().to if ours and view.current().to in ("zh", "fr") else "fr"
    pairs = [(" ".join(one.source), " ".join(one.target)) for one in held_out("translate", to, _SENTENCES)]
    if ours or getattr(model, "task", "") == "seq2seq":
        return "".join(f"{source}\t{target}\n" for source, target in pairs), f"grammar-{to}.tsv"
    return "".join(f"{source}\n" for source, _ in pairs), "grammar-en.txt"


def _checked(place: Any, name: str, _changed: float) -> Report:
    from model.data_files.check import check
    from model.data_files.read import DataFile

    return check(DataFile.open(place, name), shares=(1.0, 0.0, 0.0))


def _choices(report: Report) -> dict[str, str]:
    """What is odd in the file, each with line numbers and a choice; -> what was chosen."""
    if not report.findings:
        return {}
    chosen: dict[str, str] = {}
    with st.expander(say("evaluate.odd", n=f"{sum(one.count for one in report.findings.values()):,}")):
        for kind, one in report.findings.items():
            left, right = st.columns([5, 2], vertical_alignment="center")
            named = ", ".join(map(str, one.lines[:_NUMBERED])) + (" …" if one.count > _NUMBERED else "")
            values = {name: value if isinstance(value, str) else str(value) for name, value in one.values.items()}
            said = say(f"evaluate.odd_{kind}", **({"n": f"{one.count:,}"} | values))
            left.markdown(f"{said} {say('evaluate.lines', lines=named)}")
            if len(one.choices) > 1:
                key = f"evaluate-choice-{kind}"
                chosen[kind] = right.selectbox(
                    say("evaluate.choice"), one.choices, format_func=lambda c: say(f"evaluate.do_{c}"),
                    label_visibility="collapsed",
                    **page_controls.among(key, one.choices[0], one.choices),
                )  # fmt: skip
    return chosen
