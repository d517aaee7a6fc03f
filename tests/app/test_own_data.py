"""Train on a file of one's own: what is counted is what is trained on, a running text is cut, what is used is shown by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.lab import runs
from model.training.options import options_of
from model.training.seeds import begin_seeds
from model.training.tasks.registry import TASKS
from tests.app.visit import Visit
from viz.ui.language import plain

SIZES = {"d_model": 8, "heads": 2, "d_ff": 8, "batch": 4}
# 66 lines, of which six are no example: two empty, one of one column, three that stand there twice.
BAD = ["", "alone\t", "only one", *["same one\tle même"] * 4]
PAIRS = [f"word {i} of many\tmot {i} de tant" for i in range(59)] + BAD


def opened(task: str, path: Path) -> Visit:
    seen = Visit("train", straight=True, tab="train.new")
    seen.at.selectbox(key="train-task").set_value(task).run()
    seen.at.text_input(key="train-path").set_value(str(path)).run()
    return seen


def test_the_lines_that_are_counted_are_those_that_are_trained_on(lab: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(PAIRS) + "\n", "utf-8")
    seen = opened("parallel", path).sound()
    data = TASKS["parallel"].data(options_of("parallel", data=str(path)))
    counts = {"train": len(data.train), "validation": len(data.validation), "test": len(data.test["target"])}
    assert sum(counts.values()) == 60
    said = [caption.value for caption in seen.at.caption]
    assert seen.say("train.lines", n=66, out=6, **counts) in said
    (odd,) = [box for box in seen.at.expander if box.label.startswith(seen.say("evaluate.odd", n=""))]
    assert odd.proto.expanded  # what is left out is not hidden
    seen.at.selectbox(key="train-choice-duplicate").set_value("keep").run()
    assert any("63" in text or "3 left out" in text for text in [caption.value for caption in seen.sound().at.caption])


def test_a_header_and_few_examples_are_said(lab: Path, tmp_path: Path) -> None:
    for pairs, header in ((12, True), (300, False)):
        path = tmp_path / f"{pairs}.tsv"
        lines = [f"word {i} of many\tmot {i} de tant" for i in range(pairs)]
        path.write_text("\n".join((["en\tfr"] if header else []) + lines) + "\n", "utf-8")
        seen = opened("parallel", path)
        train = len(TASKS["parallel"].data(options_of("parallel", data=str(path))).train)
        assert (train < 50) == (pairs == 12)
        warned = [seen.say("train.few", n=train)] if pairs == 12 else []
        assert [one.value for one in seen.sound().at.info] == warned
        said = [one.value for one in seen.at.caption]
        assert (seen.say("evaluate.header", names=seen.say("error.comma").join(("`en`", "`fr`"))) in said) == header


def test_a_running_text_is_cut_into_pieces_and_no_held_out_one_is_trained_on(lab: Path, tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(4000)]
    wrapped = "\n".join(" ".join(words[i : i + 12]) for i in range(0, 4000, 12))
    for name, text in (("long", " ".join(words)), ("wrapped", wrapped)):
        path = tmp_path / f"{name}.txt"
        path.write_text(text, "utf-8")
        seen = opened("text", path).sound()
        assert seen.say(f"train.looks_{name}") in [caption.value for caption in seen.at.caption]
        assert not seen.at.button(key="train-start").disabled
        seen.at.selectbox(key="train-overlap").set_value("half").run()
        seen.click("train-start").sound()
        found = runs.runs(lab)[0]
        told = json.loads((found.folder / "run.json").read_text("utf-8"))["options"]
        assert told["piece"] == 4 * 98 and told["overlap"] == 0.5
        runs.stop(found.folder)
        data = TASKS["text"].data(options_of("text", data=str(path), piece=told["piece"], overlap=0.5))
        assert max(len(example.target) for example in data.train) == 98
        trained = {word for example in data.train for word in example.target}
        held = {word for part in (data.validation, data.test["text"]) for example in part for word in example.target}
        assert not trained & held and trained | held == set(words)  # every word stands there once
        times = sum(len(example.target) for example in data.train) / len(trained)
        assert 1.5 < times <= 2.0  # each half of a piece is the other half of its neighbour


def test_lines_that_stand_by_themselves_are_no_running_text(lab: Path, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"the {a} sees the {b}.\n" for a in "abcdefg" for b in "uvwxyz"), "utf-8")
    seen = opened("text", path).sound()
    seen.go("models").go("train")
    seen.at.selectbox(key="train-task").set_value("text").run()
    assert seen.at.text_input(key="train-path").value == str(path)  # another page in between
    assert not seen.sound().at.button(key="train-start").disabled
    assert seen.at.get("button_group") and "train-overlap" not in [box.key for box in seen.at.selectbox]


@pytest.mark.parametrize("text", ["one short line", "one line\nand another"])
def test_too_little_is_refused_before_a_run_is_begun(lab: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "few.txt"
    path.write_text(text, "utf-8")
    seen = opened("text", path)
    assert "few.txt" in seen.complaint() and seen.at.button(key="train-start").disabled
    with pytest.raises(ValueError, match="too few"):
        runs.start("text", {"data": str(path)}, lab=lab)
    assert not runs.runs(lab) and not (lab / "runs").exists()


def test_the_file_that_is_used_is_shown_by_name_and_let_go(lab: Path) -> None:
    seen = Visit("train", straight=True, tab="train_from.upload")
    seen.at.selectbox(key="train-task").set_value("text").run()
    text = "".join(f"the {a} sees the {b}\n" for a in "abcdef" for b in "uvwxyz").encode()
    seen.at.session_state["train-given"] = ("mine.txt", text)
    for task in ("copy", "text"):  # its field forgets it, the session does not
        seen.at.selectbox(key="train-task").set_value(task).run()
    assert seen.say("evaluate.in_use", name=plain("mine.txt")) in [one.value for one in seen.sound().at.markdown]
    assert not seen.at.button(key="train-start").disabled
    seen.go("models").go("train")
    seen.at.selectbox(key="train-task").set_value("text").run()
    assert seen.say("evaluate.in_use", name=plain("mine.txt")) in [one.value for one in seen.sound().at.markdown]
    seen.click("train-let-go").sound()
    assert seen.at.button(key="train-start").disabled


def test_the_command_says_what_is_odd_and_what_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from model.__main__ import main

    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(PAIRS) + "\n", "utf-8")
    sizes = [part for name, value in SIZES.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    assert main(["train", "parallel", "--data", str(path), "--out", str(tmp_path / "out"), "--steps", "2", *sizes]) == 0
    said = capsys.readouterr().err
    data = TASKS["parallel"].data(options_of("parallel", data=str(path)))
    assert "3 lines repeat an earlier one. Line numbers: 64, 65, 66." in said
    assert (
        f"train {len(data.train)}, validation {len(data.validation)}, test {len(data.test['target'])}; left out: 6"
        in said
    )


def test_a_run_of_an_older_version_is_gone_on_with(lab: Path, tmp_path: Path) -> None:
    from model.training.options import of_folder

    folder = begin_seeds(options_of("copy", steps=2), tmp_path / "old", 1)
    told = json.loads((folder / "run.json").read_text("utf-8"))["options"]
    for name in ("piece", "overlap"):
        del told[name]
    assert of_folder(folder, told).piece == 0
