"""Reading English back into a plan: the inverse of `english.say`, so that a typed sentence has a gold translation.

Every way of reading a piece is tried in turn (generators of (what was read, next position)); a plan counts only if
saying it again gives the very words.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from model.training.language import english
from model.training.language.lexicon import adjectives, nouns
from model.training.language.plans import PRONOUNS, Place, Thing

Words = tuple[str, ...]
NUMBERS = {word: count for count, word in enumerate(english.NUMBERS) if word}
OWNERS = frozenset({"my", "your", "his", "her", "our", "their"})
OBJECTS = {said: pronoun for pronoun, said in english.OBJECTS.items() if pronoun != "it"}
CONTAINERS = {
    "cup": "cup",
    "cups": "cup",
    "glass": "glass",
    "glasses": "glass",
    "bottle": "bottle",
    "bottles": "bottle",
}
_POINTING = {"this": ("this", 1), "that": ("that", 1), "these": ("this", 2), "those": ("that", 2)}
PREPOSITIONS = frozenset({"in", "on", "under", "near", "at", "to"})


@cache
def _noun_forms() -> dict[str, tuple[str, int]]:
    """Written form -> (noun, 1 singular or 2 plural)."""
    table = {noun.en_plural: (key, 2) for key, noun in nouns().items()}
    return table | {noun.en: (key, 1) for key, noun in nouns().items()}


@cache
def _adjective_keys() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for key, adjective in adjectives().items():
        table[adjective.en] = (*table.get(adjective.en, ()), key)
    return table


def adjective_for(word: str, noun: str) -> str | None:
    """The sense of an adjective that goes with a noun ("" for a pronoun), or the only sense there is."""
    keys = _adjective_keys().get(word, ())
    fitting = [key for key in keys if noun in adjectives()[key].nouns | adjectives()[key].subjects]
    if not noun and len(keys) > 1:  # of people: old is 老
        fitting = [key for key in keys if adjectives()[key].subjects & {"man", "mother"}]
    return next(iter(fitting or keys), None)


def _determiners(words: Words, at: int) -> Iterator[tuple[str, int | None, int]]:
    """(determiner, the count that it demands or None, next position); the empty determiner comes last."""
    word = words[at] if at < len(words) else ""
    if word in ("a", "an"):
        yield "a", 1, at + 1
    elif word in NUMBERS:
        yield "number", NUMBERS[word], at + 1
    elif word in _POINTING:
        which, count = _POINTING[word]
        yield which, count, at + 1
    elif word in ("the", "some", "any") or word in OWNERS:
        yield word, None, at + 1
    yield "bare", None, at


def thing(words: Words, at: int, role: str, as_object: bool = False) -> Iterator[tuple[Thing, int]]:
    """Noun phrases that begin at a position."""
    word = words[at] if at < len(words) else ""
    pronouns = OBJECTS if as_object else {pronoun: pronoun for pronoun in PRONOUNS}
    if word in pronouns:
        yield Thing(role, pronoun=pronouns[word]), at + 1
    for determiner, count, start in _determiners(words, at):
        yield from _after_determiner(words, start, role, determiner, count)


def _after_determiner(
    words: Words, start: int, role: str, determiner: str, count: int | None
) -> Iterator[tuple[Thing, int]]:
    if words[start + 1 : start + 2] == ("of",) and words[start] in CONTAINERS and start + 2 < len(words):
        drink = words[start + 2]
        if drink in nouns() and nouns()[drink].mass:
            yield Thing(role, drink, determiner, count or 1, container=CONTAINERS[words[start]]), start + 3
    at, described = start, []
    while at < len(words) and len(described) <= 2:
        if words[at] in _noun_forms():
            noun, number = _noun_forms()[words[at]]
            keys = tuple(adjective_for(word, noun) for word in described)
            several = number if count is None else count
            found = Thing(role, noun, determiner, several, keys)
            if words[at + 1 : at + 2] == ("and",) and at + 2 < len(words) and words[at + 2] in _noun_forms():
                yield Thing(role, noun, determiner, several, keys, other=_noun_forms()[words[at + 2]][0]), at + 3
            yield found, at + 1
        if words[at] not in _adjective_keys():
            return
        described.append(words[at])
        at += 1


def place(words: Words, at: int) -> Iterator[tuple[Place, int]]:
    """A preposition and "the …"."""
    if len(words) >= at + 3 and words[at] in PREPOSITIONS and words[at + 1] == "the" and words[at + 2] in nouns():
        yield Place(words[at], words[at + 2]), at + 3


def whole(readings: Iterator[tuple], words: Words) -> Iterator:
    """Only the readings that use up every word."""
    return (value for value, end in readings if end == len(words))
