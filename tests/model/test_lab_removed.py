"""Runs are deleted with what was handed in for them, uploads of no run are swept, and nothing outside the lab's folder goes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from model.errors import NothingToResume, TrainingBusy
from model.errors.training import RunElsewhere
from model.lab import queue, runs, uploads
from model.lab.files import LOCK, lock_of, write_heartbeat
from model.lab.remove import deletable, delete
from model.training.options import options_of
from model.training.seeds import begin_seeds

TINY = {"d_model": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 8, "train_size": 100}
PAIRS = "\n".join(f"the {a} {b}\tle {a} {b}" for a in "abcdefg" for b in "hijklmn")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(queue.VARIABLE, str(tmp_path / "lab"))
    return tmp_path / "lab"


def begun(lab: Path, name: str, data: Path | None = None, home: str = "runs") -> Path:
    """A run that was stopped before its first step, in the lab's list."""
    task, more = ("copy", {}) if data is None else ("parallel", {"data": str(data)})
    sizes = {k: v for k, v in TINY.items() if data is None or k != "train_size"}
    folder = begin_seeds(options_of(task, **sizes, **more), lab / home / name, 1)
    write_heartbeat(folder, {"state": "stopped", "step": 0})
    with open(lab / uploads.LIST, "a", encoding="utf-8") as file:
        file.write(json.dumps({"folder": str(folder)}) + "\n")
    return folder


def handed_in(lab: Path, name: str = "one", days: float = 0.0) -> Path:
    path = lab / uploads.DATA / name / "pairs.tsv"
    path.parent.mkdir(parents=True)
    path.write_text(PAIRS, encoding="utf-8")
    then = time.time() - days * 86400
    for one in (path, path.parent):
        os.utime(one, (then, then))
    return path


def test_a_run_goes_with_what_was_handed_in_for_it_once_no_other_has_it(lab: Path) -> None:
    data = handed_in(lab)
    first, second = begun(lab, "pairs-1", data), begun(lab, "pairs-2", data)
    delete(first)
    assert not first.exists() and data.exists() and [one.folder for one in runs.runs()] == [second]
    delete(second)
    assert not data.parent.exists() and runs.runs() == [] and list((lab / "runs").iterdir()) == []


def test_a_file_of_ones_own_elsewhere_stays(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    delete(begun(lab, "pairs-1", tmp_path / "pairs.tsv"))
    assert (tmp_path / "pairs.tsv").exists()


def test_a_run_that_somebody_works_on_is_not_deleted(lab: Path) -> None:
    folder = begun(lab, "copy-1")
    with lock_of(folder / LOCK):
        for state in ("running", "paused", "queued"):
            write_heartbeat(folder, {"state": state, "step": 3})
            with pytest.raises(TrainingBusy):
                delete(folder)
    assert (folder / "run.json").exists()


@pytest.mark.parametrize("way", ["out", "link", "dots", "the home itself", "deeper"])
def test_nothing_outside_the_labs_runs_is_deleted(lab: Path, tmp_path: Path, way: str) -> None:
    (lab / "runs").mkdir(parents=True)
    victim = begun(lab, "victim", home="../elsewhere" if way != "deeper" else "runs/inside")
    asked = {"out": victim, "link": lab / "runs" / "linked", "dots": lab / "runs" / ".." / ".." / "elsewhere" / "victim",
             "the home itself": lab / "runs" / "..", "deeper": victim}[way]  # fmt: skip
    if way == "link":
        asked.symlink_to(victim)
    before = sorted(path for path in tmp_path.rglob("*"))
    assert not deletable(asked)
    with pytest.raises((RunElsewhere, NothingToResume)):
        delete(asked)
    assert sorted(path for path in tmp_path.rglob("*")) == before and victim.resolve().is_dir()


def test_a_link_inside_a_run_is_cut_and_not_followed(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.txt").write_text("kept")
    folder = begun(lab, "copy-1")
    (folder / "snapshots-link").symlink_to(tmp_path / "mine")
    delete(folder)
    assert not folder.exists() and (tmp_path / "mine" / "kept.txt").read_text() == "kept"


def test_a_runs_file_that_leads_out_of_the_labs_folder_stays(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    (lab / uploads.DATA).mkdir(parents=True)
    (lab / uploads.DATA / "linked").symlink_to(tmp_path / "mine")
    ways = (lab / uploads.DATA / "linked", lab / uploads.DATA / ".." / ".." / "mine")
    for number, folder in enumerate(ways):
        data = folder / "pairs.tsv"
        delete(begun(lab, f"pairs-{number}", data))
        assert (tmp_path / "mine" / "pairs.tsv").exists()


def test_what_no_run_is_trained_on_is_swept_a_day_later_at_the_next_start(lab: Path, tmp_path: Path) -> None:
    used, old, young = (handed_in(lab, name, days) for name, days in (("used", 9), ("old", 2), ("young", 0.5)))
    begun(lab, "pairs-1", used)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    os.utime(tmp_path / "mine", (0, 0))
    (lab / uploads.DATA / "linked").symlink_to(tmp_path / "mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_launch", lambda folder, lab: None)
        runs.start("copy", TINY | {"steps": 3})
    assert used.exists() and young.exists() and not old.parent.exists()
    assert (tmp_path / "mine" / "pairs.tsv").exists()


def test_an_old_file_that_a_training_begins_with_is_kept(lab: Path) -> None:
    data = handed_in(lab, "old", 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_launch", lambda folder, lab: None)
        runs.start("parallel", {k: v for k, v in TINY.items() if k != "train_size"} | {"steps": 3, "data": str(data)})
    assert data.exists()


def test_a_first_run_has_nobody_before_it(lab: Path) -> None:
    """One that may start at once, and one that has just taken its turn and not said so yet."""
    first, second = begun(lab, "copy-1"), begun(lab, "copy-2")
    with lock_of(first / LOCK), lock_of(second / LOCK):
        queue.take_ticket(lab, first)
        queue.take_ticket(lab, second)
        assert (queue.place(lab, first), queue.place(lab, second)) == (0, 1)
        turn = queue.Turn(lab, first)
        turn.wait(lambda: None)
        assert queue.place(lab, first) is None and queue.place(lab, second) == 1
        turn.give_up()
        assert queue.place(lab, second) == 0
