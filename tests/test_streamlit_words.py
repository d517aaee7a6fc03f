"""What Streamlit writes itself: the installed one still says it so, and a Chinese page is told what to say instead."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import streamlit

from viz.ui import language

SCRIPTS = Path(streamlit.__file__).parent / "static/static/js"
HOMES = Path(language.__file__).parent / "components/address/streamlit_words.js"
WORDS = {key: text for key, text in language.catalogue("en").items() if key.startswith("streamlit.")}


@cache
def said() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.js"))


@pytest.mark.parametrize("key", WORDS)
def test_the_installed_streamlit_says_it_so(key: str) -> None:
    parts = [part.strip() for part in re.split(r"\{\w+\}", WORDS[key]) if part.strip()]
    # Where several words are put together from pieces, each piece is there.
    pieces = [piece for part in parts for piece in re.split(r" (?=options?\.|Remove|apply$)", part)]
    assert all(piece.removesuffix(".") in said() for piece in pieces)


@pytest.mark.parametrize("name", re.findall(r'data-testid="(\w+)"', HOMES.read_text(encoding="utf-8")))
def test_the_installed_streamlit_has_these_controls(name: str) -> None:
    assert re.search(rf"\b{name}\b", said())


def test_every_word_has_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "current", lambda: "zh")
    homes = set(re.findall(r"^  (\w+): \[", HOMES.read_text(encoding="utf-8"), re.MULTILINE))
    told = language.of_streamlit()
    assert {home for home, _, _ in told} == homes and len(told) == len(WORDS)
    assert all(re.search(r"[\u4e00-\u9fff]", chinese) for _, _, chinese in told)
    monkeypatch.setattr(language, "current", lambda: "en")
    assert language.of_streamlit() == []
