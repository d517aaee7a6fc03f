"""Which profiles a person can open: found beside the models, a path of one's own, or a small file handed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from model.checkpoints.disk import discovery
from model.checkpoints.disk.shipped import SHIPPED
from model.errors import HeadlightError, NoProfile, NotAllowed, NotARegularFile
from model.files.regular import irregular
from model.profile.schema import FAILS, HOLDS, UNCHECKED
from viz.base import numbers
from viz.base.check_note import CheckNote, note
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import figure_footer
from viz.ui.shared.widgets import keep, mirror
from viz.ui.state import jobs, memory_budget, model_list, view

if TYPE_CHECKING:
    from model.profile.read import Profile

_DEPTH = 2
_UPLOAD = 20  # MB
HANDED_IN = "upload"


@dataclass(eq=False)
class _Given:
    """A file that was handed in: the session keeps it, because its field forgets it on another page."""

    name: str
    content: bytes
    profile: Profile | None = None

    def open(self) -> Profile:
        from model.profile.read import Profile

        return Profile.open(self.content, self.name)


class Found(NamedTuple):
    """A profile on this computer, and the language that its runs wrote, "" where the model has no choice."""

    path: Path
    language: str


@st.cache_resource(ttl=20, show_spinner=False)
def found() -> dict[str, Found]:
    """Name -> profile, of the shipped checkpoints and the folders of models, the shipped first."""
    from model.profile.read import language_of

    places: dict[str, Found] = {}
    for path in _files():
        name, number = f"{path.parent.name}/{path.stem}", 2
        while name in places:
            name, number = f"{path.parent.name}/{path.stem} ({number})", number + 1
        if (language := language_of(path)) is not None:
            places[name] = Found(path, language)
    return places


def _files() -> Iterator[Path]:
    for root in (SHIPPED, *discovery.configured()):
        for depth in range(_DEPTH + 1):
            try:
                paths = (path for path in root.glob("*/" * depth + "*.parquet") if path.is_file())
                yield from sorted(paths, key=lambda path: (path.parent, path.stem))
            except OSError:
                continue


def chosen() -> str:
    """The profile of the link; where it names none, one of the model that is looked at, in the language that it is to write
    where there is one; else the first."""
    now = view.current()
    if now.profile:
        return now.profile
    same = [name for name in found() if name.startswith(f"{now.model}/")]
    written = [name for name in same if found()[name].language == now.to]
    return next(iter([*written, *same, *found()]), "")


def picker() -> None:
    """The list, and behind a button a path or a file."""
    name = chosen()
    names = [*found(), *([name] if name and name not in found() else [])]
    key = mirror("profile", name or None)
    st.selectbox(
        say("corpus.profile"), names, format_func=_named, key=key, on_change=keep, args=("profile", key), width=320,
    )  # fmt: skip
    with st.popover(say("corpus.other"), width="content"):
        st.text_input(
            say("corpus.path"), key="corpus-path", placeholder=say("corpus.path_example"), on_change=_typed,
        )  # fmt: skip
        st.file_uploader(
            say("corpus.upload"), type="parquet", key="corpus-upload", max_upload_size=_UPLOAD, on_change=_handed_in,
        )  # fmt: skip


def _named(name: str) -> str:
    given = st.session_state.get("corpus-given")
    return say("corpus.handed_in") if name == HANDED_IN and given is None else given.name if name == HANDED_IN else name


def _typed() -> None:
    if path := st.session_state["corpus-path"].strip().strip('"'):
        view.change(profile=path)


def _handed_in() -> None:
    file = st.session_state["corpus-upload"]
    st.session_state["corpus-given"] = None if file is None else _Given(file.name, file.getvalue())
    view.change(profile="" if file is None else HANDED_IN)


def opened() -> Profile | None:
    """The chosen profile, None where there is none to open; what goes wrong is one sentence, and another is opened."""
    name = chosen()
    if not name:
        return None
    try:
        return _open(name)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
    others = [other for other in found() if other != name]
    if not others:
        return None
    try:
        other = _open(others[0])
    except HeadlightError:
        return None
    st.caption(say("corpus.instead", name=language.plain(others[0])))
    return other


def _open(name: str) -> Profile:
    if name == HANDED_IN:
        given = st.session_state.get("corpus-given")
        if given is None:
            raise NoProfile(path=say("corpus.handed_in"))
        if given.profile is None:
            given.profile = jobs.run(("profile", given.name), given.open, say("corpus.opening"))
        return given.profile
    known = found().get(name)
    place = known.path if known else model_list.place(name)
    if place is None:
        raise NotAllowed(path=name) if model_list.confined() else NoProfile(path=name)
    if kind := irregular(place):
        raise NotARegularFile(path=name, kind=kind)
    if not place.is_file():
        raise NoProfile(path=name)
    seen = place.stat()
    return jobs.run(
        ("profile", name, seen.st_mtime_ns), lambda: _kept(str(place), name, seen.st_mtime_ns, seen.st_size),
        say("corpus.opening"),
    )  # fmt: skip


def _kept(path: str, name: str, changed: int, size: int) -> Profile:
    from model.jobs.held_bytes import held_bytes
    from model.profile.read import Profile

    return memory_budget.shared().get(
        "profiles", (path, name, changed, size), lambda: Profile.open(Path(path), name), held_bytes
    )


def check(profile: Profile) -> CheckNote:
    """How well the runs check that the profile was measured on."""
    count = profile.check
    if count is None or not (count[HOLDS] or count[FAILS]):
        return figure_footer.verdict(None, False)
    error = numbers.short(profile.largest_error)
    if count[FAILS]:
        return note(
            say("corpus.check_fails", n=f"{count[FAILS]:,}", all=f"{sum(count.values()):,}", error=error), False
        )
    found = note(say("corpus.check_holds", n=f"{count[HOLDS]:,}", error=error), True)
    return found + note(say("corpus.check_not", n=f"{count[UNCHECKED]:,}")) if count[UNCHECKED] else found
