"""Laws of the three languages, checked on random sentences by rules written apart from the realisers."""

from __future__ import annotations

from itertools import pairwise

import pytest

from model.training.language.grammar import pairs
from model.training.language.lexicon import adjectives, nouns, verbs

NUMERALS = {"一", "两", "三", "四", "五", "六", "七", "八", "九", "十"}
VOWELS = "aeiouhéèêâîôœ"


@pytest.fixture(scope="module")
def chinese() -> list[tuple[str, ...]]:
    return [pair.target for pair in pairs("zh", 3000, seed=21)]


@pytest.fixture(scope="module")
def french() -> list[tuple[str, ...]]:
    return [pair.target for pair in pairs("fr", 3000, seed=21)]


def test_a_numeral_is_followed_by_the_measure_word_of_its_noun(chinese: list[tuple[str, ...]]) -> None:
    measures = {noun.zh: noun.measure for noun in nouns().values() if noun.measure}
    attributes = {a.zh for a in adjectives().values()} | {a.zh_predicate for a in adjectives().values()} | {"的"}
    containers, checked = {"杯", "瓶"}, 0
    for words in chinese:
        for i, word in enumerate(words):
            if word not in NUMERALS or words[i + 1] in containers:
                continue
            after = i + 2
            while words[after] in attributes:
                after += 1
            assert words[i + 1] == measures[words[after]], " ".join(words)
            checked += 1
    assert checked > 500


def test_colours_never_take_hen(chinese: list[tuple[str, ...]]) -> None:
    colours = {a.zh_predicate for a in adjectives().values() if a.zh_is}
    for words in chinese:
        for first, second in pairwise(words):
            assert not (first in ("很", "非常", "太") and second in colours), " ".join(words)


def test_mei_and_le_exclude_each_other(chinese: list[tuple[str, ...]]) -> None:
    verbs_zh = {verb.zh for verb in verbs().values()}
    for words in chinese:
        if "没" in words:
            verb = next(i for i in range(words.index("没"), len(words)) if words[i] in verbs_zh)
            assert words[verb + 1 : verb + 2] != ("了",), " ".join(words)


def test_tai_is_closed_by_le(chinese: list[tuple[str, ...]]) -> None:
    for words in chinese:
        if "太" in words:
            assert "了" in words[words.index("太") + 2 : words.index("太") + 3], " ".join(words)


def test_two_is_liang_before_a_measure_word(chinese: list[tuple[str, ...]]) -> None:
    assert not any("二" in words for words in chinese)


def test_french_elides_and_contracts(french: list[tuple[str, ...]]) -> None:
    elided = {"j'", "l'", "n'", "qu'", "d'", "m'", "t'", "s'", "c'"}
    full = {"je", "le", "la", "ne", "que", "de", "me", "te", "se"}
    for words in french:
        text = " ".join(words)
        for first, second in pairwise(words):
            vowel = second[0] in VOWELS or second == "y"
            assert not (first in elided and not vowel), text
            assert not (first in full and vowel), text
            assert (first, second) not in {("à", "le"), ("à", "les"), ("de", "le"), ("de", "les")}, text


def test_french_articles_and_adjectives_agree_with_the_noun(french: list[tuple[str, ...]]) -> None:
    """Around every noun: singular articles show its gender, and adjectives are the form that the lexicon gives."""
    gender: dict[str, set[tuple[bool, bool]]] = {}
    for noun in nouns().values():
        gender.setdefault(noun.fr, set()).add((noun.feminine, False))
        gender.setdefault(noun.fr_plural, set()).add((noun.feminine, True))
    feminine_only = {"la", "une", "ma", "ta", "sa", "cette"}
    masculine_only = {"le", "un", "ce", "cet", "du", "au"}
    plural_only = {"les", "des", "mes", "tes", "ses", "nos", "leurs", "ces", "aux", "deux", "trois", "quatre"}
    after = {a.french(f, p): (f, p) for a in adjectives().values() for f in (False, True) for p in (False, True)}
    shared = {form for form in after if sum(form in _forms(a) for a in adjectives().values()) > 1 or _epicene(form)}
    checked = 0
    for words in french:
        for i, word in enumerate(words[1:], 1):
            if word not in gender or len(gender[word]) > 1:
                continue
            ((feminine, plural),) = gender[word]
            before = words[i - 1]
            text = " ".join(words)
            assert not (before in feminine_only and (plural or not feminine)), text
            assert not (before in masculine_only and (plural or feminine)), text
            assert not (before in plural_only and not plural), text
            following = words[i + 1] if i + 1 < len(words) else ""
            if following in after and following not in shared:
                assert after[following] == (feminine, plural), text
                checked += 1
    assert checked > 100


def _forms(adjective) -> set[str]:
    return {adjective.french(f, p) for f in (False, True) for p in (False, True)}


def _epicene(form: str) -> bool:
    """Whether one form serves two genders or numbers (rouge, gris)."""
    return any(
        sum(a.french(f, p) == form for f in (False, True) for p in (False, True)) > 1 for a in adjectives().values()
    )


def test_place_of_french_adjectives(french: list[tuple[str, ...]]) -> None:
    fr_nouns = {noun.fr for noun in nouns().values()} | {noun.fr_plural for noun in nouns().values()}
    before = {form for a in adjectives().values() if a.before for form in _forms(a)}
    behind = {form for a in adjectives().values() if not a.before for form in _forms(a)} - before
    both = fr_nouns & (before | behind)
    for words in french:
        for first, second in pairwise(words):
            assert not (first in behind - both and second in fr_nouns - {"hier"}), " ".join(words)
            assert not (first in fr_nouns - both and second in before - {"gros", "grosse", "grosses"}), " ".join(words)


def test_ne_is_closed(french: list[tuple[str, ...]]) -> None:
    for words in french:
        if "ne" in words or "n'" in words:
            assert "pas" in words or "jamais" in words, " ".join(words)
