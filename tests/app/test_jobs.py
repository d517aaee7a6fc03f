"""Jobs of a session: whatever ends one ends it in one sentence, and one page may wait for several of a kind."""

from __future__ import annotations

import pytest
from streamlit.runtime.scriptrunner_utils.exceptions import RerunException, StopException
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.testing.v1 import AppTest


class Panic(BaseException):
    """As the libraries in Rust end: their PanicException is no Exception."""


def _ends(error: BaseException) -> None:
    import streamlit as st

    from model.errors import HeadlightError
    from viz.ui.state import jobs

    def work() -> None:
        raise error

    try:
        jobs.run(("model", 1), work, "title")
    except HeadlightError as said:
        st.write(said.code, str(said))
    else:
        st.write("went on with nothing")


@pytest.mark.parametrize(
    ("error", "code"),
    [(Panic("called `Option::unwrap()` on a `None` value\nnote: run with RUST_BACKTRACE"), "unexpected"),
     (StopException(), "stopped"), (RerunException(RerunData()), "stopped"), (SystemExit(3), "unexpected"),
     (ValueError("no"), "unexpected"), (RecursionError("deep"), "unexpected")],
)  # fmt: skip
def test_whatever_ends_a_job_ends_it_in_one_sentence(error: BaseException, code: str):
    at = AppTest.from_function(_ends, args=(error,)).run()
    assert not at.exception
    said = at.markdown[0].value
    assert said.startswith(code) and "\n" not in said and len(said) < 300


def _waits_twice() -> None:
    import time

    import streamlit as st

    from model.errors import HeadlightError, UnknownSite
    from viz.ui.state import jobs

    def refused() -> None:
        time.sleep(0.4)
        raise UnknownSite(site="x", allowed="y")

    def good() -> str:
        time.sleep(0.4)
        return "the last good run"

    try:
        jobs.run(("run", "typed"), refused, "title")
    except HeadlightError:
        st.write(jobs.run(("run", "before"), good, "title"))
    try:  # the same work once more: it is not begun again while one waits, and is here
        jobs.run(("run", "typed"), refused, "title")
    except HeadlightError:
        st.write("again")


def test_one_run_of_a_page_may_wait_for_several_jobs_of_a_kind():
    at = AppTest.from_function(_waits_twice, default_timeout=20).run()
    assert not at.exception, at.exception[0].value
    assert [element.value for element in at.markdown] == ["the last good run", "again"]
