"""The dictionary of our grammar, read once from the tables in `words/`: English, 中文 and français side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WORDS = Path(__file__).parent / "words"


@dataclass(frozen=True)
class Noun:
    """One thing in three languages. `measure` is its Chinese measure word, "" where it cannot be counted."""

    en: str
    en_plural: str
    zh: str
    measure: str
    fr: str
    fr_plural: str
    feminine: bool

    @property
    def mass(self) -> bool:
        return not self.measure


@dataclass(frozen=True)
class Adjective:
    """`zh_of`: the attributive takes 的. `zh_is`: the predicate is 是 … 的, never 很 …. `before`: French place."""

    en: str
    comparative: str
    zh: str
    zh_of: bool
    zh_predicate: str
    zh_is: bool
    masculine: str
    feminine: str
    before: bool
    nouns: frozenset[str]
    subjects: frozenset[str]

    def french(self, feminine: bool, plural: bool) -> str:
        """The form that agrees; the masculine singular before a vowel is chosen when the sentence is spoken."""
        form = self.feminine if feminine else self.masculine
        if not plural or form[-1] in "sx":
            return form
        return form + ("x" if form.endswith("eau") else "s")


@dataclass(frozen=True)
class Verb:
    """Principal parts in three languages; `present` is for je, tu, il, nous, ils."""

    en: tuple[str, ...]
    past: tuple[str, ...]
    ing: tuple[str, ...]
    third: tuple[str, ...]
    zh: str
    infinitive: str
    present: tuple[str, ...]
    participle: str
    flags: frozenset[str]


@dataclass(frozen=True)
class Frame:
    """A verb with what may be its subject and object, the natural tenses and places, and how often it comes."""

    verb: str
    pronouns: bool
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    tenses: str
    places: tuple[str, ...]
    weight: float


@dataclass(frozen=True)
class Time:
    """When, as a phrase of one or more words in each language; `tenses` are those it goes with."""

    key: str
    tenses: str
    en: str
    zh: str
    fr: str


@dataclass(frozen=True)
class Reason:
    """A row of because.txt: who does (not) do what, and what can be said of the one and of the other."""

    verb: str
    negative: bool
    pronouns: bool
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    of_subject: tuple[str, ...]
    of_object: tuple[str, ...]


def _rows(name: str) -> Iterator[list[str]]:
    for line in (WORDS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("# "):
            yield line.split()


def _keys(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _forms(text: str) -> tuple[str, str]:
    singular, _, plural = text.partition("/")
    return singular, plural


def _es(word: str) -> str:
    """English plural and third person: both are written alike."""
    if word[-1] == "y" and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh", "o")) and word != "photo" and word != "piano" else "s")


def _french_plural(word: str) -> str:
    if word.endswith(("s", "x")):
        return word
    if word.endswith("al"):
        return word[:-2] + "aux"
    return word + ("x" if word.endswith("eau") else "s")


@cache
def nouns() -> Mapping[str, Noun]:
    """English singular -> `Noun`."""
    table = {}
    for english, chinese, measure, french, gender in _rows("nouns"):
        (en, en_plural), (fr, fr_plural) = _forms(english), _forms(french)
        table[en] = Noun(
            en, en_plural or _es(en), chinese, measure.strip("-"), fr, fr_plural or _french_plural(fr), gender == "f"
        )
    return table


@cache
def classes() -> Mapping[str, tuple[str, ...]]:
    """Name of a selection class -> its nouns, in order and without repetition."""
    table: dict[str, tuple[str, ...]] = {}
    for name, *members in _rows("classes"):
        found: list[str] = []
        for member in members:
            found.extend(table[member[1:]] if member.startswith("+") else [nouns()[member].en])
        table[name.rstrip(":")] = tuple(dict.fromkeys(found))
    return table


def members(names: str) -> tuple[str, ...]:
    """Comma-separated classes and nouns -> nouns; "-" is none. "I" stands for the pronouns and is left out here."""
    found: list[str] = []
    for name in names.split(","):
        if name not in ("-", "I"):
            found.extend(classes()[name] if name in classes() else [nouns()[name].en])
    return tuple(dict.fromkeys(found))


@cache
def in_class(name: str) -> frozenset[str]:
    return frozenset(members(name))


@cache
def adjectives() -> Mapping[str, Adjective]:
    """Key (English word, with "#sense" where one English word has two) -> `Adjective`."""
    table = {}
    for english, attributive, predicate, masculine, feminine, place, of, subjects in _rows("adjectives"):
        (key, comparative), (zh, mark) = _forms(english), [*attributive.split("_"), ""][:2]
        table[key] = Adjective(
            key.partition("#")[0],
            comparative,
            zh,
            mark == "的",
            predicate.lstrip("="),
            predicate.startswith("="),
            masculine,
            feminine,
            place == "pre",
            frozenset(members(of)),
            frozenset(members(subjects)),
        )
    return table


def _ing(word: str) -> str:
    return (word[:-1] if word.endswith("e") and not word.endswith("ee") else word) + "ing"


def _present(infinitive: str) -> tuple[str, ...]:
    """A regular -er verb; nous keeps the soft g of manger."""
    stem = infinitive[:-2]
    return stem + "e", stem + "es", stem + "e", stem + ("eons" if stem.endswith("g") else "ons"), stem + "ent"


@cache
def verbs() -> Mapping[str, Verb]:
    """Key (English word, with "#sense" where needed) -> `Verb`. Two-word English verbs are tuples of words."""
    table = {}
    for key, english, chinese, french, participle, flags in _rows("verbs"):
        base, past, ing = [*english.split("/"), ""][:3]
        infinitive, _, present = french.partition(":")
        head, _, tail = base.partition("_")
        particle = (tail,) if tail else ()
        table[key] = Verb(
            (head, *particle),
            tuple(past.split("_")),
            tuple(ing.split("_")) if ing else (_ing(head), *particle),
            ("has" if head == "have" else _es(head), *particle),
            chinese,
            infinitive,
            tuple(present.split(",")) if present else _present(infinitive),
            participle,
            frozenset(flags.split(",")) - {"-"},
        )
    return table


@cache
def frames() -> tuple[Frame, ...]:
    return tuple(
        Frame(verb, "I" in who.split(","), members(who), members(what), tenses, members(places), float(weight))
        for verb, who, what, tenses, places, weight in _rows("frames")
    )


@cache
def reasons() -> tuple[Reason, ...]:
    return tuple(
        Reason(verb, sign == "-", "I" in who.split(","), members(who), members(what), *map(_keys, (first, second)))
        for verb, sign, who, what, first, second in _rows("because")
    )


@cache
def times() -> Mapping[str, Time]:
    return {
        key: Time(key, tenses, *(phrase.replace("_", " ") for phrase in (en, zh, fr)))
        for key, tenses, en, zh, fr in _rows("times")
    }
