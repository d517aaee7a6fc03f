"""The page of models: what is found on this computer, a path of one's own, and packages that bring trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from model.checkpoints.convert import lookup, path_kind
from model.checkpoints.disk import discovery, packages
from model.checkpoints.disk.shipped import is_small
from model.errors import SeveralCheckpoints
from viz.base.numbers import size
from viz.ui import language
from viz.ui.language import say
from viz.ui.models import folders, lab_models
from viz.ui.shared import page_text, recent_models
from viz.ui.state import current_run, memory_budget, model_list, view
from viz.ui.state.model_list import about

if TYPE_CHECKING:
    from model.checkpoints.disk.discovery import Entry
    from model.checkpoints.disk.packages import Package
    from model.errors import HeadlightError

_ROWS = 40


def show() -> None:
    """A path of one's own, what is at hand, what could be fetched, and what is kept of all of it."""
    current_run.complain()
    _own_path()
    folders.show(_choose_path)
    _recent()
    _found()
    _offered()
    _memory()


def _found() -> None:
    entries = model_list.found() | {path: known for path in lab_models.paths() if (known := model_list.entry(path))}
    page_text.heading("models.here", what="")
    wanted = ""
    if len(entries) > 12:
        wanted = st.text_input(say("models.search"), key="models-search", placeholder=say("models.search")).lower()
    shown = [entry for entry in entries.values() if wanted in f"{entry.name} {entry.title} {entry.family}".lower()]
    small = [] if wanted else [entry for entry in shown if is_small(entry.name)]
    shown = [entry for entry in shown if entry not in small]
    with st.container(key="models-list"):
        for entry in shown[:_ROWS]:
            _row(entry)
        if small:
            with st.expander(say("models.small", n=len(small)), key="models-small"):
                for entry in small:
                    _row(entry)
    if len(shown) > _ROWS:
        st.caption(say("models.more", n=len(shown) - _ROWS))
    places = [str(place) for place in (*discovery.configured(), discovery.hub_folder())]
    st.caption(say("models.places", places=", ".join(f"`{language.plain(place)}`" for place in places)))


def _row(entry: Entry) -> None:
    """One model: what it is, where it is from, what opening it takes, and the button; or why it would not open."""
    now = _is_open(entry)
    refused = _refused(entry)
    words, cost, *button = st.columns([5, 3, 2] if refused is None else [5, 5], vertical_alignment="center")
    kind = entry.kind.replace(" ", "_")
    facts = [entry.family if entry.kind != "trace" else "", say(f"kind.{kind}"), entry.licence]
    words.markdown(
        f"**{language.plain(model_list.title(entry.name))}**  \n" + " · ".join(language.plain(f) for f in facts if f)
    )
    if refused is not None:
        cost.caption(language.explain(refused))
        return
    cost.caption(_cost(entry))
    button[0].button(
        say("models.shown") if now else say("models.open"), key=f"open-{entry.name}", disabled=now,
        on_click=_choose, args=(entry.name,),
    )  # fmt: skip


def _is_open(entry: Entry) -> bool:
    """Whether this is what is looked at, by its name or by its path."""
    name = view.current().model
    place = None if name in model_list.found() else model_list.place(name)
    return name == entry.name or (place is not None and place.resolve() == entry.path.resolve())


def _refused(entry: Entry) -> HeadlightError | None:
    """Why what is listed would not open, told from its settings and headers: weights that are packed, say."""
    return _refusal(str(entry.path)) if entry.kind in ("folder", "hub cache") else None


@st.cache_resource(ttl=20, max_entries=64, show_spinner=False)
def _refusal(path: str) -> HeadlightError | None:
    return path_kind.refusal(Path(path))


def _cost(entry: Entry) -> str:
    """Size on disk and, for what must be loaded, memory and time before it is begun."""
    if entry.kind in ("shipped", "trace") or not model_list.takes_more(entry.name):
        return size(entry.size_bytes)
    return about(entry.path, entry.size_bytes)


def _choose(name: str) -> None:
    view.change(model=name)
    st.session_state.go_to = "overview"


def _choose_path(path: str) -> None:
    """What was typed or picked is opened; a name of the model hub is looked for then."""
    model_list.typed(path)
    _choose(path)


def _own_path() -> None:
    """A folder, a .gguf file or a saved trace, by its path, looked at before it is opened."""
    page_text.heading("models.path", what="")
    typed, button = st.columns([8, 1], vertical_alignment="bottom")
    typed.text_input(
        say("models.path_what"), key=current_run.PATH, placeholder=say("models.path_example"), on_change=_enter,
        help=say("models.path_enter"),
    )  # fmt: skip
    path, place, kind = _typed()
    exists = place is not None
    button.button(
        say("models.open"), key="open-path", on_click=_choose_path, args=(path,), type="primary" if kind else "secondary",
        disabled=not path or (not kind if exists else _plainly(path)),
    )  # fmt: skip
    if place is not None:
        _lying(place, kind)
    elif path:
        _missing(path)


def _recent() -> None:
    """What this visitor opened lately, and what of it is not there any more."""
    known = [name for name in recent_models.offered() if name != view.current().model]
    lost = recent_models.lost()
    if not known and not lost:
        return
    page_text.heading("models.recent", what="")
    with st.container(horizontal=True, gap="small", key="models-recent"):
        for i, name in enumerate(known):
            st.button(
                language.plain(model_list.described(name)), key=f"models-recent-{i}", on_click=_choose, args=(name,),
                help=language.plain(name),
            )  # fmt: skip
    if lost:
        names = say("error.comma").join(f"`{language.plain(name)}`" for name in lost)
        st.caption(say("models.recent_lost", names=names))


def _plainly(path: str) -> bool:
    """Whether what was typed is plainly a path ("file:" and a drive of Windows too), and no name that a hub could have."""
    return path.startswith(("/", "~", ".", "\\")) or ":" in path


def _typed() -> tuple[str, Path | None, str]:
    """(what stands in the field, where it leads if something lies there, of what kind that is)."""
    path = st.session_state.get(current_run.PATH, "").strip().strip('"')
    place = model_list.place(path) if path else None
    place = place if place is not None and place.exists() else None
    return path, place, "" if place is None else path_kind.kind_at(place)


def _enter() -> None:
    """What lies there and opens is opened; a name of the model hub, which is asked for over the network, takes the button."""
    path, _, kind = _typed()
    folders.follow(path)
    if kind:
        _choose_path(path)


def _lying(place: Path, kind: str) -> None:
    """What lies at a path, before it is opened; of a folder that is no checkpoint, those that are below it."""
    if kind == "trace":
        st.caption(f"{say('kind.trace')} · {size(place.stat().st_size)}")
    elif kind:
        st.caption(about(path_kind.weights(place)))
    else:
        refused = path_kind.refusal(place)
        several = refused is None or isinstance(refused, SeveralCheckpoints)
        if not (several and place.is_dir() and folders.below(place, _choose_path, "models-below")):
            st.error(say("models.no_checkpoint") if refused is None else language.explain(refused))


def _missing(path: str) -> None:
    """That nothing lies there; of a path how far it leads, and the name there that may be meant. Served to others no more
    is told than that."""
    place = model_list.place(path)
    known = None if model_list.confined() or place is None else lookup.near(place)
    if not _plainly(path):
        st.warning(say("models.no_path"))
    elif known is None or not known.missing or ":" in path:
        st.error(say("models.nothing"))
    else:
        where, what = (language.plain(each) for each in (known.existing, known.missing))
        st.error(say("models.near", existing=where, missing=what))
    if known is not None and known.like:
        st.button(
            say("models.meant", name=language.plain(known.like)), key="models-meant", on_click=_meant,
            args=(str(known.corrected),),
        )  # fmt: skip


def _meant(path: str) -> None:
    st.session_state[current_run.PATH] = path
    _enter()


def _offered() -> None:
    """Optional packages that are not installed, with what they bring."""
    absent = [package for package in packages.PACKAGES if package.path() is None]
    if not absent:
        return
    page_text.heading("models.offered", what="")
    st.caption(say("models.offered_what"))
    for package in absent:
        _package(package)


def _package(package: Package) -> None:
    words, command = st.columns([4, 5], vertical_alignment="center")
    facts = " · ".join(filter(None, (package.family, size(package.size_bytes), package.licence)))
    title = say(f"package.{package.name}")
    words.markdown(f"**{title}**  \n{facts}")
    command.code(package.command, language="bash", wrap_lines=True)


def _memory() -> None:
    """What the server keeps for everybody who looks, and a button that lets go of it."""
    kept = memory_budget.shared()
    page_text.heading("models.memory", what="")
    parts = [say(f"models.kept_{kind}", n=count, size=size(held)) for kind, (count, held) in kept.used().items()]
    most = say("models.memory_most", size=size(kept.most_bytes), name=memory_budget.BUDGET)
    words, button = st.columns([8, 2], vertical_alignment="center")
    words.markdown(" · ".join(parts) if parts else say("models.kept_nothing"))
    button.button(say("models.empty"), key="memory-empty", on_click=kept.empty, disabled=not parts)
    st.caption(" ".join([most, *_elsewhere(kept)]))


def _elsewhere(kept: memory_budget.MemoryBudget) -> list[str]:
    """What open visits hold beside the budget: they keep what they look at until they look at something else or end."""
    if not (found := kept.held_elsewhere()):
        return []
    parts = [say(f"models.kept_{kind}", n=count, size=size(held)) for kind, (count, held) in found.items()]
    return [say("models.memory_visits", parts=" · ".join(parts))]
