"""A file picker: the folders where models are looked for, walked down to what opens. On one's own computer only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from model.checkpoints.convert import path_kind
from model.checkpoints.disk import discovery
from model.checkpoints.disk.files import newest
from viz.base.numbers import size
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import model_list, page_controls

_FOLDER = "models-folder"  # where this session's picker stands; no link carries it
_FILES = (".gguf", ".safetensors", ".pt", ".bin")
_MOST = 100  # entries of a folder that are looked at


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    inside: folders that may be entered. opens: (what `open_model` or `Trace.open` takes, "model" or "trace"), the folder
    itself first where it opens. outside: how many links lead out of the folders that may be walked. more: entries beyond
    those that were looked at.
    """

    inside: tuple[Path, ...]
    opens: tuple[tuple[Path, str], ...]
    outside: int
    more: int


def roots() -> list[Path]:
    """The folders that may be walked: those of HEADLIGHT_MODELS and the local cache of model hubs, as far as they are there."""
    found: dict[Path, Path] = {}
    for place in (*discovery.configured(), discovery.hub_folder()):
        try:
            if place.is_dir():
                found.setdefault(place.resolve(), place)
        except (OSError, RuntimeError):
            continue
    return list(found.values())


def _within(path: Path) -> Path | None:
    """The root that a path lies in, links followed, or None."""
    try:
        real = path.resolve()
        return next((root for root in roots() if real.is_relative_to(root.resolve())), None)
    except (OSError, RuntimeError, ValueError):
        return None


@st.cache_resource(ttl=20, max_entries=64, show_spinner=False)
def listing(folder: Path) -> Listing:
    """What lies in a folder below a root, by name; hidden entries are left out. Raises OSError."""
    visible = sorted(
        (path for path in folder.iterdir() if not path.name.startswith(".") and _sayable(path)),
        key=lambda path: path.name.lower(),
    )
    inside, opens, outside = [], [], 0
    for path in [folder, *visible[:_MOST]]:
        if path != folder and _within(path) is None:
            outside += path.is_symlink() and path.exists()
        elif path.is_dir() or (path.is_file() and path.suffix in _FILES):
            kind = path_kind.kind_at(path)
            if kind and not discovery.allowed(path):  # a link in it leads outside
                outside += 1
            elif kind:
                opens.append((path, kind))
                if path.is_dir() and path != folder and newest(path) != path:  # a training: each of its steps opens too
                    inside.append(path)
            elif path.is_dir() and path != folder:
                inside.append(path)
    return Listing(tuple(inside), tuple(opens), outside, max(0, len(visible) - _MOST))


def _sayable(path: Path) -> bool:
    """Whether a name is text in some alphabet, as a button's label has to be."""
    return path.name.isprintable()


def show(choose: Callable[[str], None]) -> None:
    """A switch, and behind it the folders; `choose(path)` opens what was picked. Served to others, nothing."""
    if model_list.confined() or not st.toggle(say("models.browse"), **page_controls.switch("models-browse")):
        return
    places = roots()
    if not places:
        st.caption(say("models.browse_none"))
        return
    folder = Path(st.session_state.get(_FOLDER, places[0]))
    root = _within(folder)
    if root is None or not folder.is_dir():
        folder = root = places[0]
    with st.container(border=True, key="models-folders"):
        _way(places, root, folder)
        try:
            found = listing(folder)
        except OSError:
            st.caption(say("models.browse_closed"))
            return
        _folders(found)
        for i, (path, kind) in enumerate(found.opens):
            _row(i, path, kind, choose)
        if not found.inside and not found.opens:
            st.caption(say("models.browse_empty"))
        if found.outside:
            st.caption(say("models.browse_outside", n=found.outside))
        if found.more:
            st.caption(say("models.browse_more", n=found.more))


def _enter(folder: Path) -> None:
    st.session_state[_FOLDER] = str(folder)


def _way(places: list[Path], root: Path, folder: Path) -> None:
    """The roots, and the folders from one of them to where one stands; each is a button that leads there."""
    try:
        below = folder.resolve().relative_to(root.resolve()).parts
    except (OSError, ValueError):
        below = ()
    with st.container(horizontal=True, gap="small", key="models-way"):
        for i, place in enumerate(places):
            st.button(
                language.plain(place), key=f"models-root-{i}", icon=":material/home_storage:", type="tertiary",
                on_click=_enter, args=(place,), disabled=place == folder,
            )  # fmt: skip
            if place == root:
                for depth, name in enumerate(below):
                    here = root.joinpath(*below[: depth + 1])
                    st.button(
                        f"▸ {language.plain(name)}", key=f"models-way-{depth}", type="tertiary", on_click=_enter,
                        args=(here,), disabled=depth == len(below) - 1,
                    )  # fmt: skip


def _folders(found: Listing) -> None:
    with st.container(horizontal=True, gap="small", key="models-inside"):
        for i, path in enumerate(found.inside):
            st.button(
                language.plain(path.name), key=f"models-enter-{i}", icon=":material/folder:", on_click=_enter,
                args=(path,),
            )  # fmt: skip


def _row(i: int, path: Path, kind: str, choose: Callable[[str], None]) -> None:
    """What opens: its name, what opening it takes, and the button; or why it would not."""
    refused = path_kind.refusal(path) if kind == "model" else None
    words, cost, button = st.columns([5, 3, 2], vertical_alignment="center")
    words.markdown(f"**{language.plain(path.name)}**")
    if refused is not None:
        cost.caption(language.explain(refused))
        return
    told = say("kind.trace") + f" · {size(path.stat().st_size)}" if kind == "trace" else _about(path)
    cost.caption(told)
    button.button(say("models.open"), key=f"models-pick-{i}", on_click=choose, args=(str(path),))


def _about(path: Path) -> str:
    return model_list.about(path_kind.weights(path))
