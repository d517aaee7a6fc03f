"""A sentence is read back into the plan that says it, so that the app can show the gold alignment of what is typed."""

from __future__ import annotations

import pytest

from model.training.language.grammar import gold_alignment, translate
from model.training.language.plans import asks
from model.training.language.random_plans import Sampler
from model.training.tasks.registry import held_out


def test_every_sampled_sentence_is_read_back() -> None:
    sampler = Sampler(8)
    for _ in range(1200):
        plan = sampler.plan()
        for language in ("zh", "fr"):
            said = translate(plan, language, stop=sampler.often(0.5))
            assert gold_alignment(said.source, language) == said
            assert asks(plan) == (translate(plan, language, True).source[-1] == "?")


@pytest.mark.parametrize(
    ("text", "french"),
    [
        ("the cat sat on the mat", "le chat s' est assis sur le tapis"),
        ("the dog chased the ball .", "le chien a poursuivi le ballon ."),
        ("where is my hat ?", "où est mon chapeau ?"),
        ("he is old", "il est vieux"),
    ],
)
def test_sentences_beyond_the_sampler_are_read_too(text: str, french: str) -> None:
    pair = gold_alignment(text.split(), "fr")
    assert pair is not None and " ".join(pair.target) == french
    assert len(pair.alignment) == len(pair.target)


@pytest.mark.parametrize(
    "text",
    ["", ".", "?", "a", "because", "but", "where is", "how many", "cat the sat", "the cat sat on the mat ?", "is", "I",
     "she is a", "the animal didn't cross the street because it was too big", "two of", "x" * 2000, "the " * 500],
)  # fmt: skip
def test_what_the_grammar_cannot_say_has_no_gold(text: str) -> None:
    assert gold_alignment(text.split(), "zh") is None


def test_held_out_examples_carry_their_alignment() -> None:
    for name, language in (("translate", "zh"), ("translate", "fr"), ("dates", "iso")):
        examples = held_out(name, language, 50)
        assert len(examples) == 50
        assert all(len(example.alignment) == len(example.target) for example in examples)
