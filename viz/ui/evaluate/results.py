"""Evaluations of this page: made with progress and Stop, gone on with after it, kept within the server's budget of memory."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError, Stopped
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import jobs, memory_budget, model_cache, model_list

if TYPE_CHECKING:
    from model.evaluation.evaluation import Evaluation
    from viz.ui.evaluate.files import Chosen

_PARTS, _ASKED, _STOPPED = "evaluate-parts", "evaluate-asked", "evaluate-stopped"
_REFUSED = "evaluate-refused"


def asked(chosen: Chosen, names: list[str], first: int, to: str | None) -> tuple[Any, ...]:
    """All that a table of evaluations follows from."""
    return (*names, *(model_list.changed(name) for name in names), *chosen.key, first, to)


def made(
    chosen: Chosen, names: list[str], first: int, to: str | None, pressed: bool, at_once: bool
) -> list[Evaluation] | None:  # fmt: skip
    """The evaluation of each model, None where none was asked for or it was stopped: the next press goes on from there.

    to: the language that is written, None where it is told from the references. pressed: the button asks for it. at_once:
    nobody needs to, the first time.
    """
    key = asked(chosen, names, first, to)
    if pressed or (at_once and st.session_state.get(_STOPPED) != key):
        st.session_state[_ASKED], st.session_state[_STOPPED] = key, None
        st.session_state.pop(_REFUSED, None)
    if st.session_state.get(_ASKED) != key:
        _say_how_far(key)
        return None
    if st.session_state.get(_PARTS, (None,))[0] != key:
        st.session_state[_PARTS] = (key, {})
    kept = st.session_state[_PARTS][1]
    found = []
    try:
        for at, name in enumerate(names):
            title = say("evaluate.waiting", model=language.plain(model_list.title(name)))
            memory = kept.setdefault(at, {})
            work = partial(_kept, chosen, name, first, to, (*key, at), memory)
            found.append(jobs.run(("evaluate", *key, at), work, title, pressed=pressed))
    except HeadlightError as error:
        st.session_state[_ASKED], st.session_state[_STOPPED] = None, key
        if isinstance(error, Stopped):
            _say_how_far(key)
        else:
            st.session_state[_REFUSED] = (key, error)
            _say_how_far(key)
        return None
    return found


def _say_how_far(key: tuple[Any, ...]) -> None:
    """Why there is no result: it was refused, or stopped on its way."""
    parts, refused = st.session_state.get(_PARTS), st.session_state.get(_REFUSED)
    if refused and refused[0] == key:
        st.error(language.explain(refused[1]), icon=":material/error:")
    elif parts and parts[0] == key:
        done = sum(part.num_rows for memory in parts[1].values() for part in memory.values())
        st.caption(say("evaluate.stopped", n=f"{done:,}"))


def _kept(
    chosen: Chosen, name: str, first: int, to: str | None, key: tuple[Any, ...], memory: dict[int, Any]
) -> Evaluation:  # fmt: skip
    """Made once for all sessions that ask for the same. memory: the finished rows of this session."""
    from model.evaluation.by_model import languages_of
    from model.evaluation.run import Memory, evaluate

    def make() -> Evaluation:
        model = model_cache.opened(name)
        wanted = to if to in languages_of(model) else None
        lines = list(islice(chosen.report.lines(chosen.choices), first))
        return evaluate(
            model, lines, language=wanted, count=len(lines), keep=Memory(memory), name=chosen.file.name
        )  # fmt: skip

    return memory_budget.shared().get("profiles", ("evaluation", key), make, lambda found: found.rows.nbytes)
