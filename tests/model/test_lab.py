"""Runs as jobs: one at a time, watched, paused, stopped, killed and gone on with from their folders; what goes wrong is said."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from model.__main__ import main
from model.checkpoints.own import load
from model.errors import (
    BadOption,
    DataChanged,
    DataFileRefused,
    NothingToResume,
    TrainingBusy,
    TrainingInterrupted,
    TrainingNotWritten,
)
from model.jobs.progress_line import ProgressLine
from model.lab import queue, runs
from model.lab.files import HEARTBEAT, LOCK, STOP, ask, lock_of, read
from model.lab.job import work
from model.lab.runs import Status, pause, resume, start, status, stop
from model.training.options import options_of
from model.training.run_files.folder import log_of
from model.training.run_files.place import default_folder
from model.training.seeds import band_of, begin_seeds
from model.training.train import begin

TINY = {"d_model": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 8, "train_size": 100,
        "evaluate_every": 10_000}  # fmt: skip
PAIRS = "\n".join(f"the {a} {b}\tle {a} {b}" for a in "abcdefg" for b in "hijklmn")


def until(run: Path, lab: Path, holds: Callable[[Status], bool]) -> Status:
    end = time.monotonic() + 120
    while not holds(found := status(run, lab)):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(queue.VARIABLE, str(tmp_path / "lab"))
    return queue.lab_folder()


def test_runs_wait_for_each_other_and_do_what_they_are_told(lab: Path) -> None:
    first = start("copy", TINY | {"steps": 100_000})
    second = start("reverse", TINY | {"steps": 100_000})
    until(first, lab, lambda s: s.state == "running" and s.step > 5)
    waiting = until(second, lab, lambda s: s.state == "queued")
    assert waiting.place == 1 and waiting.task == "reverse"
    assert [one.folder for one in runs.runs()] == [second, first]
    with pytest.raises(TrainingBusy):
        resume(first)
    # A paused run lets the next one go first.
    pause(first)
    assert until(first, lab, lambda s: s.state == "paused").can_resume
    running = until(second, lab, lambda s: s.state == "running" and s.step > 5)
    assert running.seconds_left > 0 and running.last["loss"] > 0 and running.steps == 100_000
    resume(first)
    assert until(first, lab, lambda s: s.state == "queued" and s.place).place == 1
    os.kill(read(second / HEARTBEAT)["pid"], signal.SIGKILL)
    killed = until(second, lab, lambda s: s.state == "killed")
    assert killed.can_resume and killed.is_over
    until(first, lab, lambda s: s.state == "running")
    stop(first)
    stopped = until(first, lab, lambda s: s.state == "stopped")
    steps = [line["step"] for line in log_of(first)]
    assert steps == list(range(1, stopped.step + 1))
    assert load(first).card["steps"] == 0  # of the beginning; the weights are those of the last checkpoint
    resume(second)
    stop(second)
    until(second, lab, lambda s: s.state == "stopped")


def test_a_job_in_this_process_tells_how_it_stands(lab: Path, tmp_path: Path) -> None:
    folder = begin(options_of("copy", steps=6, **TINY), tmp_path / "run")
    assert status(folder).state == "starting"
    os.utime(folder / "run.json", (1, 1))
    assert status(folder).state == "killed"  # its process never came
    seen = []
    said = work(folder, lab, lambda told, last: seen.append((told["step"], last)))
    assert seen[-1] == (6, True) and [step for step, _ in seen] == [1, 2, 3, 4, 5, 6]
    done = status(folder)
    assert (done.state, done.step, done.seconds_left, done.place) == ("finished", 6, None, None)
    assert said.startswith(f"{folder}: 6 steps") and read(folder / HEARTBEAT)["said"] == said
    with pytest.raises(NothingToResume):
        status(tmp_path)
    with pytest.raises(TrainingBusy):
        resume(folder)


def test_only_one_process_works_in_a_folder(tmp_path: Path) -> None:
    folder = begin(options_of("copy", steps=6, **TINY), tmp_path / "run")
    with lock_of(folder / LOCK), pytest.raises(TrainingBusy):
        work(folder)


def test_a_stop_that_was_asked_for_ends_it_in_the_queue_too(lab: Path, tmp_path: Path) -> None:
    folder = begin(options_of("copy", steps=6, **TINY), tmp_path / "run")
    ask(folder, STOP)
    with pytest.raises(TrainingInterrupted):
        work(folder, lab)
    assert status(folder).state == "stopped" and queue.waiting(lab) == []


@pytest.mark.parametrize("after", [0, 5, 12])
def test_a_full_disk_is_said_and_the_last_checkpoint_stays(
    after: int, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin(options_of("copy", steps=30, snapshots=8, average=0.0, **TINY), tmp_path / "run")
    real, full = os.fsync, []

    def fsync(descriptor: int) -> None:
        full.append(0)
        if len(full) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(TrainingNotWritten, match="no space left on device") as refused:
        work(folder)
    assert len(str(refused.value)) <= 300
    monkeypatch.setattr(os, "fsync", real)
    failed = status(folder)
    assert failed.state == "failed" and failed.error == str(refused.value) and failed.can_resume
    if after > 10:
        assert load(folder).trace("abc").fidelity().holds
    work(folder)
    assert [line["step"] for line in log_of(folder)] == list(range(1, 31))
    assert not list(folder.rglob("*.partial"))


def test_a_place_where_nothing_can_be_written_is_said_before_anything_is_trained(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for out in (tmp_path / "file" / "run", tmp_path / "file"):
        with pytest.raises(TrainingNotWritten):
            start("copy", TINY | {"steps": 2}, out)
    assert runs.runs() == []


def test_data_that_vanished_or_changed_are_said(tmp_path: Path) -> None:
    data = tmp_path / "own.tsv"
    data.write_text(PAIRS, encoding="utf-8")
    folder = begin(options_of(None, data=str(data), steps=6, **TINY), tmp_path / "run")

    def stop_at_three(told: dict, _last: bool) -> None:
        if told["step"] == 3:
            ask(folder, STOP)
            time.sleep(0.3)

    with pytest.raises(TrainingInterrupted):
        work(folder, None, stop_at_three)
    (folder / "control.json").unlink()
    data.write_text(PAIRS.replace("the", "a"), encoding="utf-8")
    with pytest.raises(DataChanged):
        work(folder)
    data.unlink()
    with pytest.raises(DataFileRefused, match="no such file"):
        work(folder)
    assert status(folder).state == "failed" and "no such file" in status(folder).error
    data.write_text(PAIRS, encoding="utf-8")
    work(folder)
    assert [line["step"] for line in log_of(folder)] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(DataFileRefused):
        start(None, {"data": str(tmp_path / "nothing.tsv")}, tmp_path / "new", lab=tmp_path / "lab")


def test_three_seeds_are_a_band(tmp_path: Path) -> None:
    folder = begin_seeds(options_of("copy", steps=4, seed=5, **TINY), tmp_path / "run", 3)
    seen = []
    assert work(folder, None, lambda told, last: seen.append((told["step"], told["steps"]))).count("\n") == 2
    assert seen[-1] == (12, 12) and status(folder).state == "finished"
    curves = [[line["loss"] for line in log_of(folder / f"seed-{seed}")] for seed in (5, 6, 7)]
    band = band_of(folder)
    assert band.steps == (1, 2, 3, 4)
    assert band.low == tuple(map(min, *curves)) and band.high == tuple(map(max, *curves))
    assert all(a < b < c for a, b, c in zip(band.low, band.mean, band.high, strict=True))
    with pytest.raises(BadOption):
        begin_seeds(options_of("copy"), tmp_path / "none", 0)


def test_the_progress_of_several_seeds_counts_the_steps_of_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes = [part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    lines: list[str] = []
    monkeypatch.setattr(ProgressLine, "__call__", lambda self, told, last: lines.append(str(told)))
    for seeds, wanted in ((1, [""]), (2, ["seed 1 of 2, ", "seed 2 of 2, "])):
        lines.clear()
        out = tmp_path / str(seeds)
        assert main(["train", "copy", "--steps", "3", "--seeds", str(seeds), "--out", str(out), *sizes]) == 0
        heads = [f"{head}step {step} of 3" for head in wanted for step in (1, 2, 3)]
        assert [line.partition(":")[0] for line in lines] == heads


def test_the_command_trains_resumes_and_refuses_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sizes = [part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    out = tmp_path / "copy"
    assert main(["train", "copy", "--steps", "3", "--seed", "0", "--threads", "1", "--out", str(out), *sizes]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 3 steps in ")
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3] and all(line["loss"] > 0 for line in lines)
    assert main(["train", "copy", "--steps", "3", "--resume", str(out)]) == 0
    assert "finished already" in capsys.readouterr().out
    for given, said in (
        (["--resume", str(out), "--steps", "4"], "steps is 4, but it must be 3"),
        (["--resume", str(out), "--replace"], "leave out --replace"), (["--resume", str(out), "--seeds", "2"], "seeds is 2"),
        (["sort", "--resume", str(out)], "task is sort, but it must be copy"),
        (["--resume", str(tmp_path)], "no training to resume"), ([], "copy, reverse, sort"),
        (["poems"], "copy, reverse, sort"), (["copy", "--data", str(out / "x")], "makes its own"),
        (["text"], "--data FILE"), (["copy", "--heads", "0"], "at least 1"),
        (["copy", "--log-dir", str(tmp_path / "events"), "--out", str(tmp_path / "events-run"), *sizes], "tensorboard"),
    ):  # fmt: skip
        if "--log-dir" in given and has_tensorboard():
            continue
        assert main(["train", *given]) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.count("\n") == 1 and said in told.err


def test_no_training_writes_over_a_model_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    tiny = ["train", "copy", "--steps", "2", "--out", str(tmp_path / "run"), *sizes]
    assert main(tiny) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    shipped = Path(__file__).parents[2] / "checkpoints"
    for given in (
        tiny[1:], [*tiny[1:], "--seeds", "2"], ["translate", "--out", str(shipped / "translate")],
        ["copy", "--seeds", "2", "--replace", "--out", str(shipped / "dates")],
        ["small-bert", "--out", str(shipped / "small-bert")], ["small-bert", "--out", str(tmp_path / "run")],
    ):  # fmt: skip
        capsys.readouterr()
        assert main(["train", *given]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "holds a model already" in told and "--replace" in told
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert main([*tiny, "--replace", "--seed", "1"]) == 0
    assert json.loads((tmp_path / "run" / "card.json").read_text(encoding="utf-8"))["seed"] == 1
    monkeypatch.chdir(shipped.parent)  # where checkpoints/ are those that ship
    assert default_folder("translate") == Path("translate")
    monkeypatch.chdir(tmp_path)
    assert default_folder("translate") == Path("checkpoints/translate")


def test_a_small_family_refuses_what_it_would_ignore(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("kept", encoding="utf-8")
    for given, said in (
        (["--resume", str(tmp_path)], "takes --out, --replace, --steps, --seed alone: leave out --resume."),
        (["--seeds", "3", "--snapshots", "4", "--log-dir", "x"], "leave out --seeds, --snapshots, --log-dir."),
        (["--steps", "0"], "a whole number from 1"), (["--out", str(tmp_path / "notes")], "something else"),
        (["--out", str(tmp_path / "notes"), "--replace"], "something else"),
    ):  # fmt: skip
        assert main(["train", "small-bert", *given]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and said in told
    assert (tmp_path / "notes" / "mine.txt").read_text(encoding="utf-8") == "kept"


def has_tensorboard() -> bool:
    from importlib.util import find_spec

    return find_spec("tensorboard") is not None
