"""A sentence of our grammar -> its plan, or None: clauses and the other kinds of sentence, on top of `parse_phrases`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain

from model.training.language import english
from model.training.language.lexicon import adjectives, frames, nouns, reasons, times, verbs
from model.training.language.parse_phrases import Words, adjective_for, place, thing, whole
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
    Plan,
    Quality,
    Thing,
)

BE = {"am": "", "is": "", "are": "", "isn't": "not", "aren't": "not", "was": "past", "were": "past"}
_DO = {"do": "", "does": "", "did": "P", "will": "F", "don't": "", "doesn't": "", "didn't": "P", "won't": "F"}
_GIVING = ("give", "show", "send")


def parse(words: Words) -> Plan | None:
    """English words without punctuation -> the plan that says exactly them, or None."""
    found = chain(_joined(words), _questions(words), _being(words), _clauses(words), _fragments(words))
    return next((plan for plan in found if tuple(piece.word for piece in english.say(plan)) == words), None)


def _joined(words: Words) -> Iterator[Plan]:
    """… because it was too wide; … but …"""
    if "but" in words:
        middle = words.index("but")
        for first in _clauses(words[:middle]):
            yield from (But(first, second) for second in _clauses(words[middle + 1 :]))
    if "because" in words:
        middle = words.index("because")
        if words[middle + 1 : middle + 3] == ("it", "was") and len(words) == middle + 5:
            degree, quality = words[middle + 3 :]
            for clause in _clauses(words[:middle]):
                yield from _because(clause, degree, quality)


def _because(clause: Clause, degree: str, quality: str) -> Iterator[Plan]:
    """What `it` means is decided by the table of reasons."""
    other = clause.object or clause.place
    for reason in reasons():
        if other is None or clause.verb != reason.verb or other.noun not in reason.objects:
            continue
        for said_of, keys in (
            ("subject", reason.of_subject),
            ("object" if clause.object else "place", reason.of_object),
        ):
            meant = getattr(clause, said_of)
            if said_of == "subject" and not (isinstance(meant, Thing) and meant.noun in reason.subjects):
                continue
            yield from (Because(clause, said_of, key, degree) for key in keys if adjectives()[key].en == quality)


def _questions(words: Words) -> Iterator[Plan]:
    """Where …? How many …? There is …, is there …"""
    if words[0] == "where" and words[1:2] and words[1] in BE:
        yield from (Location(item) for item in whole(thing(words, 2, "s"), words))
    if words[:2] == ("how", "many"):
        for item, at in thing(words, 2, "o"):
            if at < len(words) and words[at] in _DO:
                for who, end in thing(words, at + 1, "s"):
                    tense = _DO[words[at]] or "S"
                    yield from (HowMany(item, who, key, tense) for key in _forms(0).get(words[end:], ()))
    asked = len(words) > 2 and words[0] in ("is", "are") and words[1] == "there"
    if asked or (words[0] == "there" and words[1:2] and words[1] in BE):
        for item, at in thing(words, 2, "s"):
            yield from (Existence(item, where, asked) for where in whole(place(words, at), words))


def _being(words: Words) -> Iterator[Plan]:
    """Sentences whose verb is "be": a quality, a place, a comparison, what something is."""
    asks = words[0] in BE
    start = 1 if asks else 0
    subjects = list(thing(words, start, "s"))
    if words[start : start + 1] == ("this",):
        subjects.append((Thing("s", pronoun="this"), start + 1))
    for who, at in subjects:
        verb = words[0] if asks else words[at] if at < len(words) else ""
        if verb not in BE:
            continue
        at += not asks
        negative = BE[verb] == "not"
        if verb == "am" and words[at : at + 1] == ("not",):
            negative, at = True, at + 1
        yield from (Location(who, where, negative, asks) for where in whole(place(words, at), words))
        yield from (Identity(who, what, negative, asks) for what in whole(thing(words, at, "o"), words))
        rest = words[at:]
        degree = rest[0] if len(rest) == 2 and rest[0] in ("very", "too") else ""
        if len(rest) == 1 + bool(degree) and (key := adjective_for(rest[-1], who.noun)):
            yield Quality(who, key, degree, BE[verb] == "past", negative, asks)
        yield from _comparisons(words, who, at)


def _comparisons(words: Words, who: Thing, at: int) -> Iterator[Plan]:
    if "than" not in words:
        return
    middle = words.index("than")
    for key, adjective in adjectives().items():
        more = (adjective.comparative,) if adjective.comparative else ("more", adjective.en)
        if words[at:middle] == more and adjective_for(adjective.en, who.noun) == key:
            yield from (Comparison(who, key, other) for other in whole(thing(words, middle + 1, "o"), words))


def _clauses(words: Words) -> Iterator[Clause]:
    """Clauses with a verb; the time phrase is taken off either end first."""
    for key, time in times().items():
        phrase = tuple(time.en.split())
        if words[-len(phrase) :] == phrase:
            yield from _timeless(words[: -len(phrase)], key, False)
        if words[: len(phrase)] == phrase:
            yield from _timeless(words[len(phrase) :], key, True)
    yield from _timeless(words, "", False)


def _timeless(words: Words, time: str, fronted: bool) -> Iterator[Clause]:
    if not words:
        return
    asks = words[0] in _DO or words[0] in BE
    question = "yes" if asks else "who" if words[0] == "who" else ""
    subjects = thing(words, 1 if asks else 0, "s") if question != "who" else iter([(Thing("s", pronoun="he"), 1)])
    for who, at in subjects:
        verb = words[0] if asks else words[at] if at < len(words) else ""
        auxiliary = verb if verb in _DO or verb in BE else ""
        at += bool(auxiliary and not asks)
        negative = auxiliary.endswith("n't")
        adverb = words[at] if at < len(words) and words[at] in english.ADVERBS else ""
        at += bool(adverb)
        for key, tense, end in _verbs(
            words, at, auxiliary, bool(adverb) or (bool(time) and times()[time].tenses == "H")
        ):
            head = Clause(who, key, tense, None, None, None, time, fronted, adverb, negative, question)
            yield from _complements(words, end, head)


@cache
def _forms(which: int) -> dict[Words, tuple[str, ...]]:
    """Form -> verbs. which: 0 base, 1 third person, 2 past, 3 -ing."""
    table: dict[Words, tuple[str, ...]] = {}
    for key, verb in verbs().items():
        form = (verb.en, verb.third, verb.past, verb.ing)[which]
        table[form] = (*table.get(form, ()), key)
    return table


def _verbs(words: Words, at: int, auxiliary: str, habit: bool) -> Iterator[tuple[str, str, int]]:
    """(verb, tense, next position) for what stands after the auxiliary."""
    wants = at + 1 < len(words) and words[at] in ("want", "wants") and words[at + 1] == "to"
    start = at + 2 if wants else at
    for size in (2, 1):
        form, end = words[start : start + size], start + size
        if wants:
            yield from ((key, "W", end) for key in _forms(0).get(form, ()))
        elif auxiliary in BE:
            yield from ((key, "G", end) for key in _forms(3).get(form, ()))
        elif auxiliary:
            yield from ((key, _DO[auxiliary] or _present(key), end) for key in _forms(0).get(form, ()))
        else:
            past = [] if habit else [(key, "P", end) for key in _forms(2).get(form, ())]
            present = (*_forms(0).get(form, ()), *_forms(1).get(form, ()))
            yield from (*past, *((key, _present(key), end) for key in present))


@cache
def _present(verb: str) -> str:
    """S for verbs of a state, else H."""
    return "S" if any(frame.verb == verb and "S" in frame.tenses for frame in frames()) else "H"


def _complements(words: Words, at: int, head: Clause) -> Iterator[Clause]:
    """Recipient, object and place, in this order, as far as the verb takes them."""
    recipients = thing(words, at, "r", True) if head.verb in _GIVING else iter([(None, at)])
    for recipient, after in recipients:
        for item, end in chain([(None, after)], thing(words, after, "o", True)):
            if not _takes(head.verb, item):
                continue
            for where, last in chain([(None, end)], place(words, end)):
                if last == len(words):
                    yield Clause(
                        head.subject, head.verb, head.tense, item, recipient, where, head.time, head.fronted,
                        head.adverb, head.negative, head.question,
                    )  # fmt: skip


@cache
def _senses(verb: str) -> tuple[str, ...]:
    return tuple(key for key in verbs() if key.partition("#")[0] == verb.partition("#")[0])


def _takes(verb: str, item: Thing | None) -> bool:
    """Whether this sense of the verb goes with the object; a verb of one sense is taken with any object."""
    mine = [frame for frame in frames() if frame.verb == verb]
    if item is None:
        return not mine or any(not frame.objects for frame in mine)
    if item.pronoun:
        return "clitic" in verbs()[verb].flags
    return len(_senses(verb)) == 1 or any(item.noun in frame.objects for frame in mine)


def _fragments(words: Words) -> Iterator[Plan]:
    return (Fragment(item) for item in whole(thing(words, 0, "o"), words) if item.noun in nouns())
