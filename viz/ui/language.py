"""Words on the page: one catalogue in English and 中文, asked by key."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import streamlit as st

from model.errors import HeadlightError, UnknownWords, bounded
from viz.ui import session

LANGUAGES = {"en": "English", "zh": "中文"}
_FOLDER = Path(__file__).parent / "words"
_CAUSES = ("reason", "kind")  # the values of errors that say why, in English


@cache
def catalogue(language: str) -> dict[str, str]:
    """key -> text of one language."""
    return json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))


def from_browser() -> str:
    """中文 for any Chinese browser, else English."""
    return "zh" if str(st.context.locale or "").lower().startswith("zh") else "en"


def current() -> str:
    return str(session.value("language", "en"))


def say(key: str, **values: object) -> str:
    """The text of `key` in the language of this session."""
    text = catalogue(current())[key]
    return text.format(**values) if values else text


def known(key: str) -> bool:
    """Whether there is a text of `key`."""
    return key in catalogue(current())


def name(code: str) -> str:
    """A language by its code, in words; one that the catalogue does not know keeps its code."""
    return say(f"language.{code}") if known(f"language.{code}") else plain(code)


def stack(name: str) -> str:
    """A stack of layers by its name: encoder, decoder, a part of somebody's model under its own name, or its step in a loop.

    Of a run with two towers (`towers` of the session) by what each reads.
    """
    if session.value("towers") and name in ("encoder", "decoder"):
        return say(f"site.tower_{name}")
    whole, _, step = name.partition("_step_")
    if step:
        return say("site.step", stack=stack(whole), n=step)
    first, _, rest = name.partition("_")
    if rest and first in ("encoder", "decoder"):
        return f"{stack(first)} {plain(rest.replace('_', ' '))}"
    return say(f"site.{name}") if known(f"site.{name}") else plain(name.replace("_", " "))


def side(name: str) -> str:
    """A list of tokens by its name: that of its stack, of a later length of it, or of its keys with others beside them."""
    whole, _, rest = name.partition(".")
    if "keys" in rest.split("."):
        return say("site.keys", stack=stack(whole))
    return say("site.from", stack=stack(whole), layer=rest) if rest.isdigit() else stack(whole)


def group(prefix: str) -> dict[str, str]:
    """All texts under `prefix.`, keyed by the rest: what a component takes as its `words`."""
    return {k.removeprefix(f"{prefix}."): v for k, v in catalogue(current()).items() if k.startswith(f"{prefix}.")}


def of_streamlit() -> list[tuple[str, str, str]]:
    """(where it stands, English, the same in this language) of what Streamlit writes itself; [] in English."""
    names = [key.partition(".")[2] for key in catalogue("en") if key.startswith("streamlit.")]
    texts = [(name.partition("_")[0], catalogue("en")[f"streamlit.{name}"], say(f"streamlit.{name}")) for name in names]
    return texts if current() != "en" else []


def in_card(value: object) -> str:
    """A text of a model card, which may be given per language."""
    return str(value.get(current(), value.get("en", ""))) if isinstance(value, dict) else str(value)


def plain(text: object) -> str:
    """What somebody typed, safe in a sentence that is read as Markdown: no emphasis, formula, link or foreign picture."""
    return re.sub(r"([\\`*_\[\]#!|<>~$:])", r"\\\1", str(text))


def explain(error: HeadlightError) -> str:
    """The sentence of an error in this language; what was got, what is allowed, what to do."""
    if isinstance(error, UnknownWords):
        unknown = error.values["unknown"]
        words = say("error.comma").join(f"“{word}”" for word, _ in unknown)
        near = [f"“{word}” → {', '.join(nearest)}" for word, nearest in unknown if nearest]
        told = bounded("{words}{near}" + say("error.nearest", words=""), {"words": words, "near": "; ".join(near)})
        of_characters = error.values["kind"] == "characters"
        known_ones = say("error.vocabulary_characters") if of_characters else say("error.vocabulary")
        hint = say("error.nearest", words=plain(told["near"])) if near else known_ones
        return say("error.unknown_words", words=plain(told["words"])) + " " + hint
    return explain_told(error.code, error.values, str(error))


def explain_told(code: str, values: Mapping[str, object], sentence: str) -> str:
    """The same of an error that another process told of: its code and values, and its English sentence."""
    known = catalogue(current()).get(f"error.{code}")
    values = {name: cause(value) if name in _CAUSES else value for name, value in values.items()}
    try:
        return (
            known.format(**{name: plain(text) for name, text in bounded(known, values).items()})
            if known
            else plain(cause(sentence))
        )
    except KeyError:  # an older release told of other values
        return plain(sentence)


def cause(told: object) -> str:
    """Why something failed, as the operating system or model/ says it in English, in this language where the catalogue has it."""
    text = str(told)
    if current() == "en":
        return text
    for name, pattern in _causes():
        if found := pattern.fullmatch(text):
            return say(f"cause.{name}", **{part: cause(value) for part, value in found.groupdict().items()})
    return re.sub(r"\[Errno \d+\] ([^:\[]+)", lambda found: cause(found[1]), text)


@cache
def _causes() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """(name, what it is in English): of an error of the operating system also as this one says it."""
    found = []
    for key, english in catalogue("en").items():
        kind, _, name = key.partition(".")
        if kind == "cause":
            here = os.strerror(number) if (number := getattr(errno, name.upper(), 0)) else english
            texts = [re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(text)) for text in {english, here}]
            found.append((name, re.compile("|".join(texts), re.IGNORECASE | re.DOTALL)))
    return tuple(found)
