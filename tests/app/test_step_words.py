"""The page Step by step: what its formulas say beside the numbers."""

from __future__ import annotations


def test_the_input_of_cross_attention_is_told_in_words(visit) -> None:
    seen = visit("steps", text="I like cats", to="fr", site="decoder.1.cross").sound()
    formulas = [str(each.value) for each in seen.at.latex]
    told = [each for each in formulas if seen.say("steps.from_before") in each]
    assert told and all(seen.say("steps.from_encoder") in each for each in told)
    assert not [each for each in formulas if "decoder.1.self.norm" in each]


def test_the_products_for_a_calculator_are_arithmetic(visit) -> None:
    """As it stands it is read by anything that computes, and comes to the sum that is written beside it."""
    seen = visit("steps", text="I like cats", to="fr", site="decoder.1.cross").sound()
    (typed,) = [each.value for each in seen.at.code if " * " in each.value]
    assert set(typed) <= set("0123456789.+-*() ") and typed.count("*") == 32
    total = 0.0
    for product in typed.split(" + "):
        a, b = (float(factor.strip("()")) for factor in product.split(" * "))
        total += a * b
    shown = seen.say(
        "steps.calculator", printed=f"{total:.4f}".replace("-", "−"), exact="|", root="", score="", weight=""
    )
    assert any(shown.partition("|")[0] in caption.value for caption in seen.at.caption)
