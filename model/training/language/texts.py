"""Texts of our grammar for language models: sentences, leaps over lazy dogs, questions with answers, tales, summaries.

Which split a text belongs to is decided by its English words, as for parallel sentences (`grammar.split_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from model.training.language import chinese, english, french
from model.training.language.grammar import split_of
from model.training.language.lexicon import Frame, adjectives, frames, in_class, members, nouns
from model.training.language.plans import Clause, Fragment, Location, Plan, Quality, Thing, asks
from model.training.language.random_clauses import COLOURS, SIZES
from model.training.language.random_plans import Sampler

_SAY = {"en": english.say, "zh": chinese.say, "fr": french.say}
_STOPS = {"en": ".?", "zh": "。？", "fr": ".?"}
# How often each kind comes, in a hundred; only sentences and questions are said in every language.
ENGLISH: Mapping[str, float] = {"sentence": 24, "leap": 8, "question": 44, "tale": 24}
OTHERS: Mapping[str, float] = {"sentence": 45, "question": 55}
SUMMARIES: Mapping[str, float] = {"summary": 100.0}

# "The quick brown fox jumps over the lazy dog": what jumps, how it is, and over what.
LEAPERS = ("fox", "dog", "cat", "rabbit", "horse", "frog", "goat", "mouse", "wolf", "monkey")
LEAPT = (*LEAPERS, "wall", "river", "box", "chair", "stone", "table")
MANNERS = ("quick", "lazy", "small", "big", "old", "young", "clever", "happy")
FURS = ("brown", "black", "white", "grey", "red")

# What is found or bought first and then eaten, read or worn: the second sentence speaks of the same thing.
_FIRST_THEN = (("find", "eat", "food"), ("buy", "read", "readable"), ("buy", "wear", "shirt,coat,sweater"))
_HE, _SHE = ("boy", "man"), ("girl", "woman")
_POSSESSIVE = {"he": "his", "she": "her"}
_OWNERS = frozenset(("my", "your", "his", "her", "our", "their"))
_NEAR = frozenset(("the", "this", "his", "her", "their"))


@dataclass(frozen=True)
class Text:
    """One text. sentences: as they are written, each with its stop. key: its English words. summary: what says it shortest."""

    kind: str
    language: str
    sentences: tuple[str, ...]
    key: tuple[str, ...]
    summary: str = ""

    @property
    def text(self) -> str:
        return ("" if self.language == "zh" else " ").join(self.sentences)


def written(words: Iterable[str], language: str) -> str:
    """Words as one writes them: Chinese without spaces, French elisions joined, no space before a mark."""
    said = ("" if language == "zh" else " ").join(words)
    for mark in "?.,":
        said = said.replace(f" {mark}", mark)
    return said.replace("' ", "'") if language == "fr" else said


def sentence(plan: Plan, language: str = "en") -> str:
    """A plan as one sentence with its stop."""
    words = [piece.word for piece in _SAY[language](plan)]
    return written([*words, _STOPS[language][asks(plan)]], language)


def of_plans(kind: str, plans: tuple[Plan, ...], language: str = "en", summary: Plan | None = None) -> Text:
    """The plans one after the other in a language."""
    key = tuple(piece.word for plan in plans for piece in english.say(plan))
    said = tuple(sentence(plan, language) for plan in plans)
    return Text(kind, language, said, key, sentence(summary) if summary is not None else "")


class TextSampler:
    """`TextSampler(seed, language, kinds).text()` is the next random text; kinds: how often each comes."""

    def __init__(self, seed: int, language: str = "en", kinds: Mapping[str, float] | None = None):
        self.sampler, self.language = Sampler(seed), language
        self.kinds = dict(kinds or (ENGLISH if language == "en" else OTHERS))

    def text(self) -> Text:
        kind = self.sampler.random.choices(list(self.kinds), list(self.kinds.values()))[0]
        return getattr(self, kind)()

    def sentence(self) -> Text:
        return of_plans("sentence", (self.sampler.plan(),), self.language)

    def leap(self) -> Text:
        """The quick brown fox jumps over the lazy dog: each of its words is as likely as all others in its place."""
        draw = self.sampler
        first = [self._mostly("quick", MANNERS), *([self._mostly("brown", FURS)] if draw.often(0.8) else [])]
        first.append(self._mostly("fox", LEAPERS))
        last = [*([self._mostly("lazy", MANNERS)] if draw.often(0.8) else [])]
        last.append(self._mostly("dog", [noun for noun in LEAPT if noun != first[-1]]))
        words = ("the", *first, "jumps", "over", "the", *last)
        return Text("leap", "en", (written([*words, "."], "en"),), words)

    def _mostly(self, word: str, others: Sequence[str]) -> str:
        """The word, half of the time; else one of the others, among which it may be."""
        return word if self.sampler.often(0.5) else self.sampler.one(others)

    def question(self) -> Text:
        """A question and its answer: where is the cat? the cat is on the mat."""
        kind = self.sampler.random.choices((self._where, self._who, self._how_many), (60, 25, 15))[0]
        return of_plans("question", kind(), self.language)

    def _where(self) -> tuple[Plan, ...]:
        while True:
            found = self.sampler.location()
            if found.place and found.thing.determiner in _NEAR:
                thing = replace(found.thing, adjectives=self.sampler.described(found.thing.noun, 0.6))
                return Location(thing), Location(thing, found.place)

    def _who(self) -> tuple[Plan, ...]:
        while True:
            found = self.sampler.clause()
            if found.question == "who" and not found.negative and found.tense != "S":
                noun = self.sampler.one(members("person"))
                who = Thing("s", noun, "the") if self.sampler.often(0.7) else Thing("s", pronoun="she")
                return found, replace(found, subject=who, question="")

    def _how_many(self) -> tuple[Plan, ...]:
        while True:
            asked = self.sampler.how_many()
            subject = asked.subject
            if subject.pronoun not in ("I", "we", "you") and subject.determiner in _NEAR:
                said = replace(asked.thing, determiner="number", count=2 + int(self.sampler.random.random() * 5))
                return asked, Clause(subject, asked.verb, asked.tense, object=said)

    def tale(self) -> Text:
        """Once upon a time there was a small fox. It found an apple. It ate the apple. The fox was very happy."""
        draw = self.sampler
        noun = draw.one(heroes())
        pronoun = _pronoun(noun, draw)
        hero = english.say(Fragment(Thing("s", noun, "a", 1, draw.described(noun, 0.8))))
        words = ("once", "upon", "a", "time", "there", "was", *(piece.word for piece in hero))
        plans: list[Plan] = []
        for _ in range(draw.one((1, 2, 2))):
            plans.append(self._event(noun, pronoun, plans))
        pairs = [pair for pair in _FIRST_THEN if _fits(pair, noun)]
        if pairs and draw.often(0.6):
            first, then, what = draw.one(pairs)
            thing, who = draw.one(members(what)), Thing("s", pronoun=pronoun)
            two = [Clause(who, verb, "P", Thing("o", thing, which)) for verb, which in ((first, "a"), (then, "the"))]
            plans = [*plans[:1], *two]
        if qualities := _moods(noun):
            plans.append(Quality(Thing("s", noun, "the"), draw.one(qualities), "very" if draw.often(0.5) else "", True))
        rest = of_plans("tale", tuple(plans))
        return Text("tale", "en", (written([*words, "."], "en"), *rest.sentences), (*words, *rest.key))

    def _event(self, noun: str, pronoun: str, before: list[Plan]) -> Clause:
        """What the hero of a tale did, and had not done `before`, without a time: the tale has one."""
        own = _POSSESSIVE.get(pronoun, "the")
        while True:
            found = self.sampler.clause(self.sampler.one(_deeds(noun)))
            if any(found.verb == plan.verb for plan in before):
                continue
            if found.tense != "P" or found.negative or found.question or (found.object and found.object.pronoun):
                continue
            thing = found.object
            if thing and thing.determiner in _OWNERS:
                thing = replace(thing, determiner=own)
            who = Thing("s", pronoun=pronoun)
            return replace(found, subject=who, object=thing, time="", fronted=False, adverb="")

    def summary(self) -> Text:
        """The cow is in the garden. The cow is brown. → The brown cow is in the garden."""
        while True:
            plan = self.sampler.location() if self.sampler.often(0.3) else self.sampler.clause()
            found = self._described(plan)
            if found is not None:
                return found

    def _described(self, plan: Location | Clause) -> Text | None:
        """The plan without adjectives, then each of its adjectives said by itself; None where it has no place for one."""
        if plan.question or plan.negative or (isinstance(plan, Location) and plan.place is None):
            return None
        names = ("thing",) if isinstance(plan, Location) else ("subject", "object")
        things = {name: thing for name in names if (thing := getattr(plan, name)) and _plain(thing)}
        long, past = plan, getattr(plan, "tense", "") == "P"
        short, said = plan, []
        for name, thing in things.items():
            keys = _both_ways(thing.noun)
            chosen = self._chosen(keys) if keys and (len(things) == 1 or self.sampler.often(0.7)) else ()
            long = replace(long, **{name: replace(thing, adjectives=())})
            short = replace(short, **{name: replace(thing, adjectives=chosen)})
            said += [Quality(Thing("s", thing.noun, "the"), key, past=past) for key in chosen]
        if not said or len({thing.noun for thing in things.values()}) < len(things):
            return None
        self.sampler.random.shuffle(said)
        return of_plans("summary", (long, *said), summary=short)

    def _chosen(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """One adjective, or a size and a colour in the order in which English has them."""
        first = self.sampler.one(keys)
        colours = [key for key in keys if key in COLOURS]
        return (
            (first, self.sampler.one(colours)) if first in SIZES and colours and self.sampler.often(0.5) else (first,)
        )


@cache
def heroes() -> tuple[str, ...]:
    """Of whom tales are told: people and animals that can do at least three things."""
    return tuple(noun for noun in members("person,animal") if len(_deeds(noun)) >= 3 and noun != "neighbor")


@cache
def _deeds(noun: str) -> tuple[Frame, ...]:
    return tuple(frame for frame in frames() if noun in frame.subjects and "P" in frame.tenses)


@cache
def _moods(noun: str) -> tuple[str, ...]:
    wanted = ("tired", "happy", "sad", "busy", "hungry")
    return tuple(key for key in wanted if noun in adjectives()[key].subjects)


@cache
def _both_ways(noun: str) -> tuple[str, ...]:
    """Adjectives that may stand before a noun and be said of it."""
    return tuple(key for key, each in adjectives().items() if noun in each.nouns and noun in each.subjects)


def _fits(pair: tuple[str, str, str], noun: str) -> bool:
    return noun in in_class("person") or (pair[1] == "eat" and noun in in_class("eater"))


def _plain(thing: Thing) -> bool:
    """One thing that can be called "the …" afterwards."""
    alone = bool(thing.noun) and thing.count == 1 and not (thing.other or thing.container)
    return alone and thing.determiner in ("the", "a") and not nouns()[thing.noun].mass


def _pronoun(noun: str, draw: Sampler) -> str:
    if noun not in in_class("person"):
        return "it"
    return "he" if noun in _HE else "she" if noun in _SHE else draw.one(("he", "she"))


def texts(seed: int, split: str, language: str = "en", kinds: Mapping[str, float] | None = None) -> Iterator[Text]:
    """Endless different texts of one split ("train", "validation" or "test")."""
    sampler, seen = TextSampler(seed, language, kinds), set()
    while True:
        text = sampler.text()
        if split_of(text.key) == split and text.sentences not in seen:
            seen.add(text.sentences)
            yield text
