"""The loop learns, gives the same bits for the same seed, equals numpy's steps, and never harms the weights that are there."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.errors import BadOption, TrainingInterrupted, TrainingThere, UnknownOption
from model.lab.runs import status
from model.training import train as training
from model.training.data import Batches, Example, Vocabulary, data_hash, encode
from model.training.evaluate import agreement, exact_match, held_out_loss
from model.training.objectives import OBJECTIVES, loss_of, masked_words, pairs
from model.training.options import Options, of_folder, options_of
from model.training.schedules import SCHEDULES, Span
from model.training.tasks import registry
from model.training.tasks.task import Task
from model.training.train import StopTraining, go_on, train
from model.training.trainer import Trainer, untrained
from tests.model.tiny import shaken

SIZES = {"d_model": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 32, "max_length": 20}


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
def tiny(monkeypatch: pytest.MonkeyPatch) -> Task:
    made = Task(
        "tiny", "pairs", "words", {"x": "<x>"}, copying, train_size=200, steps=20, batch=16, sizes=SIZES, warmup=5,
        dropout=0.1, peak=1e-2, test_size=30, validation_size=30, card={"examples": ["a b"]},
    )  # fmt: skip
    monkeypatch.setattr(registry, "TASKS", {**registry.TASKS, "tiny": made})
    return made


def trainer(task: Task, **given: Any) -> Trainer:
    options = options_of(task.name, **given)
    torch.set_num_threads(1)
    return Trainer(task, options, task.data(options))


def trained(task: Task, **given: Any) -> tuple[Trainer, list[dict[str, Any]]]:
    made = trainer(task, **given)
    return made, [made.advance() for _ in range(made.options.steps)]


def test_twenty_steps_lower_the_loss(tiny: Task) -> None:
    _, lines = trained(tiny)
    measured = [line for line in lines if "validation_loss" in line]
    assert [line["step"] for line in measured] == [1, 10, 20]
    assert lines[-1]["loss"] < lines[0]["loss"] - 0.3
    assert measured[-1]["validation_loss"] < measured[0]["validation_loss"] - 0.3
    assert measured[-1]["perplexity"] == pytest.approx(math.exp(measured[-1]["validation_loss"]))


def test_a_seed_gives_the_same_bits(tiny: Task) -> None:
    (first, told), (again, same), (other, _) = (trained(tiny, seed=seed, steps=8) for seed in (3, 3, 4))
    weights = [list(run.average.state_dict().values()) for run in (first, again, other)]
    assert all(torch.equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights[0], weights[2], strict=True))
    assert told == same


def test_a_step_equals_adam_and_the_average_written_out(tiny: Task) -> None:
    """Three steps in float64 against numpy, from torch's gradients of the same weights; clipped by their norm."""
    made = trainer(replace(tiny, dropout=0.0), clip=0.5, average=0.3, label_smoothing=0.1)
    made.module.double(), made.average.double()
    names = [name for name, _ in made.module.named_parameters()]
    theta = {name: p.detach().numpy().copy() for name, p in made.module.named_parameters()}
    slow = {name: value.copy() for name, value in theta.items()}
    m, v = ({name: np.zeros_like(value) for name, value in theta.items()} for _ in range(2))
    for t in range(1, 4):
        rate = made.options.peak * t / 4  # 20 steps: a fifth of them rises
        line = made.advance()
        grads = {name: p.grad.numpy().copy() for name, p in made.module.named_parameters()}
        # What is left in .grad is clipped already: it has the norm 0.5 where the logged one is larger.
        norm = math.sqrt(sum(float((g**2).sum()) for g in grads.values()))
        assert norm == pytest.approx(min(0.5, line["gradient_norm"]), rel=1e-5)
        assert line["learning_rate"] == pytest.approx(rate, rel=1e-12)
        for name in names:
            m[name] = 0.9 * m[name] + 0.1 * grads[name]
            v[name] = 0.98 * v[name] + 0.02 * grads[name] ** 2
            theta[name] -= rate * (m[name] / (1 - 0.9**t)) / (np.sqrt(v[name] / (1 - 0.98**t)) + 1e-9)
            keep = min(0.3, t / (t + 10))
            slow[name] = keep * slow[name] + (1 - keep) * theta[name]
    for found, wanted in ((made.module, theta), (made.average, slow)):
        for name, parameter in found.named_parameters():
            np.testing.assert_allclose(parameter.detach().numpy(), wanted[name], rtol=0, atol=1e-12, err_msg=name)


def test_the_gradient_is_that_of_the_loss(tiny: Task) -> None:
    """Of the batch that was drawn: finite differences of the loss along one direction."""
    made = trainer(tiny, clip=1e8)
    module = shaken(made.module.double()).eval()  # away from where ReLU has no slope
    batch = pairs(made.batches.data, next(made.batches), made.masks)
    loss_of(module(batch.source, batch.target), batch.wanted, 0.1).backward()
    direction = [torch.randn(p.shape, dtype=torch.float64, generator=made.masks) for p in made.parameters]
    slope = sum(float((p.grad * d).sum()) for p, d in zip(made.parameters, direction, strict=True))

    def at(step: float) -> float:
        with torch.no_grad():
            for p, d in zip(made.parameters, direction, strict=True):
                p.add_(d, alpha=step)
            value = float(loss_of(module(batch.source, batch.target), batch.wanted, 0.1))
            for p, d in zip(made.parameters, direction, strict=True):
                p.sub_(d, alpha=step)
        return value

    assert (at(1e-6) - at(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_equals_the_definition_and_ignores_padding(smoothing: float) -> None:
    logits = torch.randn(2, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([[3, 4, 0], [5, 0, 0]])
    x = logits.numpy()
    log_p = x - np.log(np.exp(x).sum(-1, keepdims=True))
    terms = []
    for row, column, token in ((0, 0, 3), (0, 1, 4), (1, 0, 5)):
        q = np.full(7, smoothing / 7)
        q[token] += 1 - smoothing
        terms.append(-(q * log_p[row, column]).sum())
    assert loss_of(logits, wanted, smoothing).item() == pytest.approx(np.mean(terms), abs=1e-12)


def test_schedules_equal_their_formulas() -> None:
    steps, warmup, width = 1000, 100, 64
    for step in (1, 2, 50, 99, 100, 101, 400, 999, 1000):
        span = Span(steps, warmup, width)
        # Vaswani et al. 2017, section 5.3, equation 3
        paper = 64**-0.5 * min(1 / math.sqrt(step), step / 100**1.5)
        assert SCHEDULES["inverse-square-root"](step, span) == pytest.approx(paper, rel=1e-12)
        scaled = SCHEDULES["inverse-square-root"](step, replace(span, peak=3e-3))
        assert scaled == pytest.approx(3e-3 * min(math.sqrt(100 / step), step / 100), rel=1e-12)
        assert SCHEDULES["constant"](step, span) == 1e-4
        half = np.cos(np.pi / 2 * (step - 100) / 900) ** 2
        cosine = SCHEDULES["cosine"](step, replace(span, peak=2e-3))
        assert cosine == pytest.approx(2e-3 * (step / 100 if step < 100 else half), abs=1e-15)


def test_masks_are_berts() -> None:
    examples = [Example(tuple("abcdefghij"[i % 10] for i in range(40)), (), "") for _ in range(500)]
    words = Vocabulary.of(examples, "words", {})
    assert words.source[:3] == ("<pad>", "<mask>", "a") and words.target == ()
    data = encode([*examples, Example(("a",), (), "")], words)
    batch = masked_words(data, torch.arange(501), torch.Generator().manual_seed(1))
    asked = batch.wanted != 0
    assert not asked[500, 1:].any() and bool((batch.wanted[asked] == data.source[asked]).all())
    assert bool((batch.source[~asked] == data.source[~asked]).all())
    share, n = float(asked.float().sum()) / 20_001, int(asked.sum())
    masked = float((batch.source[asked] == 1).sum()) / n
    same = float((batch.source[asked] == data.source[asked]).sum()) / n
    assert share == pytest.approx(0.15, abs=0.01) and masked == pytest.approx(0.8, abs=0.03)
    assert same == pytest.approx(0.1 + 0.1 / 10, abs=0.03)
    one = masked_words(encode([Example(("a",), (), "")], words), torch.arange(1), torch.Generator().manual_seed(5))
    assert int((one.wanted != 0).sum()) == 1


def test_checkpoint_opens_and_its_card_is_complete(tiny: Task, tmp_path: Path) -> None:
    from model.checkpoints.own import load

    said = train("tiny", tmp_path)
    assert said.startswith(f"{tmp_path}: 20 steps in ") and "exact match on the test set: x " in said
    opened = load(tmp_path)
    assert opened.languages == ("x",) and opened.source.vocabulary[0] == "<pad>"
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert card["test"]["x"]["n"] == 30 and card["seed"] == 0 and card["steps"] == 20
    assert card["alignment"]["x"]["predicting"]["site"] == "decoder.0.cross"
    assert card["parameters"] == sum(p.numel() for p in opened.module.parameters())
    assert all(len(point) == len(card["curve_columns"]) for point in card["curve"])
    assert card["guess_loss"] == pytest.approx(math.log(len(opened.target.vocabulary)))
    assert card["command"] == "python -m model train tiny"


def test_it_writes_below_the_current_folder(tiny: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert train("tiny", steps=2).startswith(f"{tmp_path}/checkpoints/tiny: 2 steps in ")
    assert (tmp_path / "checkpoints" / "tiny" / "weights.safetensors").is_file()


def test_a_trained_model_is_replaced_only_by_a_finished_one(tiny: Task, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    train("tiny", folder, steps=5)
    (folder / "profile.parquet").write_text("of the user", encoding="utf-8")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def stop(run: training.Run, line: dict[str, Any]) -> None:
        if line["step"] == 3:
            raise StopTraining

    with pytest.raises(TrainingInterrupted, match="stopped at step 3 of 6"):
        train("tiny", folder, stop, steps=6, seed=1)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(TrainingThere, match=r"model\.new holds a training that is not finished"):
        train("tiny", folder, steps=6)
    assert go_on(folder.with_name("model.new")).startswith(f"{folder}: 6 steps in ")
    assert not folder.with_name("model.new").exists()
    assert json.loads((folder / "card.json").read_text(encoding="utf-8"))["steps"] == 6
    assert (folder / "profile.parquet").is_file() and not (folder / "resume.safetensors").exists()
    assert go_on(folder).endswith("finished already, after 6 steps")
    assert status(folder.with_name("model.new")).state == status(folder).state == "finished"


def test_what_cannot_be_is_refused_with_what_can() -> None:
    with pytest.raises(UnknownOption, match="copy, reverse, sort, addition, induction, dates, translate"):
        train("poems")
    for given, said in (
        ({"norm": "both"}, "post, pre"), ({"schedule": "linear"}, "constant, inverse-square-root, cosine"),
        ({"steps": 0}, "a whole number from 1"), ({"dropout": 1.0}, "below 1"), ({"heads": 7}, "divisible"),
        ({"encoder_layers": 0}, "an encoder layer and a decoder layer"), ({"vocabulary": "words"}, "characters"),
        ({"data": "x.tsv"}, "makes its own"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            options_of("copy", **given)
    with pytest.raises(BadOption, match="--data FILE"):
        options_of("parallel")


def test_options_are_read_as_they_were_told() -> None:
    options = options_of("sort", seed=3, norm="pre", d_model=32, schedule="inverse-square-root")
    assert Options.of(json.loads(json.dumps(options.to_dict()))) == options
    assert options.peak is None and options.sizes["norm"] == "pre"
    assert of_folder(Path("run"), json.loads(json.dumps(options.to_dict()))) == options
    for told in ({}, options.to_dict() | {"steps": "many"}, options.to_dict() | {"sizes": 3}):
        with pytest.raises(ValueError):
            of_folder(Path("run"), told)


def test_batches_are_of_like_length_and_take_everything_and_go_on_where_they_were() -> None:
    examples = copying("train", "x", 160, 0)
    data = encode(examples, Vocabulary.of(examples, "words", {"x": "<x>"}))
    endless = Batches(data, 16, torch.Generator().manual_seed(0))
    seen = [next(endless) for _ in range(10)]
    assert sorted(torch.cat(seen).tolist()) == list(range(160))
    assert sum(int(data.lengths[rows].max() - data.lengths[rows].min()) for rows in seen) <= 10
    for more in (0, 3, 10, 14):
        began, taken = endless.began, endless.taken
        again = Batches(data, 16, torch.Generator().manual_seed(9))
        again.go_to(began, taken)
        for _ in range(more):
            assert torch.equal(next(endless), next(again))


def test_vocabulary_starts_with_padding_starts_and_end() -> None:
    examples = [Example(("b", "a"), ("y",), "two"), Example(("c",), ("x", "y"), "one")]
    words = Vocabulary.of(examples, "words", {"one": "<1>", "two": "<2>"})
    assert words.source == ("<pad>", "a", "b", "c")
    assert words.target == ("<pad>", "<1>", "<2>", "</s>", "x", "y")
    text = Vocabulary.of([Example((), ("b", "a"), "text")], "words", {"text": "<s>"})
    assert text.source == () and text.target == ("<pad>", "<s>", "</s>", "a", "b")


def test_exact_match_and_agreement_know_a_perfect_and_a_useless_model(tiny: Task) -> None:
    examples = copying("test", "x", 30, 1)
    words = Vocabulary.of(examples, "words", tiny.starts)
    module = untrained(options_of("tiny"), tiny.data(options_of("tiny"))).eval()
    share, failures = exact_match(module, examples, words)
    assert share == pytest.approx(1 - len(failures) / 30) and share < 0.5
    found = agreement(module, examples, words)
    aligned = sum(len(example.target) for example in examples)
    assert found["predicting"].words == found["reading"].words == aligned
    # Words whose source has one token can only be aligned rightly.
    single = sum(len(example.source) == 1 for example in examples)
    assert found["predicting"].best[2] >= single / aligned
    assert held_out_loss(module, encode(examples, words), OBJECTIVES["pairs"])["validation_loss"] > 1


def test_the_data_hash_is_of_the_sentences() -> None:
    examples = copying("train", "x", 10, 0)
    assert data_hash(examples) == data_hash(list(examples)) != data_hash(examples[::-1])
