"""The grammar says what was asked of it, word for word, aligned, apart by content, and the same for a seed."""

from __future__ import annotations

import pytest

from model.training.language.grammar import Pair, content_key, pairs, plans, split_of, translate
from model.training.language.lexicon import frames, times
from model.training.language.plans import Because, Clause, Existence, Fragment, Place, Plan, Thing
from model.training.language.random_plans import Sampler

CATS = Clause(Thing("s", pronoun="I"), "like", "S", Thing("o", "cat", "bare", 2))
SAT = Clause(Thing("s", "cat"), "sit", "P", place=Place("on", "mat"))
CROSS = Clause(Thing("s", "animal"), "cross", "P", Thing("o", "street"), negative=True)
BOUGHT = Clause(
    Thing("s", pronoun="I"),
    "buy",
    "P",
    Thing("o", "book", "number", 2),
    place=Place("at", "market"),
    time="yesterday",
    fronted=True,
)
GAVE = Clause(Thing("s", pronoun="she"), "give", "P", Thing("o", "apple", "a", 1, ("red",)), Thing("r", pronoun="he"))
SAID: list[tuple[Plan, str, str, str]] = [
    (CATS, "I like cats", "我 喜欢 猫", "j' aime les chats"),
    (SAT, "the cat sat on the mat", "猫 坐 在 垫子 上", "le chat s' est assis sur le tapis"),
    (
        Because(CROSS, "subject", "tired", "too"),
        "the animal didn't cross the street because it was too tired",
        "动物 没 过 马路 ， 因为 它 太 累 了",
        "l' animal n' a pas traversé la rue parce qu' il était trop fatigué",
    ),
    (
        Because(CROSS, "object", "wide", "too"),
        "the animal didn't cross the street because it was too wide",
        "动物 没 过 马路 ， 因为 它 太 宽 了",
        "l' animal n' a pas traversé la rue parce qu' elle était trop large",
    ),
    (GAVE, "she gave him a red apple", "她 给 了 他 一 个 红 苹果", "elle lui a donné une pomme rouge"),
    (Fragment(Thing("o", "cat", "number", 3, ("black",))), "three black cats", "三 只 黑 猫", "trois chats noirs"),
    (
        BOUGHT,
        "yesterday I bought two books at the market",
        "昨天 我 在 市场 买 了 两 本 书",
        "hier j' ai acheté deux livres au marché",
    ),
    (
        Existence(Thing("s", "cat", "a", 1, ("small", "black")), Place("under", "table")),
        "there is a small black cat under the table",
        "桌子 下面 有 一 只 黑色 的 小 猫",
        "il y a un petit chat noir sous la table",
    ),
]


@pytest.fixture(scope="module")
def sample() -> dict[str, list[Pair]]:
    return {language: pairs(language, 1000, seed=11) for language in ("zh", "fr")}


@pytest.mark.parametrize(("plan", "english", "chinese", "french"), SAID, ids=[case[1] for case in SAID])
def test_required_sentences_are_said_exactly(plan: Plan, english: str, chinese: str, french: str) -> None:
    for language, target in (("zh", chinese), ("fr", french)):
        pair = translate(plan, language)
        assert " ".join(pair.source) == english
        assert " ".join(pair.target) == target


def test_the_sampler_reaches_the_required_sentences() -> None:
    """Drawing clauses with like, and with sit, comes to the very sentences."""
    sampler = Sampler(0)
    for case in SAID[:2]:
        verb, words = case[0].verb, tuple(case[1].split())
        frame = next(frame for frame in frames() if frame.verb == verb and frame.pronouns)
        assert any(translate(sampler.clause(frame), "zh").source == words for _ in range(20_000)), words


def test_alignment_is_in_range_and_covers_the_content_words(sample: dict[str, list[Pair]]) -> None:
    # Words of the target that no English word stands behind: articles of generic nouns, commas.
    empty = {"zh": {"，"}, "fr": {"les", "le", "la", "l'", "de", "des", "du", "à", "au", "d'"}}
    for language, found in sample.items():
        for pair in found:
            assert len(pair.alignment) == len(pair.target)
            for word, positions in zip(pair.target, pair.alignment, strict=True):
                assert all(0 <= i < len(pair.source) for i in positions)
                assert positions or word in empty[language], (pair, word)


def test_every_english_word_but_function_words_is_translated(sample: dict[str, list[Pair]]) -> None:
    loose = {
        "the",
        "a",
        "an",
        "to",
        "was",
        "were",
        "is",
        "are",
        "do",
        "does",
        "did",
        "am",
        "any",
        "at",
        "in",
        "of",
        "more",
    }
    for found in sample.values():
        for pair in found:
            reached = {i for positions in pair.alignment for i in positions}
            missed = {word for i, word in enumerate(pair.source) if i not in reached}
            assert missed <= loose, (pair, missed)


def test_an_english_sentence_has_one_translation() -> None:
    sampler, known = Sampler(4), {}
    for _ in range(4000):
        plan = sampler.plan()
        said = {language: translate(plan, language) for language in ("zh", "fr")}
        target = (said["zh"].target, said["fr"].target)
        assert known.setdefault(said["zh"].source, target) == target


SIZES = (("train", 1000), ("validation", 150), ("test", 150))


def test_splits_are_disjoint_by_content() -> None:
    keys = {split: {content_key(pair.source) for pair in pairs("zh", count, 3, split)} for split, count in SIZES}
    assert not keys["train"] & keys["test"]
    assert not keys["train"] & keys["validation"]
    assert not keys["validation"] & keys["test"]
    assert split_of(["the", "dog", "sees", "the", "cat", "."]) == split_of(["the", "cat", "sees", "the", "dog"])


def test_a_seed_gives_the_same_sentences() -> None:
    assert pairs("fr", 200, 5) == pairs("fr", 200, 5)
    assert pairs("fr", 200, 5) != pairs("fr", 200, 6)


def test_both_languages_translate_the_same_sentences() -> None:
    assert [pair.source for pair in pairs("zh", 300, 9)] == [pair.source for pair in pairs("fr", 300, 9)]


def test_half_of_the_sentences_are_closed(sample: dict[str, list[Pair]]) -> None:
    for language, stops in (("zh", "。？"), ("fr", ".?")):
        closed = [pair for pair in sample[language] if pair.source[-1] in ".?"]
        assert 0.4 < len(closed) / len(sample[language]) < 0.6
        for pair in sample[language]:
            assert (pair.source[-1] in ".?") == (pair.target[-1] in stops)


def test_english_is_lower_case_but_for_i(sample: dict[str, list[Pair]]) -> None:
    words = {word for pair in sample["zh"] for word in pair.source}
    assert {word for word in words if word != word.lower()} == {"I"}


def test_every_time_and_language_is_reached() -> None:
    used = {plan.time for (plan, _), _ in zip(plans(1, "train"), range(4000), strict=False) if isinstance(plan, Clause)}
    assert used - {""} == set(times())
