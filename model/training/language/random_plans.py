"""Random plans: which sentences our grammar says, and how often. Every choice comes from one seeded generator."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import accumulate

from model.training.language.lexicon import Reason, adjectives, classes, in_class, members, nouns, reasons
from model.training.language.plans import (
    Because,
    But,
    Clause,
    Comparison,
    Existence,
    Fragment,
    HowMany,
    Identity,
    Location,
    Place,
    Plan,
    Quality,
    Thing,
)
from model.training.language.random_clauses import OWNERS, Clauses

# Of what is good one does not say that there is too much.
TOO = frozenset(
    ("big", "small", "old", "old#being", "expensive", "heavy", "long", "hot", "high", "wide", "tired", "busy", "sad", "tall")
)  # fmt: skip
UNCOMPARED = frozenset(("hungry", "sad", "happy", "new"))


@cache
def _described() -> tuple[str, ...]:
    """Nouns of which something can be said."""
    return tuple(noun for noun in nouns() if _qualities(noun))


@cache
def _qualities(noun: str) -> tuple[str, ...]:
    return tuple(key for key, adjective in adjectives().items() if noun in adjective.subjects)


class Sampler(Clauses):
    """`Sampler(seed).plan()` is the next random plan."""

    KINDS = (
        ("clause", 52),
        ("giving", 5),
        ("because", 13),
        ("quality", 9),
        ("existence", 6),
        ("location", 6),
        ("comparison", 3),
        ("identity", 3),
        ("but", 3),
        ("how_many", 1.5),
        ("fragment", 4),
    )

    def __init__(self, seed: int):
        super().__init__(seed)
        self._names = [name for name, _ in self.KINDS]
        self._weights = list(accumulate(weight for _, weight in self.KINDS))

    def plan(self) -> Plan:
        kind = self.random.choices(self._names, cum_weights=self._weights)[0]
        return getattr(self, kind)()

    def giving(self) -> Clause:
        """She gave him a red apple; the boy showed the girl a photo."""
        verb = self.one(("give", "give", "show", "send"))
        subject = self.subject(members("person") + members("kin"), True)
        if self.often(0.55):
            to = self.other_person(subject, "r")
        else:
            noun = self.one(members("person") + members("kin"))
            kin = noun in in_class("kin") or noun == "friend"
            to = Thing("r", noun, self.one(OWNERS) if kin else "the", 1 if kin else 1 + self.often(0.2))
        tense = self.one("PPPF")
        negative, question = self.often(0.12), ""
        given = self.one(members("sendable" if verb == "send" else "gift_thing"))
        item = self.object(given, tense, False, negative)
        clause = Clause(subject, verb, tense, item, to, negative=negative, question=question)
        return self._when(clause)

    def because(self) -> Because:
        """The animal didn't cross the street because it was too tired (wide): only the adjective says what `it` is."""
        reason = self.one(reasons())
        noun = self.one(reason.subjects)
        if reason.pronouns and self.often(0.5):
            subject = Thing("s", pronoun=self.one(("I", "he", "she", "we", "they")))
            said_of = "object"
        elif noun in in_class("kin"):
            subject, said_of = Thing("s", noun, self.one(OWNERS)), "object"
        else:
            person = noun in in_class("person")
            said_of = "object" if person else self.one(("subject", "object"))
            plural = 2 if said_of == "object" and self.often(0.15) else 1
            subject = Thing("s", noun, self.one(("the", "the", "the", "this")), plural)
        return self._reasoned(reason, subject, said_of)

    def _reasoned(self, reason: Reason, subject: Thing, said_of: str) -> Because:
        noun = self.one(reason.objects)
        degree = "too" if reason.negative else "very"
        adjective = self.one(reason.of_subject if said_of == "subject" else reason.of_object)
        clause = Clause(subject, reason.verb, "P", negative=reason.negative)
        if reason.verb == "fit":
            clause = replace(clause, place=Place("in", noun))
            said_of = "place" if said_of == "object" else said_of
        else:
            which = "the" if nouns()[noun].mass else self.one(("the", "the", "the", "this"))
            clause = replace(clause, object=Thing("o", noun, which))
        return Because(clause, said_of, adjective, degree)

    def _topic(self) -> tuple[Thing, str]:
        """Something and a quality it can have."""
        noun = self.one(_described())
        quality = self.one(_qualities(noun))
        if nouns()[noun].mass:
            return Thing("s", noun, "the"), quality
        if noun in in_class("kin") or noun == "friend":
            return Thing("s", noun, self.one(OWNERS)), quality
        plural = 2 if self.often(0.3) else 1
        which = self.one(("the", "the", "this", "that"))
        if noun in in_class("ownable") and self.often(0.25):
            which = self.one(OWNERS)
        return Thing("s", noun, which, plural), quality

    def quality(self) -> Quality:
        subject, quality = self._topic()
        if subject.noun in in_class("person") and self.often(0.6):
            subject = Thing("s", pronoun=self.one(("I", "you", "he", "she", "we", "they")))
        negative = self.often(0.2)
        question = not negative and self.often(0.15) and subject.pronoun not in ("I", "we")
        past = not question and not negative and self.often(0.2)
        graded = not negative and not question and not adjectives()[quality].zh_is
        degree = self.one(("very", "too") if quality in TOO else ("very",)) if graded and self.often(0.35) else ""
        return Quality(subject, quality, degree, past, negative, question)

    def identity(self) -> Identity:
        """I am a student; this is her car."""
        draw = self.random.random()
        negative, question = draw < 0.15, 0.15 <= draw < 0.3
        if self.often(0.6):
            noun = self.one(members("shown"))
            what = Thing("o", noun, "a", 1, self.described(noun, 0.3))
            if noun in in_class("ownable") and self.often(0.4):
                what = Thing("o", noun, self.one(OWNERS))
            return Identity(Thing("s", pronoun="this"), what, negative, question)
        who = self.one(
            ("you", "he", "she") if question else ("I", "you", "he", "she", "mother", "brother", "father", "sister")
        )
        trade = self.one(members("woman_job" if who in ("she", "mother", "sister") else "man_job"))
        subject = Thing("s", who, self.one(OWNERS)) if who in nouns() else Thing("s", pronoun=who)
        return Identity(subject, Thing("o", trade, "a"), negative, question)

    def comparison(self) -> Comparison:
        while True:
            subject, quality = self._topic()
            adjective = adjectives()[quality]
            kinds = [name for name in classes() if name.startswith("like_") and subject.noun in in_class(name)]
            alike = {noun for kind in kinds for noun in members(kind)} - {subject.noun}
            same = [noun for noun in adjective.subjects if noun in alike and not nouns()[noun].mass]
            if adjective.zh_is or quality in UNCOMPARED or not same or nouns()[subject.noun].mass:
                continue
            noun = self.one(sorted(same))
            kin = noun in in_class("kin") or noun == "friend"
            other = Thing("o", noun, self.one(OWNERS) if kin else self.one(("the", "this", "that")))
            return Comparison(replace(subject, count=1), quality, other)

    def _things_and_place(self) -> tuple[str, Place]:
        """A noun and a place where one finds it."""
        spot = self.one(("on", "in", "under", "near", "out", "out"))
        if spot == "on":
            return self.one(members("on_table")), Place("on", self.one(members("surface")))
        if spot == "in":
            return self.one(members("in_box")), Place("in", self.one(members("inside_thing")))
        if spot == "under":
            return self.one(members("pet,ball,box,bag")), Place("under", self.one(members("under_thing")))
        if spot == "near":
            near = Place("near", self.one(members("near_thing")))
            return self.one(members("pet,chair,bicycle,flower,tree,horse")), near
        noun = self.one(members("pet,horse,bird,child,tree,flower,boy,girl,policeman,doctor,cow"))
        if noun == "doctor":
            return noun, self.where(self.one(("hospital", "school", "village", "hotel")))
        return noun, self.where(self.one(("park", "garden", "village", "forest", "beach")))

    def existence(self) -> Existence:
        noun, place = self._things_and_place()
        question = self.often(0.15)
        item = self.object(noun, "P", False, question)
        while item.determiner not in ("a", "some", "any", "number"):
            item = self.object(noun, "P", False, question)
        return Existence(replace(item, role="s"), place, question)

    def location(self) -> Location:
        noun, place = self._things_and_place()
        if noun in in_class("person"):
            item = Thing("s", noun, "the", 1 + self.often(0.2))
        else:
            which = self.one(("the", "the", "this", *OWNERS))
            item = Thing("s", noun, which, 1 + self.often(0.3), self.described(noun, 0.2))
            if item.noun in ("tree", "flower"):
                item = replace(item, determiner="the")
        draw = self.random.random()
        if draw < 0.2:
            return Location(item)
        return Location(item, place, negative=draw < 0.35, question=0.35 <= draw < 0.48)

    def but(self) -> But:
        """I like tea but I don't like coffee."""
        kind = members(self.one(("but_animals", "but_food", "but_drink", "but_games", "but_study")))
        first, second = self.random.sample(kind, 2)
        who, other = Thing("s", pronoun=self.one(("I", "you", "he", "she", "we", "they"))), None
        if self.often(0.5):
            other = self.other_person(who, "s")
        things = [Thing("o", noun, "bare", 1 if nouns()[noun].mass else 2) for noun in (first, second)]
        verb = "hate" if other is None and self.often(0.3) else "like"
        left = Clause(who, "like", "S", things[0])
        right = Clause(other or who, verb, "S", things[1], negative=other is None and verb == "like")
        return But(left, right)

    def how_many(self) -> HowMany:
        verb, tense, names = self.one((("have", "S", "owned"), ("read", "P", "readable"), ("buy", "P", "goods,fruit")))
        noun = self.one(members(names))
        subject = self.subject(members("person") + members("kin"), True)
        if subject.determiner == "number" or subject.pronoun in ("I", "we"):
            subject = Thing("s", pronoun="you")
        return HowMany(Thing("o", noun, "bare", 2, self.described(noun, 0.25)), subject, verb, tense)

    def fragment(self) -> Fragment:
        noun = self.one(members("animal,goods,fruit,person"))
        if noun == "friend":
            return Fragment(Thing("o", noun, self.one(OWNERS), 1 + self.often(0.4)))
        return Fragment(self.object(noun, "P", False, False))
