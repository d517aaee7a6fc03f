"""French below the sentence: noun phrases that agree, verb forms, and what happens where two words meet."""

from __future__ import annotations

from model.training.language.lexicon import adjectives, in_class, nouns, verbs
from model.training.language.plans import Piece, Place, Thing, pieces

NUMBERS = ("", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix")
SUBJECTS = {"I": "je", "you": "tu", "he": "il", "she": "elle", "we": "nous", "they": "ils", "this": "ce"}
DIRECT = {"I": "me", "you": "te", "he": "le", "she": "la", "we": "nous", "they": "les", "it": "le"}
INDIRECT = {"I": "me", "you": "te", "he": "lui", "she": "lui", "we": "nous", "they": "leur"}
OWNERS = {
    "my": ("mon", "ma", "mes"),
    "your": ("ton", "ta", "tes"),
    "his": ("son", "sa", "ses"),
    "her": ("son", "sa", "ses"),
    "our": ("notre", "notre", "nos"),
    "their": ("leur", "leur", "leurs"),
}
CONTAINERS = {"cup": ("tasse", True), "glass": ("verre", False), "bottle": ("bouteille", True)}
PREPOSITIONS = {"in": "dans", "on": "sur", "under": "sous", "near": "près de", "at": "à", "to": "à"}
AVOIR = ("ai", "as", "a", "avons", "ont")
ETRE = ("suis", "es", "est", "sommes", "sont")
ALLER = ("vais", "vas", "va", "allons", "vont")
VOULOIR = ("veux", "veux", "veut", "voulons", "veulent")
WAS = ("étais", "étais", "était", "étions", "étaient")
SELF = ("me", "te", "se", "nous", "se")
_ELIDED = {"je", "le", "la", "ne", "que", "de", "me", "te", "se"}
_BEFORE_VOWEL = {
    "ma": "mon",
    "ta": "ton",
    "sa": "son",
    "ce": "cet",
    "beau": "bel",
    "nouveau": "nouvel",
    "vieux": "vieil",
}
_MERGED = {("à", "le"): "au", ("à", "les"): "aux", ("de", "le"): "du", ("de", "les"): "des"}


def vowel(word: str) -> bool:
    """Whether the word begins with a vowel sound; every h of our dictionary is silent."""
    return word[0] in "aeiouyhéèêâîôœà"


def joined(said: list[Piece]) -> list[Piece]:
    """What French does where words meet: j', l', qu' before a vowel; cet, bel, mon; au, aux, du, des."""
    out: list[Piece] = []
    for index, piece in enumerate(said):
        after = said[index + 1].word if index + 1 < len(said) else ""
        word = piece.word
        # "de le" before a noun contracts, but the pronoun "le" never follows "à" or "de" in our sentences.
        if after and vowel(after):
            if word in _ELIDED or (word == "ce" and after == "est"):
                word = word[:-1] + "'"
            elif word in _BEFORE_VOWEL and not any(node.endswith("plural") for node in piece.nodes):
                word = _BEFORE_VOWEL[word]
        if out and (out[-1].word, word) in _MERGED:
            before = out.pop()
            out.append(Piece(_MERGED[before.word, word], (*before.nodes, *piece.nodes)))
        else:
            out.append(Piece(word, piece.nodes))
    return out


def person(it: Thing) -> int:
    """Index into je, tu, il, nous, ils."""
    if it.pronoun:
        return {"I": 0, "you": 1, "he": 2, "she": 2, "it": 2, "this": 2, "we": 3, "they": 4}[it.pronoun]
    return 4 if it.plural else 2


def feminine(it: Thing) -> bool:
    return it.pronoun == "she" if it.pronoun else nouns()[it.noun].feminine


def several(it: Thing) -> bool:
    return it.pronoun in ("we", "they") if it.pronoun else it.plural


def agree(participle: str, it: Thing) -> str:
    """A participle that agrees with `it`: assis, assise, assises."""
    form = participle + ("e" if feminine(it) else "")
    return form + ("s" if several(it) and not form.endswith("s") else "")


def _article(it: Thing, generic: bool, negative: bool) -> str:
    noun, plural, which = nouns()[it.noun], it.count > 1, it.determiner
    gender = int(noun.feminine)
    if which in OWNERS:
        return OWNERS[which][2 if plural else gender]
    if which == "number":
        return "une" if it.count == 1 and gender else NUMBERS[it.count]
    if which in ("this", "that"):
        return "ces" if plural else ("ce", "cette")[gender]
    definite = "les" if plural else ("le", "la")[gender]
    if which == "the" or generic:
        return definite
    if negative:
        return "de"
    if noun.mass and not it.container:
        return f"de {definite}"
    before = bool(it.adjectives) and adjectives()[it.adjectives[0]].before
    return ("de" if before else "des") if plural else ("un", "une")[gender]


def thing(it: Thing, generic: bool = False, negative: bool = False) -> list[Piece]:
    """A noun phrase. `generic`: a bare noun is "les …" (aimer); `negative`: a, any, bare become "de"."""
    role = it.role
    if it.pronoun:
        return pieces(SUBJECTS[it.pronoun], f"{role}.noun")
    noun, plural = nouns()[it.noun], it.count > 1
    generic = generic and it.determiner == "bare"
    article = f"{role}.det"
    if it.container:
        box, female = CONTAINERS[it.container]
        counted = NUMBERS[it.count] if plural else "une" if female else "un"
        if negative and it.determiner == "a":
            counted = "de"
        said = [*pieces(counted, article), *pieces(box + "s" * plural, f"{role}.box"), *pieces("de", f"{role}.box")]
        return said + pieces(noun.fr, f"{role}.noun")
    said = pieces(_article(it, generic, negative), article)
    before, after = [], []
    for index, key in enumerate(it.adjectives):
        adjective = adjectives()[key]
        nodes = (f"{role}.adj{index}", *(("plural",) if plural else ()))
        (before if adjective.before else after).extend(pieces(adjective.french(noun.feminine, plural), *nodes))
    said += [*before, *pieces(noun.fr_plural if plural else noun.fr, f"{role}.noun"), *after]
    if it.other:
        second = nouns()[it.other]
        said += pieces("et", f"{role}.and")
        other = Thing(role, it.other, it.determiner, it.count)
        said += pieces(_article(other, generic, negative), f"{role}.det")
        said += pieces(second.fr_plural if plural else second.fr, f"{role}.other")
    return said


def place(it: Place) -> list[Piece]:
    """dans le parc, au marché, sur la table."""
    preposition = PREPOSITIONS[it.preposition]
    if it.preposition == "in" and it.noun in in_class("a_place"):
        preposition = "à"
    noun = nouns()[it.noun]
    return [
        *pieces(preposition, f"{it.role}.prep"),
        *pieces("la" if noun.feminine else "le", f"{it.role}.det"),
        *pieces(noun.fr, f"{it.role}.noun"),
    ]


def object_preposition(key: str) -> str:
    """jouer au football, jouer de la guitare: the preposition that this verb's object takes, or ""."""
    flags = verbs()[key].flags
    return "à" if "à" in flags else "de" if "de" in flags else ""
