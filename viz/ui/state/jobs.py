"""Long work on a page: it runs in a thread of its own, says how far it is, and a button stops it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx
from streamlit.runtime.scriptrunner_utils.exceptions import ScriptControlException

from model.errors import HeadlightError, Stopped, Unexpected
from viz.ui.language import say

# What is done within this time needs no sign.
_QUIET = 0.1
_EVERY = 0.15


_numbers = itertools.count(1)


class Job:
    """One piece of work of this session, with how far it is. name: tells it from others of its kind on the same page."""

    def __init__(self, key: tuple[Any, ...], work: Callable[[], Any]):
        self.name = f"{key[0]}-{next(_numbers)}"
        self.key, self.what, self.fraction = key, "", None
        self.result: Any = None
        self.error: HeadlightError | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        add_script_run_ctx(self.thread)

    def _run(self, work: Callable[[], Any]) -> None:
        from model.jobs.progress import ProgressListener, report_to

        try:
            with report_to(ProgressListener(self._told, self.stopping.is_set)):
                self.result = work()
        except HeadlightError as error:
            self.error = error
        except ScriptControlException:  # the page that asked has ended
            self.error = Stopped()
        except BaseException as error:  # a panic of a library in Rust is no Exception
            # A sentence for the visitor, the rest for whoever runs the server.
            logging.getLogger(__name__).exception("%s failed", self.key[0])
            self.error = Unexpected.of(error)

    def _told(self, what: str, fraction: float | None) -> None:
        self.what, self.fraction = what, fraction


def run(
    key: tuple[Any, ...], work: Callable[[], Any], title: str, about: Callable[[], str] = str, pressed: bool = False
) -> Any:
    """Do `work` and return what it returns; what it raises is raised here.

    key: what kind of work and on what; asked for again by a rerun it is waited for, not begun again. about: its cost in
    words, asked for only where somebody waits. pressed: a button asks for it, not every run of the page. Raises Stopped
    in the run of the page that Stop causes.
    """
    # One of each kind: a page that waits for its run asks for its model first.
    jobs = st.session_state.setdefault("jobs", {})
    job = jobs.get(key[0])
    if job is not None and job.key == key and job.stopping.is_set() and not pressed:
        del jobs[key[0]]
        raise Stopped()
    if job is None or job.key != key or job.stopping.is_set():
        if job is not None:
            job.stopping.set()  # the page asks for something else now
        job = jobs[key[0]] = Job(key, work)
        job.thread.start()
    job.thread.join(_QUIET)
    if job.thread.is_alive():
        _wait(job, title, about)
    jobs.pop(key[0], None)
    if job.error is not None:
        raise job.error
    return job.result


def cached(
    page: str, kind: str, key: tuple[Any, ...], work: Callable[[], Any], title: str, pressed: bool = False
) -> Any:
    """`run`, with its last result kept in the session; `key` is all that it depends on."""
    if not has_result(page, kind, key):
        st.session_state[f"{page}-kept-{kind}"] = (key, run((f"{page}_{kind}", *key), work, title, pressed=pressed))
    return st.session_state[f"{page}-kept-{kind}"][1]


def has_result(page: str, kind: str, key: tuple[Any, ...]) -> bool:
    """Whether `cached` has this result already."""
    return st.session_state.get(f"{page}-kept-{kind}", (None,))[0] == key


def _wait(job: Job, title: str, about: Callable[[], str]) -> None:
    place, cost = st.empty(), about()
    with place.container(key=f"work-{job.name}"), st.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, text=title, width="stretch")
        st.button(say("work.stop"), on_click=job.stopping.set, key=f"stop-{job.name}", type="tertiary")
        started = time.monotonic()
        while job.thread.is_alive():
            job.thread.join(_EVERY)
            name, _, turn = job.what.partition(":")
            what = say(f"progress.{name}", n=turn) if name else ""
            spent = say("work.seconds", seconds=f"{time.monotonic() - started:.0f}")
            bar.progress(job.fraction or 0.0, text=" · ".join(part for part in (title, what, spent, cost) if part))
    place.empty()
