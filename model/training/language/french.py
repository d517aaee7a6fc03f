"""Surface realisation of a sentence plan in French. Elided forms (j', l', n', qu') are words of their own."""

from __future__ import annotations

from functools import singledispatch

from model.training.language import french_words as fr
from model.training.language.french_words import joined, place, thing
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
    Plan,
    Quality,
    Thing,
    pieces,
    prefixed,
)

ADVERBS = {"often": "souvent", "always": "toujours", "never": "jamais", "sometimes": "parfois"}
ASK = "est-ce que"


def _clitic(clause: Clause) -> list[Piece]:
    """me, te, lui, l' …: object pronouns stand before the verb."""
    if clause.recipient and clause.recipient.pronoun:
        return pieces(fr.INDIRECT[clause.recipient.pronoun], "r.noun")
    if clause.object and clause.object.pronoun:
        return pieces(fr.DIRECT[clause.object.pronoun], "o.noun")
    return []


def _around(finite: list[Piece], clitic: list[Piece], clause: Clause) -> list[Piece]:
    """The finite verb with its clitic, ne … pas (ne … jamais) and adverb."""
    never = clause.adverb == "never"
    node = "often" if never else "not"
    no = clause.negative or never
    said = pieces("ne" if no else "", node) + clitic + finite
    if clause.negative:
        said += pieces("pas", "not")
    return said + pieces(ADVERBS.get(clause.adverb, ""), "often")


def _verbal(clause: Clause) -> list[Piece]:
    """Everything between the subject and the object."""
    verb, who = verbs()[clause.verb], fr.person(clause.subject)
    clitic = _clitic(clause)
    if clause.verb == "fit":
        return _around(pieces("tenaient" if clause.subject.plural else "tenait", "verb"), [], clause)
    if clause.tense in "FW":
        forms, node = (fr.ALLER, "aux") if clause.tense == "F" else (fr.VOULOIR, "want")
        return [*_around(pieces(forms[who], node), [], clause), *clitic, *pieces(verb.infinitive, "verb")]
    if clause.tense != "P":
        nodes = ("verb", "aux") if clause.tense == "G" else ("verb",)
        return _around(pieces(verb.present[who], *nodes), clitic, clause)
    participle = verb.participle
    if "etre" in verb.flags or "pronominal" in verb.flags:
        forms, participle = fr.ETRE, fr.agree(participle, clause.subject)
    else:
        forms = fr.AVOIR
        if clause.object and clause.object.pronoun:
            participle = fr.agree(participle, clause.object)
    if "pronominal" in verb.flags:
        clitic = pieces(fr.SELF[who], "verb")
    return [*_around(pieces(forms[who], "aux", "verb"), clitic, clause), *pieces(participle, "verb")]


def _clause(clause: Clause) -> list[Piece]:
    verb = verbs()[clause.verb]
    when = pieces(times()[clause.time].fr, "time") if clause.time else []
    ask = pieces(ASK, "ask") if clause.question == "yes" else []
    subject = pieces("qui", "s.noun") if clause.question == "who" else thing(clause.subject)
    said = [*(when if clause.fronted else []), *ask, *subject, *_verbal(clause)]
    if clause.object and not clause.object.pronoun:
        preposition = fr.object_preposition(clause.verb)
        generic = "generic" in verb.flags or bool(preposition)
        none = clause.negative or clause.adverb == "never"
        if "bare_fr" in verb.flags:  # parler français
            said += pieces(nouns()[clause.object.noun].fr, "o.noun")
        else:
            said += [*pieces(preposition, "o.det"), *thing(clause.object, generic, none)]
    if clause.recipient and not clause.recipient.pronoun:
        said += [*pieces("à", "r.prep"), *thing(clause.recipient)]
    if clause.place:
        said += place(clause.place)
    return said if clause.fronted else said + when


def _adjective(key: str, it: Thing, node: str = "quality") -> list[Piece]:
    return pieces(adjectives()[key].french(fr.feminine(it), fr.several(it)), node)


def _be(finite: str, negative: bool) -> list[Piece]:
    verb = pieces(finite, "be")
    return [*pieces("ne", "not"), *verb, *pieces("pas", "not")] if negative else verb


@singledispatch
def _say(plan: Plan) -> list[Piece]:
    raise TypeError(f"{type(plan).__name__} is not a plan")


def say(plan: Plan) -> list[Piece]:
    """The words of a plan, without the final punctuation."""
    return joined(_say(plan))


@_say.register
def _(plan: Clause) -> list[Piece]:
    return _clause(plan)


@_say.register
def _(plan: Quality) -> list[Piece]:
    be = (fr.WAS if plan.past else fr.ETRE)[fr.person(plan.subject)]
    ask = pieces(ASK, "ask") if plan.question else []
    degree = pieces({"very": "très", "too": "trop"}.get(plan.degree, ""), "degree")
    said = [*ask, *thing(plan.subject), *_be(be, plan.negative), *degree]
    return said + _adjective(plan.adjective, plan.subject)


@_say.register
def _(plan: Identity) -> list[Piece]:
    be = _be(fr.ETRE[fr.person(plan.subject)], plan.negative)
    what = thing(plan.what)
    trade = plan.subject.pronoun != "this"
    ask = pieces(ASK, "ask") if plan.question else []
    return [*ask, *thing(plan.subject), *be, *(what[1:] if trade else what)]


@_say.register
def _(plan: Comparison) -> list[Piece]:
    be = pieces(fr.ETRE[fr.person(plan.subject)], "be")
    said = [*thing(plan.subject), *be, *pieces("plus", "degree"), *_adjective(plan.adjective, plan.subject)]
    return [*said, *pieces("que", "than"), *thing(plan.other)]


@_say.register
def _(plan: Existence) -> list[Piece]:
    ask = pieces(ASK, "ask") if plan.question else []
    return [*ask, *pieces("il y a", "there"), *thing(plan.thing), *place(plan.place)]


@_say.register
def _(plan: Location) -> list[Piece]:
    be = fr.ETRE[fr.person(plan.thing)]
    if plan.place is None:
        return [*pieces("où", "where"), *pieces(be, "be"), *thing(plan.thing)]
    ask = pieces(ASK, "ask") if plan.question else []
    return [*ask, *thing(plan.thing), *_be(be, plan.negative), *place(plan.place)]


@_say.register
def _(plan: HowMany) -> list[Piece]:
    many = [*pieces("combien", "o.det"), *thing(plan.thing, negative=True)]
    asked = Clause(plan.subject, plan.verb, plan.tense)
    finite = [*thing(plan.subject), *_verbal(asked)]
    if plan.tense == "P":
        # The object stands before the verb, so the participle agrees with it: combien de pommes … achetées.
        last = finite.pop()
        finite.append(Piece(fr.agree(last.word, plan.thing), last.nodes))
    return [*many, *pieces(ASK, "ask"), *finite]


@_say.register
def _(plan: Because) -> list[Piece]:
    meant = plan.meant
    noun = nouns()[meant.noun]
    it = Thing("it", meant.noun)
    degree = pieces({"very": "très", "too": "trop"}.get(plan.degree, ""), "why.degree")
    why = [*pieces("parce que", "why"), *pieces("elle" if noun.feminine else "il", "it"), *pieces("était", "why.be")]
    return [*_clause(plan.clause), *why, *degree, *_adjective(plan.adjective, it, "why.quality")]


@_say.register
def _(plan: But) -> list[Piece]:
    return [*prefixed(_clause(plan.first), "1."), *pieces("mais", "but"), *prefixed(_clause(plan.second), "2.")]


@_say.register
def _(plan: Fragment) -> list[Piece]:
    return thing(plan.thing)
