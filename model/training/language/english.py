"""Surface realisation of a sentence plan in English. Lower case but for "I"; contractions are one word."""

from __future__ import annotations

from functools import singledispatch

from model.training.language.lexicon import adjectives, nouns, times, verbs
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
    Piece,
    Place,
    Plan,
    Quality,
    Thing,
    pieces,
    prefixed,
)

NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
OBJECTS = {"I": "me", "you": "you", "he": "him", "she": "her", "we": "us", "they": "them", "it": "it"}
ADVERBS = {"often": "often", "always": "always", "never": "never", "sometimes": "sometimes"}
# These subjects are not part of an English "the …" place.
_PLURAL_DETERMINERS = {"this": "these", "that": "those"}


def _an(words: list[Piece]) -> list[Piece]:
    """Write "an" before a vowel."""
    return [
        Piece("an", piece.nodes) if piece.word == "a" and after and after.word[0] in "aeiou" else piece
        for piece, after in zip(words, [*words[1:], None], strict=True)
    ]


def thing(it: Thing, as_object: bool = False) -> list[Piece]:
    role = it.role
    if it.pronoun:
        return pieces(OBJECTS[it.pronoun] if as_object else it.pronoun, f"{role}.noun")
    noun = nouns()[it.noun]
    determiner = it.determiner
    if determiner == "number":
        determiner = NUMBERS[it.count]
    elif it.plural and determiner in _PLURAL_DETERMINERS:
        determiner = _PLURAL_DETERMINERS[determiner]
    said = [] if determiner == "bare" else pieces(determiner, f"{role}.det")
    if it.container:
        container = it.container if it.count == 1 else it.container + ("es" if it.container == "glass" else "s")
        return [*said, *pieces(f"{container} of", f"{role}.box"), *pieces(noun.en, f"{role}.noun")]
    for index, key in enumerate(it.adjectives):
        said += pieces(adjectives()[key].en, f"{role}.adj{index}")
    said += pieces(noun.en_plural if it.count > 1 else noun.en, f"{role}.noun")
    if it.other:
        second = nouns()[it.other]
        said += pieces("and", f"{role}.and")
        said += pieces(second.en_plural if it.count > 1 else second.en, f"{role}.other")
    return said


def place(it: Place) -> list[Piece]:
    return [
        *pieces(it.preposition, f"{it.role}.prep"),
        *pieces("the", f"{it.role}.det"),
        *pieces(nouns()[it.noun].en, f"{it.role}.noun"),
    ]


def third(subject: Thing) -> bool:
    """Third person singular: does, has, is."""
    return subject.pronoun in ("he", "she", "it", "this") if subject.pronoun else not subject.plural


def _be(subject: Thing, past: bool = False) -> str:
    if past:
        return "was" if third(subject) or subject.pronoun == "I" else "were"
    return "am" if subject.pronoun == "I" else "is" if third(subject) else "are"


def _not(auxiliary: str) -> str:
    return {"am": "am not", "will": "won't"}.get(auxiliary, auxiliary + "n't")


def _verbal(clause: Clause) -> tuple[str, list[Piece]]:
    """(auxiliary or "", what follows it) for the clause's tense."""
    verb, tense = verbs()[clause.verb], clause.tense
    plain = clause.negative or clause.question == "yes"
    if tense == "G":
        return _be(clause.subject), pieces(verb.ing, "verb")
    if tense == "F":
        return "will", pieces(verb.en, "verb")
    if tense == "P":
        return ("did", pieces(verb.en, "verb")) if plain else ("", pieces(verb.past, "verb", "aux"))
    does = third(clause.subject)
    auxiliary = ("does" if does else "do") if plain else ""
    if tense == "W":
        want = "wants" if does and not plain else "want"
        return auxiliary, [*pieces(want, "want"), *pieces(("to", *verb.en), "verb")]
    return auxiliary, pieces(verb.third if does and not plain else verb.en, "verb")


@singledispatch
def say(plan: Plan) -> list[Piece]:
    """The words of a plan, without punctuation."""
    raise TypeError(f"{type(plan).__name__} is not a plan")


@say.register
def _(plan: Clause) -> list[Piece]:
    when = pieces(times()[plan.time].en, "time") if plan.time else []
    subject = pieces("who", "s.noun") if plan.question == "who" else thing(plan.subject)
    auxiliary, rest = _verbal(plan)
    said = list(when) if plan.fronted else []
    if plan.question == "yes":
        said += [*pieces(auxiliary, "aux", "ask"), *subject]
    else:
        said += subject
        if auxiliary:
            nodes = ("aux", "not") if plan.negative else ("aux",)
            said += pieces(_not(auxiliary) if plan.negative else auxiliary, *nodes)
    if plan.adverb:
        said += pieces(plan.adverb, "often")
    said += rest
    if plan.recipient:
        said += thing(plan.recipient, as_object=True)
    if plan.object:
        said += thing(plan.object, as_object=True)
    if plan.place:
        said += place(plan.place)
    return _an(said if plan.fronted else said + when)


@say.register
def _(plan: Quality) -> list[Piece]:
    be = _be(plan.subject, plan.past)
    subject = thing(plan.subject)
    verb = pieces(_not(be), "be", "not") if plan.negative else pieces(be, "be")
    said = [*pieces(be, "be", "ask"), *subject] if plan.question else [*subject, *verb]
    said += pieces(plan.degree, "degree")
    return said + pieces(adjectives()[plan.adjective].en, "quality")


@say.register
def _(plan: Identity) -> list[Piece]:
    be, subject = _be(plan.subject), thing(plan.subject)
    verb = pieces(_not(be), "be", "not") if plan.negative else pieces(be, "be")
    said = [*pieces(be, "be", "ask"), *subject] if plan.question else [*subject, *verb]
    return _an([*said, *thing(plan.what)])


@say.register
def _(plan: Comparison) -> list[Piece]:
    adjective = adjectives()[plan.adjective]
    more = (
        pieces(adjective.comparative, "quality", "degree")
        if adjective.comparative
        else [*pieces("more", "degree"), *pieces(adjective.en, "quality")]
    )
    return [*thing(plan.subject), *pieces(_be(plan.subject), "be"), *more, *pieces("than", "than"), *thing(plan.other)]


@say.register
def _(plan: Existence) -> list[Piece]:
    be, there = pieces("are" if plan.thing.plural else "is", "there"), pieces("there", "there")
    there = [Piece(be[0].word, ("there", "ask")), *there] if plan.question else [*there, *be]
    return _an([*there, *thing(plan.thing), *place(plan.place)])


@say.register
def _(plan: Location) -> list[Piece]:
    be = _be(plan.thing)
    if plan.place is None:
        return [*pieces("where", "where"), *pieces(be, "be"), *thing(plan.thing)]
    if plan.question:
        return [*pieces(be, "be", "ask"), *thing(plan.thing), *place(plan.place)]
    verb = pieces(_not(be), "be", "not") if plan.negative else pieces(be, "be")
    return [*thing(plan.thing), *verb, *place(plan.place)]


@say.register
def _(plan: HowMany) -> list[Piece]:
    verb = verbs()[plan.verb]
    auxiliary = {"P": "did", "F": "will"}.get(plan.tense) or ("does" if third(plan.subject) else "do")
    return [
        *pieces("how many", "o.det"),
        *thing(plan.thing),
        *pieces(auxiliary, "aux", "ask"),
        *thing(plan.subject),
        *pieces(verb.en, "verb"),
    ]


@say.register
def _(plan: Because) -> list[Piece]:
    first = say(plan.clause)
    return [
        *first,
        *pieces("because", "why"),
        *pieces("it", "it"),
        *pieces("was", "why.be"),
        *pieces(plan.degree, "why.degree"),
        *pieces(adjectives()[plan.adjective].en, "why.quality"),
    ]


@say.register
def _(plan: But) -> list[Piece]:
    return [*prefixed(say(plan.first), "1."), *pieces("but", "but"), *prefixed(say(plan.second), "2.")]


@say.register
def _(plan: Fragment) -> list[Piece]:
    return _an(thing(plan.thing))
