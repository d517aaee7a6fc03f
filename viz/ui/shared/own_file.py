"""A file of texts of one's own on a page: a path or one that was handed in, its check by line numbers, and what is chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from model.errors import DataFileRefused, NotAllowed
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared.widgets import mirror
from viz.ui.state import model_list, page_controls, view

if TYPE_CHECKING:
    from model.data_files.check import Report

SAMPLE, HANDED_IN, TYPED = "sample", "upload", "path"
_UPLOAD = 20  # MB
_NUMBERED = 6  # line numbers that the page names of each kind
_TYPES = ["tsv", "csv", "jsonl", "parquet", "txt", "json", "ndjson", "tab"]


class Place(NamedTuple):
    """A path, or the bytes that were handed in; how it is called; when it was changed."""

    given: Path | bytes
    name: str
    changed: float = 0.0

    @property
    def key(self) -> tuple[str, str, float]:
        """What tells it from others."""
        what = hashlib.sha256(self.given).hexdigest() if isinstance(self.given, bytes) else str(self.given)
        return what, self.name, self.changed


def source(page: str, sources: Sequence[str]) -> str:
    """Where the file of a page is from, by the link or a press."""
    asked = view.tab(f"{page}_from")
    return asked if asked in sources else sources[0]


def picker(page: str, sources: Sequence[str]) -> None:
    """Where the file is from, and the field for it."""
    key, now = mirror(f"{page}-from", source(page, sources)), source(page, sources)

    def moved() -> None:
        view.open_tab(f"{page}_from", st.session_state[key])

    st.segmented_control(
        say("evaluate.from"), sources, format_func=lambda one: say(f"evaluate.from_{one}"), key=key, required=True,
        on_change=moved,
    )  # fmt: skip
    if now == TYPED:
        key = f"{page}-path"
        st.session_state.setdefault(
            key, st.session_state.get(f"{page}-typed", "")
        )  # its field forgets it on another page
        st.session_state[f"{page}-typed"] = st.text_input(
            say("evaluate.path"), key=key, placeholder="/data/pairs.tsv", width=420
        )
    elif now == HANDED_IN:
        st.file_uploader(
            say("evaluate.upload"), key=f"{page}-upload", max_upload_size=_UPLOAD, on_change=_handed_in, args=(page,),
            type=_TYPES,
        )  # fmt: skip
        _in_use(page)


def _in_use(page: str) -> None:
    """The file that the session keeps, where its field has forgotten it: by name, with a way to let go of it."""
    given = st.session_state.get(f"{page}-given")
    if given is None or st.session_state.get(f"{page}-upload") is not None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        st.markdown(say("evaluate.in_use", name=language.plain(given[0])), width="content")
        st.button(
            say("evaluate.let_go"), key=f"{page}-let-go", icon=":material/close:", type="tertiary",
            on_click=lambda: st.session_state.pop(f"{page}-given", None),
        )  # fmt: skip


def _handed_in(page: str) -> None:
    file = st.session_state[f"{page}-upload"]
    # The session keeps it, because its field forgets it on another page.
    st.session_state[f"{page}-given"] = None if file is None else (file.name, file.getvalue())


def place(page: str, sources: Sequence[str]) -> Place | None:
    """The file that was chosen, None where none is yet. Raises NotAllowed or DataFileRefused."""
    if source(page, sources) == HANDED_IN:
        given = st.session_state.get(f"{page}-given")
        return None if given is None else Place(given[1], given[0])
    typed = st.session_state.get(f"{page}-path", "").strip().strip('"')
    if not typed:
        return None
    found = model_list.place(typed)
    if found is None:
        raise (
            NotAllowed(path=typed)
            if model_list.confined()
            else DataFileRefused(path=typed, reason="there is no such file")
        )
    return Place(found, found.name, found.stat().st_mtime if found.is_file() else 0.0)


def choices(page: str, report: Report) -> dict[str, str]:
    """Whether its first line was no text, and what is odd in it, each with line numbers and a choice; -> what was chosen."""
    if report.file.header:
        names = say("error.comma").join(f"`{language.plain(name)}`" for name in report.file.columns)
        st.caption(say("evaluate.header", names=names))
    if not report.findings:
        return {}
    chosen: dict[str, str] = {}
    with st.expander(
        expanded=True, label=say("evaluate.odd", n=f"{sum(one.count for one in report.findings.values()):,}")
    ):
        for kind, one in report.findings.items():
            left, right = st.columns([5, 2], vertical_alignment="center")
            named = ", ".join(map(str, one.lines[:_NUMBERED])) + (" …" if one.count > _NUMBERED else "")
            values = {name: value if isinstance(value, str) else str(value) for name, value in one.values.items()}
            said = say(f"evaluate.odd_{kind}", **({"n": f"{one.count:,}"} | values))
            left.markdown(f"{said} {say('evaluate.lines', lines=named)}")
            if len(one.choices) > 1:
                key = f"{page}-choice-{kind}"
                chosen[kind] = right.selectbox(
                    say("evaluate.choice"), one.choices, format_func=lambda c: say(f"evaluate.do_{c}"),
                    label_visibility="collapsed",
                    **page_controls.among(key, one.choices[0], one.choices),
                )  # fmt: skip
    return chosen
