"""The small trained models that ship: what their cards say, computed again by the library itself in float64."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch

from model import open_model
from model.checkpoints.disk.shipped import SHIPPED, shipped
from model.checkpoints.library import outputs
from model.families import CARDS
from model.training.language.texts import texts
from tests.model.library_truth import eager_weights

transformers = pytest.importorskip("transformers")

from model.small_families.registry import SMALL  # noqa: E402
from model.small_families.scores import gaps, held_out_batches, held_out_texts, summaries  # noqa: E402

pytestmark = pytest.mark.shipped
NAMES = sorted(SMALL)
GAPS = [name for name in NAMES if SMALL[name].score == "gap"]
CAUSAL = ["small-gpt", "small-gpt2", "small-gpt-neo"]


@cache
def library(name: str):
    """(the library's own class in float64, its tokenizer), without Headlight."""
    module = getattr(transformers, SMALL[name].model).from_pretrained(SHIPPED / name, dtype=torch.float64)
    return module.eval(), transformers.AutoTokenizer.from_pretrained(SHIPPED / name)


@cache
def opened(name: str):
    return open_model(name)


def test_every_family_of_the_page_has_one():
    assert {card.trained for card in CARDS} == {*NAMES, "translate"}
    assert set(NAMES) <= shipped().keys()


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_and_its_record_is_the_untouched_run(name: str):
    model = opened(name)
    assert model.opening is not None and model.opening.holds and not model.opening.missing
    assert not model.card["fresh"] and not model.card["unused"]
    trace = model.trace(model.card["examples"][0])
    assert trace.fidelity(plain=True).holds
    size = sum(file.stat().st_size for file in (SHIPPED / name).iterdir())
    assert size <= 2_000_000
    assert type(model.tokenizer).__name__ in (SMALL[name].tokenizer, "RobertaTokenizer")


@pytest.mark.parametrize("name", NAMES)
def test_its_held_out_loss_is_the_librarys_in_float64(name: str):
    module, tokenizer = library(name)
    card, total, count = shipped()[name], 0.0, 0
    family = SMALL[name]
    for batch in held_out_batches(family, tokenizer, held_out_texts(family)):
        labels = batch["labels"][:, 1:] if family.objective.shifted else batch["labels"]
        told = int((labels != -100).sum())
        if told:
            given = {key: value.double() if value.is_floating_point() else value for key, value in batch.items()}
            with torch.no_grad():
                total, count = total + float(_run(module, given).loss) * told, count + told
    assert count == card["labels"]
    assert abs(total / count - card["loss"]) < 1e-3
    assert abs(math.exp(total / count) - card["perplexity"]) < 1e-2 * card["perplexity"]
    assert card["guess"] == round(math.log(len(tokenizer)), 4)
    assert card["loss"] < card["guess"] / 3


def _run(module, batch):
    """The library's XLNet makes its positions in float32, whatever its weights are."""
    if isinstance(module, transformers.XLNetLMHeadModel):
        single = {key: value.float() if value.is_floating_point() else value for key, value in batch.items()}
        return module.float()(**single)
    return module(**batch)


@pytest.mark.parametrize("name", GAPS)
def test_it_fills_gaps_as_often_as_its_card_says(name: str):
    module, tokenizer = library(name)
    made, card = gaps(tokenizer, held_out_texts(SMALL[name])), shipped()[name]
    right = 0
    for ids, at, wanted in made:
        assert ids[at] == tokenizer.mask_token_id
        with torch.no_grad():
            right += int(module.float()(torch.tensor([ids])).logits[0, at].argmax()) == wanted
    assert len(made) == card["gaps"] and abs(right / len(made) - card["gap_share"]) < 0.02  # one or two may be ties
    assert card["gap_share"] > 0.5


def test_it_summarises_as_often_as_its_card_says():
    module, tokenizer = library("small-t5")
    right, pairs, card = 0, summaries(shipped()["small-t5"]["summaries"]), shipped()["small-t5"]
    for at in range(0, len(pairs), 50):
        group = pairs[at : at + 50]
        read = tokenizer([f"summarize: {text.text}" for text in group], return_tensors="pt", padding=True)
        ids = module.generate(**read, max_new_tokens=40, do_sample=False)
        for text, said in zip(group, tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True):
            right += said == text.summary
    assert abs(right / len(pairs) - card["exact_match"]) < 0.02
    assert card["exact_match"] > 0.5


def test_a_training_step_on_a_summary_lowers_its_loss():
    step = outputs.training_step(
        opened("small-t5"), "summarize: the cat is on the mat. the cat is old.", "the old cat is on the mat."
    )
    assert step.loss_after < step.loss_before < 2


@cache
def grammar_words() -> frozenset[str]:
    """Every word of twenty thousand training texts."""
    found = set()
    stream = texts(0, "train")
    for _ in range(20_000):
        found |= set(_words(next(stream).text))
    return frozenset(found)


def _words(text: str) -> list[str]:
    return text.replace(".", " ").replace("?", " ").split()


@pytest.mark.parametrize("name", CAUSAL)
def test_once_upon_a_time_goes_on_in_the_grammars_words(name: str):
    model = opened(name)
    samples = outputs.sample(model, "once upon a time", count=3, temperature=0.7, top_k=50, top_p=1.0, seed=0)
    assert len({sample.text for sample in samples}) == 3
    for sample in samples:
        told = _words(sample.text.split("<|endoftext|>")[0])
        assert len(told) > 6 and told[4:7] == ["there", "was", told[6]]
        assert set(told) <= grammar_words(), set(told) - grammar_words()


@pytest.mark.parametrize("name", NAMES)
def test_the_head_to_look_at_has_its_number_by_the_librarys_own_weights(name: str):
    """Of the first texts of those that were measured, by the weights that the library's eager run returns."""
    card = shipped()[name]
    site, head = card["head"]
    kind, told = next(iter(card["heads"].items()))
    assert [told["site"], told["head"]] == [site, head] and f"{told['value']:.0%}" in card["notice"]["en"]
    hits = eager_weights(SHIPPED / name, SMALL[name], kind, site, head, 60)
    assert abs(sum(hits) / len(hits) - told["value"]) < 0.02  # ties that rounding decides
    assert told["value"] > 0.3
