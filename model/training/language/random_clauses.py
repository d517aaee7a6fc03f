"""Random noun phrases and clauses: the part of `random_plans` that knows what goes with which verb."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import accumulate
from random import Random

from model.training.language.english import ADVERBS
from model.training.language.lexicon import Frame, adjectives, frames, in_class, members, nouns, times, verbs
from model.training.language.plans import PRONOUNS, Clause, Place, Thing

OWNERS = ("my", "my", "his", "her", "your", "our", "their")
_LONG = ("last_week", "last_year", "next_week")  # one doesn't sleep "next week"
COLOURS = ("black", "white", "red", "blue", "green", "yellow", "grey")
_OWN = {"I": "my", "you": "your", "he": "his", "she": "her", "we": "our", "they": "their"}
SIZES = ("big", "small", "big#fat")


@cache
def _attributes() -> dict[str, tuple[str, ...]]:
    """Noun -> keys of the adjectives that may stand before it."""
    return {noun: tuple(key for key, a in adjectives().items() if noun in a.nouns) for noun in nouns()}


@cache
def _frame_weights() -> tuple[tuple[Frame, ...], tuple[float, ...]]:
    return frames(), tuple(accumulate(frame.weight for frame in frames()))


class Clauses:
    """Noun phrases and clauses with a verb, drawn at random from the frames of the lexicon."""

    def __init__(self, seed: int):
        self.random = Random(seed)

    def often(self, probability: float) -> bool:
        return self.random.random() < probability

    def one(self, items):
        return items[int(self.random.random() * len(items))]

    # Noun phrases

    def described(self, noun: str, chance: float = 0.35) -> tuple[str, ...]:
        """No adjective, one, or a size and a colour."""
        found = _attributes()[noun]
        if not found or not self.often(chance):
            return ()
        first = self.one(found)
        colours = [key for key in found if key in COLOURS]
        if first in SIZES and colours and self.often(0.4):
            return first, self.one(colours)
        return (first,)

    def subject(self, choices: tuple[str, ...], pronouns: bool, tense: str = "P") -> Thing:
        if pronouns and self.often(0.4):
            return Thing("s", pronoun=self.one(PRONOUNS))
        noun = self.one(choices)
        if noun in in_class("kin"):
            return Thing("s", noun, self.one(OWNERS))
        if noun in ("friend",):
            return Thing("s", noun, self.one(OWNERS), 1 + self.often(0.3))
        draw = self.random.random()
        plural = 2 if self.often(0.3) else 1
        if draw < 0.12 and tense in "PGF":
            return Thing("s", noun, "number", self.random.randint(2, 5), self.described(noun, 0.3))
        if draw < 0.22:
            return Thing("s", noun, self.one(("this", "that")), plural, self.described(noun, 0.15))
        if draw < 0.3 and noun in in_class("pet"):
            return Thing("s", noun, self.one(OWNERS), plural)
        return Thing("s", noun, "the", plural, self.described(noun, 0.25))

    def owner(self, subject: Thing | None) -> str:
        """Whose: mostly the subject's own, as people talk."""
        own = _OWN.get(subject.pronoun) if subject else None
        return own if own and self.often(0.7) else self.one(OWNERS)

    def object(self, noun: str, tense: str, generic: bool, loose: bool, subject: Thing | None = None) -> Thing:
        """`loose`: after not and in questions "some" is "any"."""
        if noun in in_class("kin"):
            return Thing("o", noun, self.owner(subject))
        if nouns()[noun].mass:
            return self._mass(noun, tense, generic, loose)
        adjectives_ = self.described(noun)
        definite = self.often(0.3)
        if generic and not definite:
            if noun in in_class("liked_pair") and self.often(0.25):
                pair = next(name for name in ("pair_animals", "pair_food", "pair_text") if noun in in_class(name))
                others = [other for other in members(pair) if other != noun]
                return Thing("o", noun, "bare", 2, other=self.one(others))
            return Thing("o", noun, "bare", 2, adjectives_ if self.often(0.5) else ())
        if tense == "H":
            return Thing("o", noun, "bare", 2, adjectives_ if self.often(0.4) else ())
        plural = 2 if self.often(0.3) else 1
        if definite:
            draw = self.random.random()
            if draw < 0.55:
                return Thing("o", noun, "the", plural, adjectives_)
            if draw < 0.8 or noun not in in_class("ownable"):
                return Thing("o", noun, self.one(("this", "that")), plural, adjectives_)
            return Thing("o", noun, self.owner(subject), plural, adjectives_)
        draw = self.random.random()
        if draw < 0.5:
            return Thing("o", noun, "a", 1, adjectives_)
        if draw < 0.8 and not loose:
            return Thing("o", noun, "number", min(self._number(), 4 if tense == "G" else 10), adjectives_)
        return Thing("o", noun, "any" if loose else "some", 2, adjectives_)

    def _number(self) -> int:
        return self.random.choices((1, 2, 3, 4, 5, 6, 7, 8, 9, 10), (2, 8, 7, 5, 4, 2, 2, 2, 1, 2))[0]

    def _mass(self, noun: str, tense: str, generic: bool, loose: bool) -> Thing:
        if generic or noun in in_class("abstract") or tense == "H":
            return Thing("o", noun, "bare")
        draw = self.random.random()
        if noun in in_class("drink") and draw < 0.45 and not loose:
            choices = [box for box in ("cup", "glass", "bottle") if noun in in_class(f"{box}_drink")]
            box, count = self.one(choices), self.one((1, 1, 2, 3))
            return Thing("o", noun, "a" if count == 1 else "number", count, container=box)
        if draw < 0.7 or tense in "WF":
            return Thing("o", noun, "bare", 1, self.described(noun, 0.2))
        return Thing("o", noun, "any" if loose else self.one(("the", "some")), 1)

    def where(self, noun: str) -> Place:
        if noun in in_class("at_place"):
            return Place("at", noun)
        return Place("on" if noun in in_class("on_place") else "in", noun)

    def other_person(self, subject: Thing, role: str = "o") -> Thing:
        """A pronoun that cannot mean the subject: not "I saw me", not "we saw me"."""
        ours = {"I", "we"} if subject.pronoun in ("I", "we") else {subject.pronoun}
        return Thing(role, pronoun=self.one([pronoun for pronoun in PRONOUNS if pronoun not in ours]))

    # Clauses

    def clause(self, frame: Frame | None = None) -> Clause:
        if frame is None:
            table, weights = _frame_weights()
            frame = self.random.choices(table, cum_weights=weights)[0]
        verb = verbs()[frame.verb]
        tense = self.one(frame.tenses)
        subject = self.subject(frame.subjects, frame.pronouns, tense)
        if "wearing" in verb.flags and not subject.pronoun:
            which = "the" if subject.determiner == "number" else subject.determiner
            subject = replace(subject, count=1, determiner=which)
        draw = self.random.random()
        negative = draw < 0.16 and tense != "G"
        question = "yes" if 0.16 <= draw < 0.26 else "who" if 0.26 <= draw < 0.29 and frame.pronouns else ""
        if frame.verb == "sit":
            question = ""
        if question == "yes" and subject.determiner == "number":
            question = ""
        if question == "who":
            subject = Thing("s", pronoun="he")
        if negative and subject.determiner == "number":
            subject = replace(subject, determiner="the")
        if question == "yes" and subject.pronoun in ("I", "we"):
            subject = Thing("s", pronoun="you")
        built = Clause(subject, frame.verb, tense, negative=negative, question=question)
        if frame.objects:
            built = replace(built, object=self._object(frame, built))
        built = self._when(built)
        return self._somewhere(built, frame, goal=bool(verb.flags & {"to", "at", "after"}))

    def _object(self, frame: Frame, clause: Clause) -> Thing:
        verb, loose = verbs()[frame.verb], clause.negative or clause.question == "yes"
        noun = self.one(frame.objects)
        if "clitic" in verb.flags and noun in in_class("someone") and self.often(0.45):
            return self.other_person(clause.subject)
        if noun in in_class("person") and frame.verb in ("know", "help"):
            return Thing("o", noun, self.one(("the", "this", "that")), 1 + self.often(0.2))
        if noun in in_class("go_place") or noun in in_class("sight") or frame.verb == "play#music":
            return Thing("o", noun, "the")
        if frame.verb in ("climb", "cross"):
            return Thing("o", noun, "the", 1, self.described(noun, 0.25))
        found = self.object(noun, clause.tense, "generic" in verb.flags, loose, clause.subject)
        if "wearing" in verb.flags and found.determiner != "a":
            return replace(found, determiner=self.one(("the", "a", "this")), count=1)
        if found.container and not clause.subject.pronoun and clause.subject.noun in in_class("animal"):
            return Thing("o", noun, "bare")
        return found

    def _when(self, clause: Clause) -> Clause:
        if clause.tense in "PFH":
            # A finished activity without object, place or time sounds unfinished in Chinese.
            brief = not clause.object and not verbs()[clause.verb].flags & {"to", "at", "after"}
            timed = clause.tense == "H" or (brief and clause.tense == "P") or self.often(0.55)
            if clause.tense == "H" and not clause.negative and not clause.question and self.often(0.5):
                return replace(clause, adverb=self.one(tuple(ADVERBS)))
            if clause.tense == "H" and clause.negative:
                return clause
            if timed:
                fit = [key for key, time in times().items() if clause.tense in time.tenses]
                chosen = self.one([key for key in fit if not (brief and key in _LONG)])
                return replace(clause, time=chosen, fronted=not clause.question and self.often(0.3))
        return clause

    def _somewhere(self, clause: Clause, frame: Frame, goal: bool) -> Clause:
        if not frame.places:
            return clause
        short = clause.object is None
        asked = clause.negative or clause.question == "who"
        if goal or self.often(0.1 if asked else 0.55 if short else 0.28):
            noun = self.one(frame.places)
            flags = verbs()[clause.verb].flags
            if "to" in flags:
                return replace(clause, place=Place("to", noun))
            if "at" in flags:
                return replace(clause, place=Place("at", noun))
            on = noun in in_class("surface")
            return replace(clause, place=Place("on", noun) if on else self.where(noun))
        return clause
