"""The weights that ship do what their cards say, measured again on a sample of the test sets."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from model.checkpoints.own import OwnModel, load
from model.training.coreference import cases, coreference
from model.training.data import Vocabulary, data_hash
from model.training.evaluate import agreement, exact_match
from model.training.language.grammar import gold_alignment, split_of
from model.training.language.lexicon import nouns
from model.training.tasks.registry import SHIPPED, TASKS, held_out

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"
SAMPLE = 200
CASES = [(name, language) for name in SHIPPED for language in TASKS[name].starts]


@pytest.fixture(scope="module")
def models() -> dict[str, OwnModel]:
    return {name: load(CHECKPOINTS / name) for name in SHIPPED}


def vocabulary(model: OwnModel) -> Vocabulary:
    return Vocabulary(model.source.vocabulary, model.target.vocabulary, model.source.kind, model.starts)


@pytest.mark.parametrize(("name", "language"), CASES)
def test_card_claims_what_was_asked(name: str, language: str, models: dict[str, OwnModel]) -> None:
    card = models[name].card
    assert card["test"][language]["exact_match"] >= 0.99
    assert card["test"][language]["n"] >= 2000
    if name == "translate":
        assert card["alignment"][language]["predicting"]["agreement"] >= 0.85
    assert card["licence"] == "Apache-2.0" and card["command"] == f"python -m model train {name}"


@pytest.mark.parametrize(("name", "language"), CASES)
def test_data_is_what_the_weights_were_tested_on(name: str, language: str, models: dict[str, OwnModel]) -> None:
    """A change of the grammar or of the formats makes the weights stale: train again with the card's command."""
    assert data_hash(held_out(name, language, SAMPLE)) == models[name].card["test"][language]["sample_hash"]


@pytest.mark.parametrize(("name", "language"), CASES)
def test_exact_match_is_measured_again(name: str, language: str, models: dict[str, OwnModel]) -> None:
    """On 200 of the test examples the score is the card's, less three standard errors of such a sample."""
    model, examples = models[name], held_out(name, language, SAMPLE)
    claimed = model.card["test"][language]["exact_match"]
    score, failures = exact_match(model.module, examples, vocabulary(model))
    tolerance = 3 * math.sqrt(max(claimed * (1 - claimed), 0.005) / SAMPLE)
    assert score >= claimed - tolerance, failures[:3]


@pytest.mark.parametrize("language", ["zh", "fr"])
def test_the_best_head_aligns_words(language: str, models: dict[str, OwnModel]) -> None:
    model = models["translate"]
    claimed = model.card["alignment"][language]["predicting"]
    found = agreement(model.module, held_out("translate", language, SAMPLE), vocabulary(model))["predicting"]
    measured = found.scores[claimed["site"]][claimed["head"]]
    assert measured == pytest.approx(claimed["agreement"], abs=0.03)


def test_heads_that_know_what_it_is(models: dict[str, OwnModel]) -> None:
    """The card's heads for "it", measured again on a third of them: the adjective points at the noun."""
    model = models["translate"]
    claimed = model.card["coreference"]
    again = coreference(model.module, vocabulary(model), 100)
    for name in ("adjective_to_noun", "pronoun_to_adjective"):
        assert claimed[name]["share"] >= 0.85
        assert again[name]["share"] == pytest.approx(claimed[name]["share"], abs=0.1)


def test_coreference_cases_are_what_they_say() -> None:
    for case in cases(60):
        words, target = case.example.source, case.example.target
        assert split_of(words) == "test"
        assert words[case.it] == "it" and case.adjective == len(words) - 1
        assert words[case.noun] in nouns() or words[case.noun] in {noun.en_plural for noun in nouns().values()}
        feminine = next(noun.feminine for noun in nouns().values() if words[case.noun] in (noun.en, noun.en_plural))
        assert target[case.pronoun] == ("elle" if feminine else "il")


def test_test_sentences_are_not_training_sentences() -> None:
    for language in ("zh", "fr"):
        assert all(split_of(example.source) == "test" for example in held_out("translate", language, SAMPLE))


@pytest.mark.parametrize("name", SHIPPED)
def test_examples_of_the_card_can_be_typed(name: str, models: dict[str, OwnModel]) -> None:
    model = models[name]
    assert len(model.examples) == 8
    for text in model.examples:
        reading = model.read(text)
        assert reading.tokens and not reading.folded


@pytest.mark.parametrize("language", ["zh", "fr"])
def test_examples_of_the_translator_come_out_as_the_grammar_says(language: str, models: dict[str, OwnModel]) -> None:
    model = models["translate"]
    for text in model.examples:
        gold = gold_alignment(model.read(text).tokens, language)
        assert gold is not None, text
        assert tuple(model.trace(text, language=language).written()) in (gold.target, (*gold.target, "</s>"))


@pytest.mark.parametrize(
    ("text", "language", "target"),
    [
        ("I like cats", "zh", "我 喜欢 猫"),
        ("I like cats", "fr", "j' aime les chats"),
        ("the cat sat on the mat", "zh", "猫 坐 在 垫子 上"),
        ("the cat sat on the mat", "fr", "le chat s' est assis sur le tapis"),
        (
            "the animal didn't cross the street because it was too tired",
            "fr",
            "l' animal n' a pas traversé la rue parce qu' il était trop fatigué",
        ),
        (
            "the animal didn't cross the street because it was too wide",
            "fr",
            "l' animal n' a pas traversé la rue parce qu' elle était trop large",
        ),
        ("she gave him a red apple", "zh", "她 给 了 他 一 个 红 苹果"),
        ("three black cats", "zh", "三 只 黑 猫"),
        ("yesterday I bought two books at the market", "fr", "hier j' ai acheté deux livres au marché"),
    ],
)
def test_the_sentences_of_the_app(text: str, language: str, target: str, models: dict[str, OwnModel]) -> None:
    trace = models["translate"].trace(text, language=language)
    assert " ".join(trace.written()).removesuffix(" </s>") == target


@pytest.mark.parametrize(
    ("text", "iso"),
    [("November 22, 2026", "2026-11-22"), ("le 14 juillet 1989", "1989-07-14"), ("2008年8月8日星期五", "2008-08-08")],
)
def test_the_dates_of_the_app(text: str, iso: str, models: dict[str, OwnModel]) -> None:
    written = models["dates"].trace(text).written()
    assert "".join(written).removesuffix("</s>") == iso


def test_vocabulary_files_can_be_read_by_people() -> None:
    for name in SHIPPED:
        words = json.loads((CHECKPOINTS / name / "vocabulary.json").read_text(encoding="utf-8"))
        assert words["source"][0] == words["target"][0] == "<pad>" and "</s>" in words["target"]
        assert len(set(words["source"])) == len(words["source"])
        assert set(words["starts"].values()) <= set(words["target"])
