"""Any link at all: read without an exception, leads to a sound view, and what the app writes of it leads there again."""

from __future__ import annotations

import string
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest
import streamlit
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from model.steps import worked_example
from model.trace.site import Site
from tests.app.visit import PAGES, Visit
from viz import map as maps
from viz.ui import components, language
from viz.ui.state import address_bar, long_texts, page_controls, picked_heads, view

FUZZ = settings(
    derandomize=True, database=None, deadline=None, max_examples=120, suppress_health_check=list(HealthCheck)
)
DIGITS = (
    "²",
    "٣",
    "１",
    "1e999",
    "nan",
    "inf",
    "-0",
    "1_0",
    "0x10",
    "9" * 5000,
    "-" + "9" * 5000,
    "9" * 19,
    "",
    " ",
    "+1",
)
NUMBERS = st.integers(-(10**25), 10**25).map(str) | st.integers(-2, 99).map(str) | st.sampled_from(DIGITS)
# Letters of links and of their grammar, and what is none on a screen: zero, a bell, halves of characters, marks of direction.
SIGNS = string.ascii_lowercase + string.digits + ".,~_:;|/%&=+-\\<>*`[](){}$ \n\t" + "\0\x07\x7f\u202e\ufffe²٣１é中🙂"
TEXTS = st.text(SIGNS, max_size=40) | NUMBERS | st.just("x" * 2001)
HALVES = TEXTS | st.text(SIGNS + "\ud800\udfff", max_size=40)


def joined(sign: str, each: st.SearchStrategy[str], most: int = 4) -> st.SearchStrategy[str]:
    return st.lists(each, max_size=most).map(sign.join)


SITES = st.builds("{}.{}.{}".format, st.sampled_from(("encoder", "decoder", "x")), NUMBERS,
                  st.sampled_from(("self", "cross", "x")))  # fmt: skip
NAMES = st.sampled_from(
    (
        "positions-dims",
        "positions-base",
        "masks-real",
        "generation-beams",
        "generation-alpha",
        "output-T",
        "hand-row",
        "x",
    )
)
PARTS = st.sampled_from(("positions.sinusoidal", "masks.window", "block.units", "generation.beams", "comparing_a.99",
                         "atlas_min.999", "joint_self.l9999h9999"))  # fmt: skip
MATRICES = joined("|", joined(";", joined(",", NUMBERS)))
# What each name of a link may hold, beside any text.
HELD = {
    "site": SITES, "picks": joined(",", st.builds("{}.{}".format, SITES, NUMBERS)), "heads": joined(".", NUMBERS),
    "area": joined(".", NUMBERS), "hand": MATRICES, "tab": joined(",", PARTS), "set": joined("~", st.builds(
        "{}.{}".format, NAMES, joined("_", NUMBERS))), "against": TEXTS.map("model:{}".format) | TEXTS.map("text:{}".format),
    "model": TEXTS.map("/{}".format) | st.sampled_from(("translate", "reverse")), "scale": st.sampled_from(("1", "max", "2")),
    "text_cut": st.builds("{}.0123456789abcdef.{}".format, NUMBERS, TEXTS), "lang": st.sampled_from(("zh", "en", "xx")),
    **dict.fromkeys(("head", "q", "k", "step", "chat", "new", "words"), NUMBERS),
}  # fmt: skip
OTHERS = ("text", "target", "to", "pair", "media", "other", "profile")


def links(texts: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    held = {name: usual | texts for name, usual in HELD.items()}
    return st.fixed_dictionaries({}, optional=held | dict.fromkeys(OTHERS, texts))


class Session(dict):
    """What `st.session_state` is to the view, without a server."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Query(dict):
    """What `st.query_params` is."""

    to_dict = dict.copy


@pytest.fixture
def streamlit_alone(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Streamlit's state and remarks as plain tables; `visited` begins a session with a link."""
    told: list[str] = []
    monkeypatch.setattr(streamlit, "warning", told.append)
    monkeypatch.setattr(language, "from_browser", lambda: "en")
    monkeypatch.setattr(components, "address", lambda **_: None)

    def visited(link: dict[str, str]) -> None:
        told.clear()
        monkeypatch.setattr(streamlit, "session_state", Session(), raising=False)
        monkeypatch.setattr(streamlit, "query_params", Query(link), raising=False)
        address_bar.start()

    return SimpleNamespace(visited=visited, told=told)


def test_any_link_leads_to_a_view_whose_own_link_leads_there_again(streamlit_alone: SimpleNamespace) -> None:
    @FUZZ
    @given(links(HALVES))
    @example({"q": "5", "k": "-1"})
    @example({"head": "-1"})
    @example({"text": "\ud800", "set": "a.\ud800", "model": "\0"})
    def holds(link: dict[str, str]) -> None:
        streamlit_alone.visited(link)
        now = view.current()
        assert now.head >= 0 and now.step >= -1 and (now.row < 0) == (now.column < 0)
        assert now.chat in (0, 1) and now.by_word in (0, 1) and 0 <= now.new <= 60 and now.scale in ("", *view.SCALES)
        assert now.sink in ("", *view.WITHOUT_SINK)
        assert view.heads_shown(8) and all(0 <= head < 10**6 for head in view.heads_shown(8))
        address_bar.write()
        written = dict(streamlit.session_state.written_link)
        assert {name: [text] for name, text in written.items()} == parse_qs(
            urlencode(written), keep_blank_values=True, strict_parsing=True
        )  # as a browser sends it back
        streamlit_alone.visited(written)
        again = view.current()
        lost = {name for name, text in vars(now).items() if len(str(text)) > long_texts.LONGEST}
        assert lost or again == now
        address_bar.write()
        assert {name: text for name, text in streamlit.session_state.written_link.items() if name != "lang"} == {
            name: text for name, text in written.items() if name != "lang"
        }

    holds()


def test_any_number_of_a_link_is_one_that_its_control_may_have_or_is_said(streamlit_alone: SimpleNamespace) -> None:
    ranges = st.sampled_from(((1.0, 0.0, 5.0), (1.0, 0.0, 1e9), (3, 0, 10), (0, 0, 10_000), (0.5, 1e-9, 1.0)))

    def drawn(link: str, first: float, low: float, high: float) -> tuple[float, list[int], str]:
        streamlit_alone.visited({"set": link})
        page_controls.between("number", first, low, high)
        page_controls.several("many", [0, 1], range(12), 4)
        page_controls.among("one", "a", ["a", "b", "²"])
        page_controls.switch("on")
        return (streamlit.session_state["number"], streamlit.session_state["many"], page_controls.written())

    @FUZZ
    @given(
        NUMBERS | st.floats(0, 10).map(repr) | st.decimals(0, 1, places=9).map(str),
        joined("_", NUMBERS),
        HALVES,
        ranges,
    )
    @example("0.000000001", "0_²", "²", (0.5, 1e-9, 1.0))
    @example("1.123456789", "0_0_0_0_0", "", (1.0, 0.0, 5.0))
    @example("123456789", "1_2_3_4_5", "a~b", (1.0, 0.0, 1e9))
    def holds(number: str, many: str, one: str, told: tuple[float, float, float]) -> None:
        first, low, high = told
        value, several, written = drawn(f"number.{number}~many.{many}~one.{one}~on.{number}", first, low, high)
        assert type(value) is type(first) and low <= value <= high
        assert several and len(set(several)) == len(several) <= 4 and set(several) <= set(range(12))
        assert streamlit.session_state["one"] in ("a", "b", "²") and streamlit.session_state["on"] in (False, True)
        again = drawn(written, first, low, high)
        assert again == (value, several, written) and not streamlit_alone.told

    holds()


@FUZZ
@given(HALVES | SITES | MATRICES | joined(",", st.builds("{}.{}".format, SITES, NUMBERS)) | joined(".", NUMBERS))
@example(f"decoder.{'9' * 5000}.self")
@example(f"{'9' * 5000}.0.0")
def test_any_text_is_a_place_or_none(text: str) -> None:
    assert maps.area(text) is None or all(0 <= number < 10**6 for number in maps.area(text))
    assert all(0 <= head < 10**4 and isinstance(site, str) for site, head in picked_heads.parse(text))
    inputs = worked_example.from_text(text)
    assert inputs is None or all(np.isfinite(matrix).all() for matrix in inputs.values())
    try:
        assert str(Site.parse(text)).startswith(text.partition(".")[0])
    except ValueError as error:
        assert "write it as" in str(error)


def test_any_page_answers_any_link(visit: Callable[..., Visit]) -> None:
    @settings(FUZZ, max_examples=12, phases=(Phase.explicit, Phase.generate))
    @given(links(TEXTS), st.sampled_from(sorted(PAGES)))
    @example({"tab": "positions.sinusoidal", "set": "positions-dims.0_²"}, "positions")
    def holds(link: dict[str, str], page: str) -> None:
        seen = visit(page, **{"text": "I like cats", "to": "fr"} | link | {"model": "translate"})
        assert not seen.at.exception, seen.at.exception[0].value

    holds()
