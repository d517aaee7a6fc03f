"""Every error's sentence stays short and keeps its advice, whatever is put into it."""

from __future__ import annotations

import inspect

import pytest

from model import errors
from model.errors.base import LONGEST, shortened
from viz.ui import language

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)
         if issubclass(kind, errors.HeadlightError) and kind is not errors.UnknownWords]  # fmt: skip
LONG = {"lines": "a\nb\r\n" * 30_000, "characters": "x" * 100_000, "a number": 10**5000}


def fields(sentence: str) -> list[str]:
    return [part.split("}")[0] for part in sentence.split("{")[1:]]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
@pytest.mark.parametrize("value", LONG)
def test_a_sentence_is_short_and_keeps_its_advice(kind: type[errors.HeadlightError], value: str) -> None:
    error = kind(**dict.fromkeys(fields(kind.sentence), LONG[value]))
    said = str(error)
    assert len(said) <= LONGEST and len(said.splitlines()) == 1
    rest = said
    for part in filter(None, (text.split("}")[-1] for text in kind.sentence.split("{"))):
        assert part in rest, part
        rest = rest.partition(part)[2]


@pytest.mark.parametrize("name", ["en", "zh"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_a_page_says_it_as_short(monkeypatch: pytest.MonkeyPatch, kind: type[errors.HeadlightError], name: str) -> None:
    monkeypatch.setattr(language, "current", lambda: name)
    said = language.explain(kind(**dict.fromkeys(fields(kind.sentence), "x" * 100_000)))
    assert len(said.replace("\\", "")) <= LONGEST and "\n" not in said


@pytest.mark.parametrize("name", ["en", "zh"])
def test_unknown_words_are_named_in_short(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(language, "current", lambda: name)
    error = errors.UnknownWords([("w" * 9000, ["n" * 9000] * 3)] * 8)
    assert len(str(error)) <= LONGEST and len(language.explain(error)) <= LONGEST + 60


def test_what_is_short_stays_as_it_is() -> None:
    assert str(errors.UnknownModel(name="abc", allowed="one, two")) == (
        "There is no model called “abc”: choose one of one, two, or give a folder, or a .gguf file."
    )
    assert shortened("abcdefghij", 5) == "ab…ij" and shortened("abc", 3) == "abc"
