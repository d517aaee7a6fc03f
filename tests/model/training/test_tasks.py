"""Every task says what its definition says, no held-out example is trained on, own files train in every spelling and shape."""

from __future__ import annotations

import json
import math
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model import open_model
from model.errors import LacksPackage, TooFewLines
from model.scores.translation import score
from model.text.byte_pair import BytePair
from model.training.data import Example
from model.training.evaluate import held_out_loss
from model.training.held_out_scores import written_scores
from model.training.objectives import OBJECTIVES
from model.training.options import options_of
from model.training.run_files.log import Log
from model.training.run_files.trackers import trackers
from model.training.tasks.registry import TASKS
from model.training.train import train
from model.training.trainer import Trainer

SMALL = {"d_model": 8, "heads": 2, "d_ff": 8, "steps": 2, "train_size": 50}
LINES = [
    f"{who} {verb} the {what}"
    for who in ("Ann", "Bob", "we", "they")
    for verb in ("see", "like")
    for what in ("cat", "dog", "sea")
]
DEFINITIONS: dict[str, Callable[[Example], bool]] = {
    "copy": lambda e: e.target == e.source,
    "reverse": lambda e: e.target == tuple(e.source[-1 - i] for i in range(len(e.source))),
    "sort": lambda e: e.target == tuple(np.sort(np.array(e.source))),
    "addition": lambda e: (
        (int(e.source[0]) + int(e.source[2]) - int(e.target[0])) % 97 == 0 and 0 <= int(e.target[0]) < 97
    ),
    "induction": lambda e: e.target[: len(e.target) // 2] == e.target[len(e.target) // 2 :],
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_examples_are_what_the_task_says(name: str) -> None:
    task = TASKS[name]
    language = task.languages[0]
    splits = {split: task.examples(split, language, 300, 7) for split in ("train", "validation", "test")}
    assert all(map(DEFINITIONS[name], [e for found in splits.values() for e in found]))
    assert splits["train"] == task.examples("train", language, 300, 7) != task.examples("train", language, 300, 8)
    texts = {split: {e.source + e.target for e in found} for split, found in splits.items()}
    assert not texts["train"] & (texts["test"] | texts["validation"]) and not texts["test"] & texts["validation"]
    for example in splits["test"]:
        if name in ("copy", "reverse", "sort"):
            assert tuple(example.source[i] for (i,) in example.alignment) == example.target
    data = task.data(options_of(name, train_size=50))
    assert set(task.symbols) <= set(data.vocabulary.target)


@pytest.mark.parametrize(
    ("name", "steps", "measured", "least"),
    [("copy", 250, "exact_match", 0.8), ("reverse", 250, "accuracy", 0.8), ("sort", 250, "accuracy", 0.85),
     ("induction", 500, "repeat_accuracy", 0.75)],
)  # fmt: skip
def test_a_small_model_learns_the_task_in_seconds(name: str, steps: int, measured: str, least: float) -> None:
    """What the card of the full size claims is measured when it is trained; here it is far better than a guess."""
    small = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 64, "peak": 1e-2, "train_size": 8000}
    given = {"train_size": 6000, "batch": 32, "peak": 5e-3} if name == "induction" else small
    options = options_of(name, steps=steps, warmup=40, average=0.95, evaluate_every=10_000, **given)
    torch.set_num_threads(1)
    made = Trainer(TASKS[name], options, TASKS[name].data(options))
    lines = [made.advance() for _ in range(steps)]
    assert lines[-1][measured] >= least > lines[0][measured] + 0.4


def test_repeated_letters_are_counted_where_they_can_be_known() -> None:
    """Of "abcabc</s>" the second "b" and "c": the first "a" of the repeat comes as a surprise."""
    metric = TASKS["induction"].metrics["repeat_accuracy"]
    wanted = torch.tensor([[3, 4, 5, 3, 4, 5, 2, 0, 0]])
    assert metric(wanted, wanted) == (2, 2)
    assert metric(torch.tensor([[9, 9, 9, 9, 4, 9, 9, 9, 9]]), wanted) == (1, 2)


@pytest.mark.parametrize("shape", ["pairs", "next", "masked"])
def test_held_out_loss_is_the_mean_over_what_is_asked(shape: str, tmp_path: Path) -> None:
    """Against log-softmax in numpy, the examples one by one and unpadded, in float64."""
    file = tmp_path / ("own.tsv" if shape == "pairs" else "own.txt")
    lines = [f"{line}\tx {line}" if shape == "pairs" else line for line in LINES]
    file.write_text("\n".join(lines), encoding="utf-8")
    name = {"pairs": "parallel", "next": "text", "masked": "masked-text"}[shape]
    options = options_of(name, data=str(file), **SMALL)
    made = Trainer(TASKS[name], options, TASKS[name].data(options))
    module = made.module.double().eval()
    found = held_out_loss(module, made.validation, OBJECTIVES[shape])
    batch = OBJECTIVES[shape](
        made.validation, torch.argsort(made.validation.lengths, stable=True), torch.Generator().manual_seed(0)
    )
    terms, right = [], []
    for row in range(len(batch.wanted)):
        parts = [None if ids is None else ids[row : row + 1] for ids in (batch.source, batch.target)]
        cut = [None if ids is None else ids[:, : int((ids != 0).sum())] for ids in parts]
        with torch.no_grad():
            logits = module(*cut)[0].numpy()
        for place, token in enumerate(batch.wanted[row].tolist()):
            if token:
                x = logits[place] - logits[place].max()
                terms.append(math.log(np.exp(x).sum()) - x[token])
                right.append(int(x.argmax()) == token)
    assert found["validation_loss"] == pytest.approx(np.mean(terms), abs=1e-9)
    assert found["perplexity"] == pytest.approx(math.exp(np.mean(terms)), rel=1e-9)
    assert found["accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("kind", ["words", "characters", "subwords"])
@pytest.mark.parametrize("name", ["parallel", "text", "masked-text"])
def test_files_of_ones_own_train_and_open(name: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "own.tsv"
    file.write_text("\n".join(f"{line}\tx {line}" if name == "parallel" else line for line in LINES), encoding="utf-8")
    train(name, tmp_path / "run", data=str(file), vocabulary=kind, vocabulary_size=300, **SMALL)
    model = open_model(tmp_path / "run")
    shown = model.trace(model.examples[0])
    assert shown.fidelity().holds
    card = json.loads((tmp_path / "run" / "card.json").read_text(encoding="utf-8"))
    assert card["lines"] == 24 and card["held_out"]["n"] >= 1 and str(tmp_path) not in card["command"]
    (line,) = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()][-1:]
    assert {"step", "loss", "validation_loss", "perplexity", "probes"} <= line.keys()
    assert ({"bleu", "chrf", "exact_match", "signature"} <= line.keys()) == (name == "parallel")


def test_a_file_with_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    file = tmp_path / "short.txt"
    file.write_text("one line\nanother line\n", encoding="utf-8")
    with pytest.raises(TooFewLines, match="test on: 2, too few"):
        train("text", tmp_path / "run", data=str(file), **SMALL)


def test_a_file_says_by_itself_what_it_trains(tmp_path: Path) -> None:
    pairs, text = tmp_path / "a.tsv", tmp_path / "b.txt"
    pairs.write_text("\n".join(f"{line}\tx" for line in LINES), encoding="utf-8")
    text.write_text("\n".join(LINES), encoding="utf-8")
    assert options_of(None, data=str(pairs)).task == options_of("translate", data=str(pairs)).task == "parallel"
    assert options_of(None, data=str(text)).task == "text"


def test_subwords_spell_any_text_and_their_ids_are_places_in_the_list() -> None:
    trained = BytePair.trained(LINES, 300)
    told = json.loads(trained.json(("<pad>", "<s>", "</s>")))
    every = ["<pad>", "<s>", "</s>", *trained.vocabulary]
    assert [told["model"]["vocab"][token] for token in every] == list(range(len(every)))
    from model.text import byte_pair

    for text in ("Ann likes 猫 and 🐈", " two  spaces "):
        assert byte_pair.text(trained.tokens(text)) == text and set(trained.tokens(text)) <= set(every)


def test_bleu_of_single_words_is_of_their_characters() -> None:
    """A letter task writes one word: corpus BLEU over words would be 0 of a perfect model, which has no four-grams."""
    task = TASKS["copy"]
    examples = task.examples("validation", "copy", 20, 1)
    words = task.data(options_of("copy", train_size=50)).vocabulary
    made = Trainer(task, options_of("copy", **SMALL), task.data(options_of("copy", train_size=50)))
    found = written_scores(task, made.average, examples, words)
    assert "tok:char" in found["signature"] and found["exact_match"] == 0 and len(found["probes"]) == 10
    assert score(["abcde"], ["abcde"], "char").bleu == pytest.approx(100) and score(["abcde"], ["abcde"]).bleu == 0


def told(log: Log) -> None:
    for step in (1, 2, 3):
        log.add({"step": step, "loss": 1 / step, "probes": []})
    log.sync()
    log.close()


def test_trackio_hears_what_the_log_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Its own release asks for an older Pillow than the app, so a stand-in with its three calls hears."""
    heard: list[tuple[int, float]] = []

    class Run:
        def log(self, numbers: dict, step: int) -> None:
            heard.append((step, numbers["loss"]))

        def finish(self) -> None:
            heard.append((0, 0.0))
            print("finished")  # it talks, and the command does not

    def init(project: str, name: str, **how: object) -> Run:
        print("hello")
        assert (project, name[:4], how["resume"]) == ("heads", "run-", "allow")
        return Run()

    monkeypatch.setitem(sys.modules, "trackio", types.SimpleNamespace(init=init))
    told(Log(tmp_path / "log.jsonl", 0, trackers(tmp_path / "run", 0, None, "heads")))
    assert heard == [(s, pytest.approx(1 / s)) for s in (1, 2, 3)] + [(0, 0.0)]
    assert capsys.readouterr().out == ""


def test_without_trackio_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(LacksPackage, match="pip install trackio"):
        trackers(tmp_path, 0, None, "heads")


def test_event_files_for_tensorboard_hold_what_the_log_holds(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told(Log(tmp_path / "log.jsonl", 0, trackers(tmp_path, 0, str(tmp_path / "events"), None)))
    found = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [(one.step, one.value) for one in found.Scalars("loss")] == [(s, pytest.approx(1 / s)) for s in (1, 2, 3)]
