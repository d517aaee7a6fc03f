"""The loop learns, gives the same bits for the same seed, and never harms the weights that are there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.errors import UnknownOption
from model.training import recipes
from model.training.data import Example, Vocabulary, batches, data_hash, encode
from model.training.evaluate import agreement, exact_match, validation_loss
from model.training.recipes import Run
from model.training.train import TrainingInterrupted, learning_rate, loss_of, optimise, start, train

TINY = {"d_model": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 32, "max_length": 20}


def copying(split: str, language: str, count: int, seed: int) -> list[Example]:
    """A task that a tiny model learns: write the source again; every word is aligned with itself."""
    generator = torch.Generator().manual_seed(seed + len(split))
    examples = []
    for _ in range(count):
        length = int(torch.randint(1, 5, (), generator=generator))
        words = tuple("abcde"[i] for i in torch.randint(5, (length,), generator=generator))
        examples.append(Example(words, words, language, tuple((i,) for i in range(length))))
    return examples


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> recipes.Recipe:
    made = recipes.Recipe(
        "tiny", "words", {"x": "<x>"}, copying, train_size=200, steps=20, batch=16, sizes=TINY, warmup=5, dropout=0.1,
        peak=1e-2, test_size=30, validation_size=30, card={"examples": ["a b"]},
    )  # fmt: skip
    monkeypatch.setitem(recipes.RECIPES, "tiny", made)
    return made


def trained(made: recipes.Recipe, seed: int, steps: int = 20) -> Run:
    examples = copying("train", "x", made.train_size, seed)
    words = Vocabulary.of(examples, "words", made.starts)
    run = start(made, words, seed)
    torch.set_num_threads(1)
    return optimise(run, encode(examples, words), encode(examples[:30], words), steps, seed)


def test_twenty_steps_lower_the_loss(tiny: recipes.Recipe) -> None:
    run = trained(tiny, 0)
    assert run.curve[0][0] == 1 and run.curve[-1][0] == 20
    assert run.curve[-1][1] < run.curve[0][1] - 0.3
    assert run.curve[-1][2] < run.curve[0][2] - 0.3


def test_a_seed_gives_the_same_bits(tiny: recipes.Recipe) -> None:
    first, again, other = trained(tiny, 3), trained(tiny, 3), trained(tiny, 4)
    weights = [list(run.average.state_dict().values()) for run in (first, again, other)]
    assert all(torch.equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights[0], weights[2], strict=True))
    assert first.curve == again.curve


def test_checkpoint_opens_and_its_card_is_complete(tiny: recipes.Recipe, tmp_path: Path) -> None:
    from model.checkpoints.own import load

    said = train("tiny", tmp_path, steps=20, progress=False)
    assert said.startswith(f"{tmp_path}: 20 steps in ") and "exact match on the test set: x " in said
    opened = load(tmp_path)
    assert opened.languages == ("x",) and opened.source.vocabulary[0] == "<pad>"
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert card["test"]["x"]["n"] == 30 and card["seed"] == 0 and card["steps"] == 20
    assert card["alignment"]["x"]["predicting"]["site"] == "decoder.0.cross"
    assert card["parameters"] == sum(p.numel() for p in opened.module.parameters())
    assert all(len(point) == len(card["curve_columns"]) for point in card["curve"])


def test_it_writes_below_the_current_folder(
    tiny: recipes.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train("tiny", steps=2, progress=False).startswith("checkpoints/tiny: 2 steps in ")
    assert (tmp_path / "checkpoints" / "tiny" / "weights.safetensors").is_file()


def test_interrupted_training_keeps_the_good_weights(tiny: recipes.Recipe, tmp_path: Path) -> None:
    train("tiny", tmp_path, steps=5, progress=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def stop(step: int, _steps: int, _values: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted, match="stopped at step 3 of 5"):
        train("tiny", tmp_path, steps=5, seed=1, progress=stop)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.pop("weights.safetensors.partial")
    assert after == before


def test_an_unknown_recipe_is_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownOption, match="translate, dates"):
        train("poems")


def test_learning_rate_warms_up_then_falls_to_zero() -> None:
    rates = [learning_rate(step, 1000, 1e-3, 100) for step in range(1, 1001)]
    assert rates.index(max(rates)) == 99 and max(rates) == pytest.approx(1e-3)
    assert rates[:100] == sorted(rates[:100]) and rates[99:] == sorted(rates[99:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_loss_ignores_padding() -> None:
    logits = torch.randn(2, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([[3, 4, 0], [5, 0, 0]])
    by_hand = -torch.stack(
        [logits[0, 0].log_softmax(-1)[3], logits[0, 1].log_softmax(-1)[4], logits[1, 0].log_softmax(-1)[5]]
    )
    torch.testing.assert_close(loss_of(logits, wanted, 0.0), by_hand.mean(), rtol=0, atol=1e-12)


def test_batches_are_of_like_length_and_take_everything() -> None:
    examples = copying("train", "x", 160, 0)
    data = encode(examples, Vocabulary.of(examples, "words", {"x": "<x>"}))
    endless = batches(data, 16, torch.Generator().manual_seed(0))
    seen = [next(endless) for _ in range(10)]
    assert sorted(torch.cat(seen).tolist()) == list(range(160))
    assert sum(int(data.lengths[rows].max() - data.lengths[rows].min()) for rows in seen) <= 10


def test_vocabulary_starts_with_padding_starts_and_end() -> None:
    examples = [Example(("b", "a"), ("y",), "two"), Example(("c",), ("x", "y"), "one")]
    words = Vocabulary.of(examples, "words", {"one": "<1>", "two": "<2>"})
    assert words.source == ("<pad>", "a", "b", "c")
    assert words.target == ("<pad>", "<1>", "<2>", "</s>", "x", "y")


def test_exact_match_and_agreement_know_a_perfect_and_a_useless_model(tiny: recipes.Recipe) -> None:
    examples = copying("test", "x", 30, 1)
    words = Vocabulary.of(examples, "words", tiny.starts)
    run = start(replace(tiny, dropout=0.0), words, 0)
    share, failures = exact_match(run.average, examples, words)
    assert share == pytest.approx(1 - len(failures) / 30) and share < 0.5
    found = agreement(run.average, examples, words)
    aligned = sum(len(example.target) for example in examples)
    assert found["predicting"].words == found["reading"].words == aligned
    # Words whose source has one token can only be aligned rightly.
    single = sum(len(example.source) == 1 for example in examples)
    assert found["predicting"].best[2] >= single / aligned
    assert validation_loss(run.average, encode(examples, words)) > 1


def test_the_data_hash_is_of_the_sentences() -> None:
    examples = copying("train", "x", 10, 0)
    assert data_hash(examples) == data_hash(list(examples)) != data_hash(examples[::-1])
