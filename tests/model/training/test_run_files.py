"""Files of a run that are damaged or changed are said in a sentence before a step is made; a model is replaced in one step."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save

from model import open_model
from model.data_files.split import part_of
from model.errors import DamagedTraining, DataChanged, NothingToResume, TrainingInterrupted, TrainingThere
from model.files import atomic
from model.lab import queue, runs
from model.lab.files import HEARTBEAT, write_heartbeat
from model.training import train as training
from model.training.options import options_of
from model.training.run_files import place
from model.training.run_files.curves import Curves
from model.training.run_files.state import read_state
from model.training.train import StopTraining, begin, go_on

TINY = {"d_model": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 8, "batch": 8, "snapshots": 4}
COPY = TINY | {"train_size": 60}


def stop_at(step: int) -> Callable[[training.Run, dict[str, Any]], None]:
    def heard(run: training.Run, line: dict[str, Any]) -> None:
        if line["step"] == step:
            raise StopTraining

    return heard


def stopped(folder: Path, step: int, task: str = "copy", **given: Any) -> Path:
    made = begin(options_of(task, **(COPY if task == "copy" else TINY) | given), folder)
    with pytest.raises(TrainingInterrupted):
        go_on(made, stop_at(step))
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stopped(tmp_path_factory.mktemp("runs") / "copy", 6, steps=9)


def table(path: Path, **more: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | more), "utf-8")


def state(folder: Path, **more: Any) -> None:
    tensors, told = read_state(folder / "resume.safetensors")
    (folder / "resume.safetensors").write_bytes(save(tensors, {"state": json.dumps(told | more)}))


def log(change: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    return lambda folder: (folder / "log.jsonl").write_bytes(change((folder / "log.jsonl").read_bytes()))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "log gone": (lambda folder: (folder / "log.jsonl").unlink(), "log.jsonl is gone"),
    "log half": (log(lambda text: text[: len(text) // 2]), "not the 6 lines"),
    "log junk": (log(lambda text: text[:100] + b"\xff\x00" + text[102:]), "not the 6 lines"),
    "log without a loss": (log(lambda text: text.replace(b'"loss"', b'"lost"')), "not the 6 lines"),
    "log of a list": (log(lambda text: text.replace(b"{", b"[", 1)), "not the 6 lines"),
    "log a pipe": (lambda f: ((f / "log.jsonl").unlink(), os.mkfifo(f / "log.jsonl")), "a pipe"),
    "state gone": (lambda folder: (folder / "resume.safetensors").unlink(), "resume.safetensors is gone"),
    "step a text": (lambda folder: state(folder, step="6"), "is damaged"),
    "step beyond": (lambda folder: state(folder, step=10**6), "does not fit"),
    "taken below 0": (lambda folder: state(folder, taken=-5), "is damaged"),
    "taken beyond": (lambda folder: state(folder, taken=10**12), "does not fit"),
    "no length": (lambda folder: state(folder, log_bytes=None), "is damaged"),
    "longer": (lambda folder: state(folder, log_bytes=10**8), "not the 6 lines"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_file_is_said_before_a_step_is_made(what: str, run: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    damage, said = DAMAGE[what]
    damage(folder)
    before = {path.name: path.stat().st_size for path in folder.iterdir()}
    with pytest.raises(DamagedTraining, match=said) as refused:
        go_on(folder)
    assert len(str(refused.value)) <= 300
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "more",
    [
        {"options": {}}, {"seeds": 3}, {"seeds": ["../.."]}, {"seeds": [5]}, {"options": {"task": 5, "steps": "x"}},
        {"finished": 5},
    ],
)  # fmt: skip
def test_a_run_file_of_other_things_is_no_run(more: dict[str, Any], run: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    table(folder / "run.json", **more)
    for ask in (go_on, runs.status):
        with pytest.raises(NothingToResume):
            ask(folder)


@pytest.mark.parametrize("told", [
    '{"state": 5, "step": "abc"}', '{"state": "<b>", "step": -5}', '{"state": "stopped", "step": null}', "[]", "\x00",
    '{"state": "failed", "error": {"a": 1}, "code": 7, "values": [1]}',
    '{"state": "running", "step": 1e999, "seconds_left": NaN}',
    '{"state": "stopped", "step": 3, "loss": "x"}', '{"state": "queued", "time": "x"}',
])  # fmt: skip
def test_a_heartbeat_of_other_things_is_none(told: str, run: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    (folder / HEARTBEAT).write_text(told, "utf-8")
    os.utime(folder / "run.json", (1, 1))
    found = runs.status(folder)
    # A run of that many seeds, a process that is gone.
    assert (found.state, found.step, found.last, found.error) == ("starting", 0, {}, "") or found.state == "killed"
    assert found.step == 0 and not found.last


@pytest.mark.parametrize("line", [
    '{"step": 1, "loss": 1' + "0" * 400 + "}", '{"step": 1.0, "loss": 1}', '{"step": true, "loss": 1}', "[1]",
    '{"step": 1, "probes": 5}', '{"step": 1, "probes": [{}]}', '{"step": 1, "probes": [{"given": 1, "wanted": null}]}',
    '{"step": 1, "signature": 5}', '{"step": 1, "bleu": "x"}',
])  # fmt: skip
def test_a_line_of_other_things_ends_the_curves(line: str, tmp_path: Path):
    (tmp_path / "log.jsonl").write_text(line + "\n", "utf-8")
    found = Curves(tmp_path).read()
    assert found.quantities == [] and found.probes == [] and found.signature == ""


def test_half_a_line_of_the_list_costs_no_later_one(run: Path, tmp_path: Path):
    lab = tmp_path / "lab"
    lab.mkdir()
    junk = ["x}", '{"a": 1}', '{"folder": 5}', "[{}", '{"folder": "\\u0000"}', '{"folder": "/tm']
    (lab / "runs.jsonl").write_bytes(b"\xff\xfe}\n" + "\n".join(junk).encode())
    assert runs.runs(lab) == []
    runs._list(lab, run)
    assert [one.folder for one in runs.runs(lab)] == [run]


def test_tickets_of_other_things_are_none(run: Path, tmp_path: Path):
    tickets = tmp_path / "queue"
    tickets.mkdir()
    for name, text in (
        ("abc", "{}"),
        (f"{1:020}", '{"folder": 5}'),
        (f"{2:020}", '{"folder": "\\u0000"}'),
        (f"{3:020}", "["),
    ):
        (tickets / f"{name}.json").write_text(text, "utf-8")
    queue.take_ticket(tmp_path, run)
    assert queue.waiting(tmp_path) == [run]
    queue.leave(tmp_path, run)
    assert queue.waiting(tmp_path) == []


def test_a_run_that_waits_again_stands_at_the_step_that_it_had(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    write_heartbeat(folder, {"state": "stopped", "step": 6, "loss": 2.0, "error": "x"})
    monkeypatch.setattr(runs.subprocess, "Popen", lambda *given, **more: type("P", (), {"wait": lambda self: 0})())
    runs.resume(folder, tmp_path / "lab")
    found = runs.status(folder)
    assert (found.state, found.step, found.last, found.error) == ("starting", 6, {"loss": 2.0}, "")


ROWS = [
    f"the {a} {c} {b}"
    for a in ("big", "red", "old", "wet", "sad", "new")
    for b in ("runs", "eats", "sits", "reads", "waits", "jumps")
    for c in ("cat", "dog")
]


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("task", ["text", "parallel"])
def test_a_held_out_line_that_changed_is_noticed(part: str, task: str, tmp_path: Path):
    rows = ROWS if task == "text" else [f"{row}\t{row[::-1]}" for row in ROWS]
    held = [row for row in rows if part_of(row.split("\t")[0]) == part]
    assert len(held) >= 2
    file = tmp_path / f"own.{'txt' if task == 'text' else 'tsv'}"
    file.write_text("\n".join(rows), "utf-8")
    sizes = {"encoder_layers": 0} if task == "text" else {}
    folder = stopped(tmp_path / "run", 2, task, data=str(file), steps=4, **sizes)
    if task == "text":  # its words are in other lines too: no id moves
        file.write_text("\n".join(row for row in rows if row != held[0]), "utf-8")
    else:
        file.write_text("\n".join(rows).replace(held[0], f"{held[0]} aaa"), "utf-8")
    with pytest.raises(DataChanged):
        go_on(folder)
    file.write_text("\n".join(rows), "utf-8")
    state(folder, whole=None)
    told = read_state(folder / "resume.safetensors")[1]
    assert told["whole"] is None
    go_on(folder)  # as one that was begun before held-out lines were looked at


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished model, and beside it a run one step before its end that takes its place."""
    root = tmp_path_factory.mktemp("two")
    go_on(begin(options_of("copy", **COPY, steps=2), root / "m"))
    (root / "m" / "notes.txt").write_text("mine", "utf-8")
    assert stopped(root / "m", 3, steps=4, d_ff=16) == root / "m.new"
    return root


@pytest.mark.parametrize("call", range(1, 24))
def test_a_model_is_replaced_whenever_it_is_killed(
    call: int, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "r"
    shutil.copytree(two, root)
    count = [0]

    def dying(real: Callable) -> Callable:
        def called(*given: Any, **more: Any) -> Any:
            if count[0] >= 0:
                count[0] += 1
                if count[0] == call:
                    raise Killed
            return real(*given, **more)

        return called

    with monkeypatch.context() as patched:
        for module, name in ((os, "rename"), (os, "rmdir"), (atomic.os, "replace"), (place.shutil, "rmtree")):
            patched.setattr(module, name, dying(getattr(module, name)))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        patched.setattr(training.Run, "steps", dying(training.Run.steps))
        try:
            go_on(root / "m")
        except Killed:
            pass
        else:
            assert call > 15
    found = [open_model(str(folder)) for folder in (root / "m", root / "m.new") if folder.exists()]
    assert {model.config.d_ff for model in found} <= {8, 16} and found
    if (root / "m.new").exists():
        with pytest.raises(TrainingThere):
            begin(options_of("copy", **COPY), root / "m")
    go_on(root / "m")
    model = open_model(str(root / "m"))
    assert model.config.d_ff == 16 and model.card["steps"] == 4
    assert [path.name for path in root.iterdir()] == ["m"]
    assert (root / "m" / "notes.txt").read_text("utf-8") == "mine"
    told = json.loads((root / "m" / "run.json").read_text("utf-8"))
    assert told["finished"] and told["options"]["replaces"] is None
    assert not (root / "m" / "resume.safetensors").exists()
    assert go_on(root / "m").endswith("finished already, after 4 steps")


def test_a_run_takes_the_place_of_no_other_folder(run: Path, tmp_path: Path):
    folder, other = tmp_path / "copy.new", tmp_path / "other"
    shutil.copytree(run, folder)
    shutil.copytree(run, other)
    told = json.loads((folder / "run.json").read_text("utf-8"))
    for replaces in (other, tmp_path / "copy.new" / ".." / "other", "/etc"):
        table(folder / "run.json", options=told["options"] | {"replaces": str(replaces)})
        with pytest.raises(DamagedTraining, match="would replace"):
            go_on(folder)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "config.json").write_text("mine", "utf-8")
    table(folder / "run.json", options=told["options"] | {"replaces": str(tmp_path / "copy")})
    with pytest.raises(DamagedTraining, match="something else than a model"):
        go_on(folder)
    assert (tmp_path / "copy" / "config.json").read_text("utf-8") == "mine"
