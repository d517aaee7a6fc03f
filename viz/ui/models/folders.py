"""A file picker: folders walked down to what opens, from the path that was typed or from home. On one's own computer only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from model.checkpoints.convert import lookup, path_kind
from model.checkpoints.disk import discovery
from model.checkpoints.disk.files import newest
from viz.base.numbers import size
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import model_list, page_controls

_FOLDER = "models-folder"  # where this session's picker stands; no link carries it
_MOST = 100  # entries of a folder that are looked at
_BELOW = 12  # checkpoints below a folder that are offered


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    inside: folders that may be entered. opens: (what `open_model` or `Trace.open` takes, "model" or "trace"), the folder
    itself first where it opens. more: entries beyond those that were looked at.
    """

    inside: tuple[Path, ...]
    opens: tuple[tuple[Path, str], ...]
    more: int


def roots() -> list[Path]:
    """Where a walk may begin: the folders of HEADLIGHT_MODELS, the local cache of model hubs and home, as far as they are
    there."""
    found: dict[Path, Path] = {}
    for place in (*discovery.configured(), discovery.hub_folder(), _home()):
        try:
            if place is not None and place.is_dir():
                found.setdefault(place.resolve(), place)
        except (OSError, RuntimeError):
            continue
    return list(found.values())


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # nobody's account
        return None


@st.cache_resource(ttl=20, max_entries=64, show_spinner=False)
def listing(folder: Path) -> Listing:
    """What lies in a folder, by name; hidden entries are left out. Raises OSError."""
    visible = lookup.visible(folder)
    inside, opens = [], []
    for path in [folder, *visible[:_MOST]]:
        if kind := lookup.opens(path):
            opens.append((path, kind))
            if path.is_dir() and path != folder and newest(path) != path:  # a training: each of its steps opens too
                inside.append(path)
        elif path != folder and path.is_dir():
            inside.append(path)
    return Listing(tuple(inside), tuple(opens), max(0, len(visible) - _MOST))


def follow(typed: str) -> None:
    """The picker stands in the nearest existing folder of a path that was typed."""
    place = model_list.place(typed) if typed else None
    if place is None or not place.is_absolute():
        st.session_state.pop(_FOLDER, None)
    else:
        st.session_state[_FOLDER] = str(lookup.near(place).folder)


def show(choose: Callable[[str], None]) -> None:
    """A switch, and behind it the folders; `choose(path)` opens what was picked. Served to others, nothing."""
    if model_list.confined() or not st.toggle(say("models.browse"), **page_controls.switch("models-browse")):
        return
    places = roots() or [Path(Path.cwd().anchor)]
    folder = Path(st.session_state.get(_FOLDER, places[0]))
    if not folder.is_dir():
        folder = places[0]
    with st.container(border=True, key="models-folders"):
        _way(places, folder)
        try:
            found = listing(folder)
        except OSError:
            st.caption(say("models.browse_closed"))
            return
        _folders(found)
        for i, (path, kind) in enumerate(found.opens):
            _row(i, path, kind, choose)
        if not found.opens:
            deeper = below(folder, choose, "models-browsed")
            if not found.inside and not deeper:
                st.caption(say("models.browse_empty"))
        if found.more:
            st.caption(say("models.browse_more", n=found.more))


@st.cache_resource(ttl=20, max_entries=64, show_spinner=False)
def _below(folder: Path, confined: bool) -> list[tuple[Path, str]]:
    return [each for each in lookup.below(folder) if not confined or discovery.allowed(each[0])]


def below(folder: Path, choose: Callable[[str], None], key: str) -> bool:
    """The checkpoints one or two levels below a folder that is none itself, each a press; -> whether there are any."""
    found = _below(folder, model_list.confined())
    if not found:
        return False
    st.caption(say("models.below"))
    with st.container(horizontal=True, gap="small", key=key):
        for i, (path, _) in enumerate(found[:_BELOW]):
            st.button(
                language.plain(path.relative_to(folder)), key=f"{key}-{i}", icon=":material/open_in_new:",
                on_click=choose, args=(str(path),),
            )  # fmt: skip
    if len(found) > _BELOW:
        st.caption(say("models.browse_more", n=len(found) - _BELOW))
    return True


def _enter(folder: Path) -> None:
    st.session_state[_FOLDER] = str(folder)


def _way(places: list[Path], folder: Path) -> None:
    """Where a walk may begin, and the folders from the one of them above, or from the top, to where one stands; each is a
    button that leads there."""
    above = [place for place in places if folder.is_relative_to(place)]
    root = max(above, key=lambda place: len(place.parts), default=Path(folder.anchor))
    below = folder.relative_to(root).parts
    with st.container(horizontal=True, gap="small", key="models-way"):
        for i, place in enumerate(places if root in places else [*places, root]):
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
