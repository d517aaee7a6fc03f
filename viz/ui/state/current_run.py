"""Opening models and running texts for a page: with progress and Stop, one sentence for what goes wrong."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import (
    HeadlightError,
    NotHandedIn,
    PictureTooLarge,
    SoundTooLong,
    Stopped,
    TextTooLong,
    UnreadablePicture,
    UnreadableSound,
)  # fmt: skip
from viz.base import numbers
from viz.base.shorten import shorten
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import jobs, model_cache, model_list, page_controls, truncation_offer, uploads, view
from viz.ui.state.default_head import best_head as best_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.trace.trace import Trace

PATH = "models-path"  # the field of the page Models
_QUOTED = 200  # characters of a text that a sentence repeats
_OF_FILES = (NotHandedIn, PictureTooLarge, SoundTooLong, UnreadablePicture, UnreadableSound)


def model() -> Any:
    """The model of this session, or None where a saved trace is looked at. What cannot be opened changes nothing."""
    name = view.current().model
    complain()
    if model_list.is_trace(name):
        return None
    try:
        return jobs.run(
            ("open", name), lambda: model_cache.opened(name), say("wait.opening"), lambda: _about_opening(name)
        )
    except HeadlightError as error:
        _back(error)


def complain() -> None:
    """What went wrong before this page was drawn, in its sentence; a name that did not open is kept in the field for paths."""
    if complaint := st.session_state.pop("complaint", None):
        st.error(complaint, icon=":material/error:")
    if refused := st.session_state.pop("refused_model", None):
        st.button(say("models.again"), key="models-again", type="tertiary", on_click=_correct, args=(refused,))


def _correct(name: str) -> None:
    page_controls.act()
    st.session_state.update({PATH: name, "go_to": "models"})


def current() -> Trace:
    """The run of this session. Bad input says so in one sentence and leaves the last good run in place."""
    now = view.current()
    if st.session_state.get("stopped") == _asked(now) and _has_good(now):
        return _not_run(now)
    try:
        trace = trace_of(now)
        st.session_state.last_good, st.session_state.stopped = now, None
        st.session_state.shown_view = now
        return trace
    except Stopped as stopped:
        if not _has_good(now):
            _back(stopped)
        st.session_state.stopped = _asked(now)
        return _not_run(now)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        if isinstance(error, TextTooLong):
            truncation_offer.offer(now, model(), error)
        st.session_state.asked = {}  # one complaint at a time
        trace = _last_good(now, error)
        if isinstance(error, _OF_FILES):  # the link keeps the file that is shown
            view.remember(media=st.session_state.last_good.media if _has_good(now) else uploads.SAMPLE)
        return trace


def shown_view() -> view.View:
    """The view whose run the page shows: what is asked for, or the last good one where that could not be run."""
    return st.session_state.get("shown_view", view.current())


def _asked(now: view.View) -> tuple[object, ...]:
    """What a view asks to be run."""
    return tuple(getattr(now, name) for name in view.RUN)


def _has_good(now: view.View) -> bool:
    good = st.session_state.get("last_good")
    return good is not None and good.model == now.model


def _not_run(now: view.View) -> Trace:
    """After Stop: what was typed stays in its box and is not run again by itself; the last good run stays on the page."""
    good = st.session_state.shown_view = st.session_state.last_good
    shown = shorten(good.text, _QUOTED)
    st.session_state.asked = {}
    with st.container(horizontal=True, vertical_alignment="center"):
        said = say("note.not_run", text=language.plain(shown)) if shown else say("note.not_run_file")
        st.info(said, icon=":material/stop_circle:", width="stretch")
        st.button(say("note.run"), key="run-stopped", on_click=_run_stopped)
    try:
        return trace_of(good)
    except HeadlightError as error:
        _back(error)


def _run_stopped() -> None:
    st.session_state.acted, st.session_state.stopped = True, None


def is_library(trace: Trace) -> bool:
    """Whether the run is of a model of the transformers library."""
    return "family" in trace.facts


def trace_of(now: view.View) -> Trace:
    """The run of a view. Raises a HeadlightError for what cannot be run."""
    if model_list.is_trace(now.model):
        path = model_list.trace_path(now.model)
        return model_cache.saved(str(path), path.stat().st_mtime if path.is_file() else 0.0)
    return _run_of(now, model())


def second(now: view.View, name: str, asked_of: Callable[[Any, view.View], view.View] | None = None) -> Trace:
    """The run of the same input on another model, beside this session's own. Raises a HeadlightError, and Stopped.

    asked_of: what is asked of the model once it is open. Its jobs are of kinds of their own: that the page asks for its first
    run does not stop the second.
    """
    asked = replace(now, model=name)
    if model_list.is_trace(name):
        return trace_of(asked)
    opened = jobs.run(
        ("open_second", name), lambda: model_cache.opened(name), say("wait.opening"), lambda: _about_opening(name)
    )
    return _run_of(asked if asked_of is None else asked_of(opened, asked), opened, "run_second")


def _run_of(now: view.View, opened: Any, job: str = "run") -> Trace:
    how = tuple((name, value) for name, value in asdict(now).items() if name in view.RUN and name != "model")
    key = (job, now.model, opened.weights_hash, how)
    return jobs.run(
        key,
        lambda: model_cache.run(now.model, opened.weights_hash, how),
        say("wait.running"),
        lambda: _about(opened, now),
    )


def again() -> Trace:
    """Repeat this session's forward pass, for hooks on activations that no record holds. Nothing of it is kept."""
    now = view.current()
    how = tuple((name, value) for name, value in asdict(now).items() if name in view.RUN and name != "model")
    return model_cache.record(now.model, how, checked=False)


def _about_opening(name: str) -> str:
    known = model_list.entry(name)
    return "" if known is None or model_list.is_ours(name) else model_list.about(known.path)


def _about(opened: Any, now: view.View) -> str:
    """What the run is expected to take, "" for models that are done before it is read."""
    if not model_cache.is_library_model(opened) or model_cache.reads(opened) != "text":
        return ""
    try:
        cost = opened.expects(now.text, now.pair or None, bool(now.chat), max(0, now.new))
    except HeadlightError:  # the run itself says it
        return ""
    return say("wait.cost", memory=numbers.size(cost.record_bytes), seconds=max(1, round(cost.seconds)))


def _last_good(now: view.View, error: HeadlightError) -> Trace:
    """The last run that worked with this model, or its first example; what is shown is said."""
    good = st.session_state.get("last_good")
    if not _has_good(now):
        examples = model_list.card(now.model)["examples"]
        to = now.to if model_list.is_ours(now.model) else ""  # of a checkpoint the language may be what was wrong
        text = examples[0] if examples else ""
        second = model_list.card(now.model).get("second", {}).get(text, "")
        good = replace(view.View(model=now.model, to=to), text=text, pair=second)
    st.session_state.shown_view = good
    try:
        trace = trace_of(good)
    except HeadlightError as again:
        _back(again if isinstance(again, Stopped) else error)
    if model_cache.reads(model()) != "text":
        st.caption(say("error.kept_file"))
    elif good.text:
        st.caption(say("error.kept", text=language.plain(good.text)))
    return trace


def _readable(text: str) -> str:
    """The text of what did not open, where the model that is shown instead reads it; else "", and its own example follows."""
    try:
        model_cache.opened(view.View.model).read(text)
    except HeadlightError:
        return ""
    return text


def _back(error: HeadlightError) -> None:
    """Return to what was looked at before, and say there what went wrong. Ends this run of the script."""
    good, failed = st.session_state.get("last_good"), view.current()
    # A run that was stopped has the last good one of the same model to return to; a model that failed has not.
    usable = good is not None and (
        any(getattr(good, name) != getattr(failed, name) for name in view.RUN)
        if isinstance(error, Stopped)
        else good.model != failed.model
    )
    if not usable and failed.model == view.View.model:  # the shipped model itself does not open
        st.error(language.explain(error), icon=":material/error:")
        st.stop()
    good = good if usable else view.View(text=_readable(failed.text))
    if not isinstance(error, Stopped):
        view.refuse(failed.model, error)
    st.session_state.view, st.session_state.acted = good, True
    view.fill_defaults(new=True)
    st.rerun()
