"""Noun phrases of written Chinese and French that break our grammar's own rule, whatever the reference says.

Chinese: between a number, 一, 这 or 那 and a noun stands the noun's measure word (一 只 猫). French: an article, possessive or
demonstrative and the adjectives beside a noun have the noun's gender (une pomme rouge). Only nouns of our dictionary are looked
at, and only words that have one gender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from model.training.language import chinese
from model.training.language.french_words import vowel
from model.training.language.lexicon import adjectives, nouns

RULES = {"zh": "measure_words", "fr": "gender"}
_DETERMINERS = frozenset((*chinese.NUMBERS[1:], "这", "那"))
_MASCULINE = {"le", "un", "ce", "cet", "mon", "ton", "son", "du", "au"}
_FEMININE = {"la", "une", "cette", "ma", "ta", "sa"}
_BEFORE_VOWEL = {"mon", "ton", "son"}  # stand before a feminine word too where it begins with a vowel
_FAR = 4  # words between a measure word and its noun: adjectives, each with 的


def broken(words: Sequence[str], language: str) -> tuple[int, list[str]]:
    """(how many noun phrases were looked at, those that break the rule, as text) of one written sentence."""
    return _measure_words(words) if language == "zh" else _genders(words)


@cache
def _measures() -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
    """(noun -> its measure words; every measure word), containers among them."""
    found: dict[str, set[str]] = {}
    boxes = set(chinese.CONTAINERS.values())
    for noun in nouns().values():
        found.setdefault(noun.zh, set()).update({noun.measure} if noun.measure else boxes)
    return {noun: frozenset(words) for noun, words in found.items()}, frozenset().union(*found.values())


@cache
def _described() -> frozenset[str]:
    """What may stand between a measure word and its noun."""
    said = {word for one in adjectives().values() for word in (one.zh, one.zh_predicate)}
    return frozenset(part for word in said for part in word.split()) | {"的"}


def _measure_words(words: Sequence[str]) -> tuple[int, list[str]]:
    of, every = _measures()
    places, wrong = 0, []
    for at, word in enumerate(words[:-1]):
        if word not in _DETERMINERS:
            continue
        given = words[at + 1] in every
        noun = _next_noun(words, at + 1 + given)
        if noun is None or (not given and noun == at + 1 and word in ("这", "那") and words[noun] not in of):
            continue
        places += 1
        if not given or words[at + 1] not in of[words[noun]]:
            wrong.append(" ".join(words[at : noun + 1]))
    return places, wrong


def _next_noun(words: Sequence[str], start: int) -> int | None:
    """Where the noun stands that a determiner belongs to, None where other words come first."""
    for at in range(start, min(start + _FAR + 1, len(words))):
        if words[at] in _measures()[0]:
            return at
        if words[at] not in _described():
            return None
    return None


@cache
def _french() -> tuple[Mapping[str, bool], Mapping[str, bool], frozenset[str]]:
    """(noun -> whether it is feminine, without those that are both; form of an adjective -> the same; adjectives' forms)."""
    things: dict[str, set[bool]] = {}
    for noun in nouns().values():
        for word in (noun.fr, noun.fr_plural):
            things.setdefault(word, set()).add(noun.feminine)
    forms: dict[str, set[bool]] = {}
    for one in adjectives().values():
        for feminine in (False, True):
            for plural in (False, True):
                forms.setdefault(one.french(feminine, plural), set()).add(feminine)
    for form in ("bel", "nouvel", "vieil"):
        forms[form] = {False}
    sure = [
        {word: both.pop() for word, both in found.items() if len(both) == 1} for found in (dict(things), dict(forms))
    ]
    return sure[0], sure[1], frozenset(forms)


def _genders(words: Sequence[str]) -> tuple[int, list[str]]:
    things, forms, every = _french()
    places, wrong = 0, []
    for at, word in enumerate(words):
        if word not in things:
            continue
        start, end = at, at + 1
        while start > 0 and words[start - 1] in every:
            start -= 1
        while end < len(words) and words[end] in every:
            end += 1
        told = [forms[each] for each in (*words[start:at], *words[at + 1 : end]) if each in forms]
        before = words[start - 1] if start else ""
        if before in _BEFORE_VOWEL and vowel(words[start]):
            before = ""
        told += [before in _FEMININE] if before in _MASCULINE | _FEMININE else []
        if not told:
            continue
        places += 1
        if any(feminine != things[word] for feminine in told):
            wrong.append(" ".join(words[max(0, start - 1) : end]))
    return places, wrong
