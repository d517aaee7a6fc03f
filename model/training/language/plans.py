"""Sentence plans: meaning without words, from which the English, Chinese and French surface realisation starts.

Every plan is frozen plain data, so its `repr` is a stable content key. Each word that a realiser writes is a `Piece`:
the word and the nodes of the plan that it stands for. Two words in two languages are aligned where they share a node.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PRONOUNS = ("I", "you", "he", "she", "we", "they")


@dataclass(frozen=True)
class Piece:
    """One word and the plan nodes it stands for; without nodes it is a function word of its own language."""

    word: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Thing:
    """A noun phrase. `role` names its nodes; `pronoun` replaces the noun.

    determiner: the, a, this, that (with plural: these, those), some, any, number, bare, or a possessive (my, your, …).
    count: 1 is singular, more is plural (the number itself where determiner is "number"). container: cup, glass, bottle
    of a drink. adjectives: keys, the outermost first. other: a second noun joined by "and".
    """

    role: str
    noun: str = ""
    determiner: str = "the"
    count: int = 1
    adjectives: tuple[str, ...] = ()
    pronoun: str = ""
    container: str = ""
    other: str = ""

    @property
    def plural(self) -> bool:
        return self.count > 1 or bool(self.other)


@dataclass(frozen=True)
class Place:
    """Where: a preposition (in, on, under, near, at, to) and a noun that is always "the …"."""

    preposition: str
    noun: str
    role: str = "place"


@dataclass(frozen=True)
class Clause:
    """Someone does something. tense: P past, G progressive, H habit, F future, W wants to, S present state.

    question: "" none, "yes" a yes–no question, "who" asks for the subject. fronted: the time comes first.
    """

    subject: Thing
    verb: str
    tense: str
    object: Thing | None = None
    recipient: Thing | None = None
    place: Place | None = None
    time: str = ""
    fronted: bool = False
    adverb: str = ""
    negative: bool = False
    question: str = ""


@dataclass(frozen=True)
class Quality:
    """Someone or something is (was) so. degree: "", "very" or "too"."""

    subject: Thing
    adjective: str
    degree: str = ""
    past: bool = False
    negative: bool = False
    question: bool = False


@dataclass(frozen=True)
class Identity:
    """He is a teacher; this is my book. subject.pronoun "this" points at a thing."""

    subject: Thing
    what: Thing
    negative: bool = False
    question: bool = False


@dataclass(frozen=True)
class Comparison:
    """The one is bigger than the other."""

    subject: Thing
    adjective: str
    other: Thing


@dataclass(frozen=True)
class Existence:
    """There is something somewhere."""

    thing: Thing
    place: Place
    question: bool = False


@dataclass(frozen=True)
class Location:
    """Something is somewhere; place None asks where."""

    thing: Thing
    place: Place | None = None
    negative: bool = False
    question: bool = False


@dataclass(frozen=True)
class HowMany:
    """How many … does someone have (read, buy)?"""

    thing: Thing
    subject: Thing
    verb: str
    tense: str


@dataclass(frozen=True)
class Because:
    """A clause and its reason, which is said of `it`. said_of: "subject", "object" or "place", what `it` stands for."""

    clause: Clause
    said_of: str
    adjective: str
    degree: str

    @property
    def meant(self) -> Thing | Place:
        return getattr(self.clause, self.said_of)


@dataclass(frozen=True)
class But:
    """Two clauses that contrast."""

    first: Clause
    second: Clause


@dataclass(frozen=True)
class Fragment:
    """A noun phrase on its own: three black cats."""

    thing: Thing


Plan = Clause | Quality | Identity | Comparison | Existence | Location | HowMany | Because | But | Fragment


def asks(plan: Plan) -> bool:
    """Whether the plan is a question (it then ends in "?" where it ends in anything)."""
    return (
        isinstance(plan, HowMany)
        or (isinstance(plan, Location) and plan.place is None)
        or bool(getattr(plan, "question", False))
    )


def pieces(words: str | Iterable[str], *nodes: str) -> list[Piece]:
    """Words (one string is split at spaces) that all stand for the same nodes."""
    return [Piece(word, nodes) for word in (words.split() if isinstance(words, str) else words)]


def prefixed(phrase: list[Piece], prefix: str) -> list[Piece]:
    """The same pieces with every node renamed, so that two clauses of one sentence keep their nodes apart."""
    return [Piece(piece.word, tuple(prefix + node for node in piece.nodes)) for piece in phrase]
