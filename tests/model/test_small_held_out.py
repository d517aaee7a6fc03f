"""What a small model's held-out examples cost in an evaluation is what its card says, where it is asked the same."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

from model import evaluate, open_model
from model.small_families.registry import SMALL
from model.small_families.scores import held_out_examples

# Families whose examples all read as the same tokens once they are written out.
WHOLE = ("small-gpt2", "small-gpt-neo", "small-bart")
TOLD = 5e-5  # a card's loss has four decimals


@pytest.mark.parametrize("name", WHOLE)
def test_the_loss_is_that_of_the_card(name: str) -> None:
    model = open_model(name)
    examples, count = held_out_examples(SMALL[name], model.tokenizer)
    found = evaluate(model, examples, write=False)
    assert len(examples) == count == found.examples and found.tokens == model.card["labels"]
    assert found.loss == pytest.approx(model.card["loss"], abs=1.1 * TOLD)


@pytest.mark.parametrize("name", ["small-gpt", "small-t5"])
def test_what_is_left_of_the_others_costs_as_much_by_the_librarys_own_loss(name: str) -> None:
    model = open_model(name)
    examples, count = held_out_examples(SMALL[name], model.tokenizer)
    assert 0.8 * count < len(examples) < count
    some = examples[:40]
    found, total, tokens = evaluate(model, some, write=False), 0.0, 0
    module = type(model.untouched).from_pretrained(model.untouched.config.name_or_path).double().eval()
    for source, target in some:
        given = model.tokenizer(source, return_tensors="pt")
        labels = (
            given["input_ids"] if target is None else model.tokenizer(text_target=target, return_tensors="pt").input_ids
        )
        n = labels.shape[1] - (target is None)
        total, tokens = total + float(module(input_ids=given["input_ids"], labels=labels).loss.detach()) * n, tokens + n
    assert found.tokens == tokens and found.loss == pytest.approx(total / tokens, rel=1e-4)
    assert evaluate(model, examples, write=False).loss == pytest.approx(model.card["loss"], rel=0.2)


@pytest.mark.parametrize("name", ["small-bert", "small-xlnet"])
def test_masked_families_read_their_own_texts(name: str) -> None:
    model = open_model(name)
    examples, count = held_out_examples(SMALL[name], model.tokenizer, 12)
    found = evaluate(model, examples)
    assert len(examples) == count == found.examples and found.loss < 1.2 * model.card["loss"]
