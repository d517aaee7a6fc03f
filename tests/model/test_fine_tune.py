"""A few steps of training: the first is Adam's by hand, the model that was given stays, what is saved opens again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from model import open_model
from model.errors import FineTuneNotSaved, FineTuneRefused, HeadlightError
from model.evaluation.run import evaluate
from model.fine_tune.fine_tune import fine_tune, usual
from model.fine_tune.save import save
from tests import bounds
from tests.model import tiny
from tests.model.test_evaluation import PAIRS, TEXTS
from tests.model.test_hugging_face import write as write_library

pytestmark = pytest.mark.float32


@pytest.fixture(scope="module", params=["own", "own-subwords", "gpt2", "bart", "bert"])
def opened(request, tmp_path_factory) -> object:
    folder = tmp_path_factory.mktemp(request.param) / request.param
    if request.param.startswith("own"):
        return open_model(tiny.write_checkpoint(folder, kind="subwords" if "-" in request.param else "words"))
    write_library(folder, request.param)
    if request.param == "bert":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.mask_token = "w96"
        tokenizer.save_pretrained(folder)
    return open_model(folder)


def examples_for(model) -> list:
    if model.name.startswith("own"):
        return PAIRS[:3]
    return [(TEXTS[0], TEXTS[1]), (TEXTS[1], TEXTS[2])] if model.name == "bart" else TEXTS[:3]


@pytest.fixture(scope="module")
def tuned(opened) -> tuple:
    state = {name: value.clone() for name, value in opened.module.state_dict().items()}
    return state, fine_tune(opened, examples_for(opened), steps=12, learning_rate=3e-3)


def test_it_learns_and_the_model_that_was_given_stays(opened, tuned) -> None:
    state, found = tuned
    after = opened.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in state.items())
    assert not any(p.grad is not None for p in opened.module.parameters())
    assert evaluate(opened, examples_for(opened)).loss == pytest.approx(found.before.loss, abs=bounds.WEIGHT)
    assert found.after.loss < found.before.loss - 0.05 and len(found.losses) == 12
    assert evaluate(found.model, examples_for(opened)).loss == pytest.approx(found.after.loss, abs=bounds.WEIGHT)
    if opened.name != "bert":  # which learns from other tokens at each step
        assert found.losses[0] == pytest.approx(found.before.loss, abs=bounds.WEIGHT)
    assert found.outputs and all(isinstance(one.before, str) for one in found.outputs)
    heads = sum(
        record.heads
        for record in opened.trace(TEXTS[0] if not opened.name.startswith("own") else tiny.TEXT).attention.values()
    )
    means = [change.mean for change in found.changes]
    assert len(means) == heads and means == sorted(means, reverse=True) and means[0] > 0
    assert found.model.weights_hash != opened.weights_hash


def test_what_is_saved_opens_and_is_the_same(opened, tuned, tmp_path: Path) -> None:
    _, found = tuned
    folder = save(found, tmp_path / "new")
    names = {path.name for path in folder.iterdir()}
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".partial"))]
    assert any(name.endswith(".safetensors") for name in names)
    again = open_model(folder)
    told = evaluate(again, examples_for(opened))
    assert told.loss == pytest.approx(found.after.loss, abs=bounds.WEIGHT)
    assert told.rows["tokens"] == found.after.rows["tokens"]
    assert again.trace(tiny.TEXT if opened.name == "own" else TEXTS[0]).fidelity().holds
    with pytest.raises(FineTuneNotSaved, match="lies there already"):
        save(found, folder)


def test_the_first_step_is_adams(tmp_path: Path) -> None:
    """After one step from m = v = 0 every weight has moved by lr · g / (|g| + ε), whatever the clipped gradient's size."""
    model = open_model(tiny.write_checkpoint(tmp_path / "own"))
    found = fine_tune(model, PAIRS[:2], steps=1, learning_rate=1e-3)
    module = model.module
    with torch.enable_grad():
        total, tokens = 0.0, 0
        for source, target in PAIRS[:2]:
            ids = [
                model.target.ids["<zh>"],
                *(model.target.ids[word] for word in target.split()),
                model.target.ids["</s>"],
            ]
            given = torch.tensor([[model.source.ids[word] for word in source.split()]])
            logits = module(given, torch.tensor([ids[:-1]]))[0].log_softmax(-1)
            total = total - logits.gather(1, torch.tensor(ids[1:])[:, None]).sum()
            tokens += len(ids) - 1
        gradients = torch.autograd.grad(total / tokens, list(module.parameters()), allow_unused=True)
    norm = torch.sqrt(sum(g.double().pow(2).sum() for g in gradients if g is not None))
    scale = min(1.0, 1.0 / float(norm))
    seen = 0
    for (name, before), after, gradient in zip(
        module.named_parameters(), found.model.module.parameters(), gradients, strict=True
    ):
        if gradient is None:
            continue
        g = gradient.double() * scale
        clear = g.abs() > 1e-5  # of smaller ones the two computations' rounding is a part that shows
        moved = (after - before).detach().double()
        wanted = -1e-3 * g / (g.abs() + 1e-9)
        torch.testing.assert_close(moved[clear], wanted[clear], atol=2e-6, rtol=0, msg=name)
        seen += int(clear.sum())
    assert seen > 1000


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path) -> None:
    model = open_model(tiny.write_checkpoint(tmp_path / "own"))
    for options, said in (({"steps": 0}, "1 to 200"), ({"learning_rate": 0.0}, "between 0 and 1")):
        with pytest.raises(FineTuneRefused, match=said):
            fine_tune(model, PAIRS, **options)
    with pytest.raises(FineTuneRefused, match="a handful"):
        fine_tune(model, [])
    with pytest.raises(HeadlightError, match="give pairs"):
        fine_tune(model, ["the cat"])
    with pytest.raises(FineTuneNotSaved):
        save(fine_tune(model, PAIRS[:1], steps=1), tmp_path / "own")


def test_the_same_seed_is_the_same_model(tmp_path: Path) -> None:
    folder = write_library(tmp_path / "gpt2", "gpt2")
    found = [fine_tune(open_model(folder), TEXTS[:2], steps=2).losses for _ in range(2)]
    assert found[0] == pytest.approx(found[1], abs=bounds.WEIGHT)


@pytest.mark.parametrize("name", ["small-gpt2", "small-bert", "small-t5", "small-xlnet"])
def test_a_few_sentences_are_learned_almost_by_heart_with_the_usual_settings(name: str) -> None:
    from model.small_families.registry import SMALL
    from model.small_families.scores import held_out_examples, held_out_texts

    model, family = open_model(name), SMALL[name]
    pairs = family.objective.reads == "pairs"
    given = held_out_examples(family, model.tokenizer)[0][:4] if pairs else [t.text for t in held_out_texts(family, 4)]
    steps, rate = usual(model)
    found = fine_tune(model, given, steps=steps, learning_rate=rate)
    assert found.before.loss > 0.5 and found.after.loss < 0.1 and found.after.accuracy > 0.95
