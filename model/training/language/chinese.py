"""Surface realisation of a sentence plan in Chinese, segmented into words."""

from __future__ import annotations

from functools import singledispatch

from model.training.language.lexicon import adjectives, in_class, nouns, times, verbs
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

NUMBERS = ("", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十")
PRONOUNS = {"I": "我", "you": "你", "he": "他", "she": "她", "we": "我们", "they": "他们", "it": "它", "this": "这"}
OWNERS = {"my": "我", "your": "你", "his": "他", "her": "她", "our": "我们", "their": "他们"}
ADVERBS = {"often": "经常", "always": "总是", "never": "从 不", "sometimes": "有时"}
CONTAINERS = {"cup": "杯", "glass": "杯", "bottle": "瓶"}
_AFTER = {"on": "上", "under": "下面", "near": "旁边"}


def _determiner(it: Thing, after_verb: bool, loose: bool) -> tuple[str, bool]:
    """(the word, whether a measure word follows). `loose`: in questions and negations "a" says nothing."""
    plural, which = it.count > 1, it.determiner
    if which == "number":
        return NUMBERS[it.count], True
    if which == "a":
        return ("", False) if loose else ("一", True)
    if which == "some":
        return "一些", False
    if which in ("this", "that"):
        word = "这" if which == "this" else "那"
        return (word + "些", False) if plural else (word, True)
    # A bare noun before the verb is definite; after it, or once it is described, 那 has to say so.
    if which == "the" and (after_verb or it.adjectives) and not nouns()[it.noun].mass and not it.other:
        return ("那些", False) if plural else ("那", True)
    return "", False


def thing(it: Thing, after_verb: bool = False, loose: bool = False, bare: bool = False) -> list[Piece]:
    """`bare`: a definite noun stays bare even after the verb (开 门)."""
    role = it.role
    if it.pronoun:
        return pieces(PRONOUNS[it.pronoun], f"{role}.noun")
    noun = nouns()[it.noun]
    if it.determiner in OWNERS:
        kin = it.noun in in_class("kin")
        said = pieces(f"{OWNERS[it.determiner]}{'' if kin else ' 的'}", f"{role}.det")
    else:
        word, measured = _determiner(it, after_verb and not bare, loose)
        said = pieces(word, f"{role}.det")
        if it.container:
            box = pieces(CONTAINERS[it.container], f"{role}.box")
            return [*said, *box, *pieces(noun.zh, f"{role}.noun")]
        if measured:
            said += pieces(noun.measure, f"{role}.det", f"{role}.noun")
    said += _described(it)
    said += pieces(noun.zh, f"{role}.noun")
    if it.noun in in_class("person") and it.plural and it.determiner == "the" and not after_verb and not it.adjectives:
        said += pieces("们", f"{role}.noun")
    if it.other:
        said += [*pieces("和", f"{role}.and"), *pieces(nouns()[it.other].zh, f"{role}.other")]
    return said


def _described(it: Thing) -> list[Piece]:
    """Attributive adjectives. Size comes first in English but next to the noun in Chinese: 黑色 的 小 猫."""
    said: list[Piece] = []
    for index, key in reversed(list(enumerate(it.adjectives))):
        adjective = adjectives()[key]
        outer = len(it.adjectives) > 1 and index == 1
        words = f"{adjective.zh_predicate if outer else adjective.zh} 的" if outer or adjective.zh_of else adjective.zh
        said += pieces(words, f"{it.role}.adj{index}")
    return said


def place(it: Place, at: bool = True) -> list[Piece]:
    """在 公园, 在 桌子 上. `at` False leaves 在 out (正在 already says it; existence begins with the place)."""
    inside = it.preposition == "in" and it.noun not in in_class("bare_place")
    after = "里" if inside else _AFTER.get(it.preposition, "")
    return [
        *pieces("在" if at else "", f"{it.role}.prep"),
        *pieces(nouns()[it.noun].zh, f"{it.role}.noun"),
        *pieces(after, f"{it.role}.prep"),
    ]


def _before_verb(clause: Clause) -> list[Piece]:
    """没, 不, 会, 想, 正在: what tense and negation put before the verb."""
    negative = clause.negative
    if clause.tense == "P":
        return pieces("没" if negative else "", "not")
    if clause.tense == "G":
        return [] if "wearing" in verbs()[clause.verb].flags else pieces("正在", "aux")
    said = pieces("不" if negative and clause.verb != "have" else "", "not")
    return said + pieces({"F": "会", "W": "想"}.get(clause.tense, ""), "want" if clause.tense == "W" else "aux")


def _verb(clause: Clause) -> list[Piece]:
    """The verb with its aspect and, for 给, the person it is given to."""
    verb = verbs()[clause.verb]
    done = clause.tense == "P" and not clause.negative
    if clause.verb == "have" and clause.negative:
        return pieces("没有", "not", "verb")
    head, _, tail = verb.zh.partition("_")
    said = pieces(head, "verb")
    to = thing(clause.recipient, after_verb=True) if clause.recipient else []
    if tail:
        said += [*to, *pieces(tail, "verb")]
    # An activity that fills the time at a place is told without 了: 昨天 在 公园 散步.
    durative = clause.object is None and not verb.flags & {"to", "at"} and clause.place and not clause.question
    if done and not durative and "after" not in verb.flags:
        said += pieces("了", "aux")
    if "wearing" in verb.flags and clause.tense == "G":
        said += pieces("着", "aux")
    return said if tail else said + to


@singledispatch
def say(plan: Plan) -> list[Piece]:
    """The words of a plan, without the final 。 or ？."""
    raise TypeError(f"{type(plan).__name__} is not a plan")


@say.register
def _(plan: Clause) -> list[Piece]:
    verb = verbs()[plan.verb]
    when = pieces(times()[plan.time].zh, "time") if plan.time else []
    subject = pieces("谁", "s.noun") if plan.question == "who" else thing(plan.subject)
    said = [*when, *subject] if plan.fronted else [*subject, *when]
    if plan.verb == "fit":
        return [*said, *pieces("放 不 进", "verb", "not"), *pieces(nouns()[plan.place.noun].zh, "place.noun")]
    said += pieces(ADVERBS.get(plan.adverb, ""), "often")
    said += _before_verb(plan)
    where = plan.place
    goal = verb.flags & {"to", "at", "after"}
    if where and not goal:
        said += place(where, at=plan.tense != "G" or "wearing" in verb.flags)
    said += _verb(plan)
    if where and goal:
        said += place(where) if "after" in verb.flags else pieces(nouns()[where.noun].zh, "place.noun")
    if plan.object:
        loose = plan.negative or plan.question == "yes"
        said += thing(plan.object, after_verb=True, loose=loose, bare="bare" in verb.flags)
    return said + pieces("吗" if plan.question == "yes" else "", "ask")


def _quality(key: str, degree: str, node: str, negative: bool = False, plain: bool = False) -> list[Piece]:
    """Predicate: 很 累, 太 累 了, 是 黑色 的; colours never take 很. `plain`: questions and 不 leave 很 out."""
    adjective = adjectives()[key]
    refused = pieces("不" if negative else "", f"{node}not")
    if adjective.zh_is:
        of = pieces("的", f"{node}quality")
        return [*refused, *pieces("是", f"{node}be"), *pieces(adjective.zh_predicate, f"{node}quality"), *of]
    quality = pieces(adjective.zh_predicate, f"{node}quality")
    if degree:
        strong = pieces("太" if degree == "too" else "非常", f"{node}degree")
        return [*refused, *strong, *quality, *pieces("了" if degree == "too" else "", f"{node}degree")]
    return [*refused, *pieces("" if negative or plain else "很", f"{node}be"), *quality]


@say.register
def _(plan: Quality) -> list[Piece]:
    said = thing(plan.subject) + _quality(plan.adjective, plan.degree, "", plan.negative, plan.question)
    return said + pieces("吗" if plan.question else "", "ask")


@say.register
def _(plan: Identity) -> list[Piece]:
    # A trade needs no article: 他 是 老师; a thing that is pointed at does: 这 是 一 本 书.
    trade = plan.subject.pronoun != "this"
    said = [*thing(plan.subject), *pieces("不" if plan.negative else "", "not"), *pieces("是", "be")]
    said += thing(plan.what, True, loose=trade or plan.negative or plan.question)
    return said + pieces("吗" if plan.question else "", "ask")


@say.register
def _(plan: Comparison) -> list[Piece]:
    quality = pieces(adjectives()[plan.adjective].zh_predicate, "quality")
    return [*thing(plan.subject), *pieces("比", "than"), *thing(plan.other), *quality]


@say.register
def _(plan: Existence) -> list[Piece]:
    said = [*place(plan.place, at=False), *pieces("有", "there"), *thing(plan.thing, True, loose=plan.question)]
    return said + pieces("吗" if plan.question else "", "ask")


@say.register
def _(plan: Location) -> list[Piece]:
    said = thing(plan.thing)
    if plan.place is None:
        return [*said, *pieces("在", "be"), *pieces("哪里", "where")]
    said += pieces("不" if plan.negative else "", "not")
    at, *rest = place(plan.place)
    said += [Piece(at.word, (*at.nodes, "be")), *rest]
    return said + pieces("吗" if plan.question else "", "ask")


@say.register
def _(plan: HowMany) -> list[Piece]:
    noun = nouns()[plan.thing.noun]
    said = thing(plan.subject) + pieces("会" if plan.tense == "F" else "", "aux")
    said += pieces(verbs()[plan.verb].zh, "verb") + pieces("了" if plan.tense == "P" else "", "aux")
    many = [*pieces("多少", "o.det"), *pieces(noun.measure, "o.det", "o.noun")]
    return [*said, *many, *_described(plan.thing), *pieces(noun.zh, "o.noun")]


@say.register
def _(plan: Because) -> list[Piece]:
    why = _quality(plan.adjective, plan.degree, "why.")
    return [*say(plan.clause), *pieces("，"), *pieces("因为", "why"), *pieces("它", "it"), *why]


@say.register
def _(plan: But) -> list[Piece]:
    return [*prefixed(say(plan.first), "1."), *pieces("，"), *pieces("但是", "but"), *prefixed(say(plan.second), "2.")]


@say.register
def _(plan: Fragment) -> list[Piece]:
    return thing(plan.thing, after_verb=True)
