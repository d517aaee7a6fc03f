"""The page Train: a run is begun, watched by its folder alone, stopped, gone on with and opened; refusals are a sentence."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit import config

from model.lab import runs
from model.lab.files import LOCK, lock_of, write_heartbeat
from model.lab.job import work
from model.lab.runs import Status
from model.training.options import options_of
from model.training.run_files.folder import log_of
from model.training.schedules import Span, cosine
from model.training.seeds import begin_seeds
from model.training.tasks.registry import TASKS
from tests.app.visit import Visit
from tests.model import tiny
from viz.base import numbers
from viz.ui.models import lab_models
from viz.ui.train import allowed

TINY = {"d-model": 8, "heads": 2, "encoder-layers": 1, "decoder-layers": 1, "d-ff": 8, "train-size": 60, "batch": 4}
SIZES = {name.replace("-", "_"): value for name, value in TINY.items()}


@pytest.fixture(autouse=True)
def ended(lab: Path) -> Iterator[None]:
    """No process outlives its test."""
    yield
    for run in runs.runs(lab):
        if not run.is_over:
            runs.stop(run.folder)
            until(run.folder, lab, lambda found: found.is_over)


def until(run: Path, lab: Path, holds: Callable[[Status], bool]) -> Status:
    end = time.monotonic() + 120
    while not holds(found := runs.status(run, lab)):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def type_in(seen: Visit, task: str = "copy", **numbers: int) -> Visit:
    """Numbers into the fields of the form, as a person types them; the page runs once."""
    for name, value in numbers.items():
        key = f"train-{name.replace('_', '-')}"
        (field,) = [one for one in seen.at.number_input if one.key in (key, f"{key}@{task}")]
        field.set_value(value)
    seen.at.run()
    return seen


def set_tiny(seen: Visit, task: str = "copy", **more: int) -> Visit:
    return type_in(seen, task, **{name.replace("-", "_"): value for name, value in (TINY | more).items()})


def bar(seen: Visit) -> str:
    (found,) = seen.at.get("progress")
    return found.proto.text


def figure(seen: Visit) -> dict:
    """The figure of the curves as the browser is told it."""
    (element,) = [one for one in seen.at.get("bidi_component") if one.key == "train-curves"]
    return json.loads(element.proto.json)["figure"]


def finished(lab: Path, task: str = "copy", seeds: int = 1, **options: object) -> Path:
    """A run that was made in this process, and stands in the lab's list."""
    folder = begin_seeds(options_of(task, **({"steps": 12, "evaluate_every": 5} | SIZES | options)), lab / "one", seeds)
    with open(lab / "runs.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"folder": str(folder)}) + "\n")
    work(folder)
    return folder


def test_a_run_is_begun_watched_paused_stopped_and_gone_on_with_from_any_window(lab: Path) -> None:
    seen = set_tiny(Visit("train", straight=True).sound(), steps=100_000, seed=3).sound()
    assert not runs.runs(lab)
    seen.click("train-start").sound()
    (found,) = runs.runs(lab)
    told = json.loads((found.folder / "run.json").read_text("utf-8"))["options"]
    assert (told["task"], told["steps"], told["seed"], told["batch"]) == ("copy", 100_000, 3, 4)
    assert told["sizes"] == options_of("copy", **SIZES).sizes and told["peak"] == 3e-3
    assert allowed.identity(found.folder) in seen.link["tab"]
    run = found.folder
    until(run, lab, lambda one: one.state == "running" and one.step > 20)
    other = Visit("train", straight=True).sound()  # a second window, with no link
    for page in (seen, other):
        page.at.run()
        assert bar(page.sound()).startswith(seen.say("train.state_running"))
    assert other.at.button(key="train-open").disabled
    other.click("train-pause").sound()
    until(run, lab, lambda one: one.state == "paused")
    seen.at.run()
    assert seen.say("train.state_paused") in bar(seen) and not seen.at.button(key="train-open").disabled
    seen.click("train-resume").sound()
    until(run, lab, lambda one: one.state == "running")
    seen.click("train-stop").sound()
    stopped = until(run, lab, lambda one: one.state == "stopped")
    other.at.run()
    assert seen.say("train.state_stopped") in bar(other) and f"{stopped.step:,}" in bar(other)
    other.click("train-resume").sound()
    until(run, lab, lambda one: one.state == "running" and one.step > stopped.step)
    other.click("train-stop")


def test_the_curves_are_those_of_the_log(lab: Path) -> None:
    folder = finished(lab, steps=12)
    seen = Visit("train", straight=True, tab="train.run").sound()
    lines = list(log_of(folder))
    drawn = {trace["meta"]: trace for trace in figure(seen)["data"]}
    for name in ("loss", "validation_loss", "perplexity", "learning_rate", "gradient_norm", "bleu", "chrf"):
        wanted = [(line["step"], line[name]) for line in lines if name in line]
        assert list(zip(drawn[name]["x"], drawn[name]["y"], strict=True)) == wanted, name
        if len(wanted) < len(lines):  # one hover has all curves: what was measured last, and when
            known = [[pair for pair in wanted if pair[0] <= line["step"]][-1] for line in lines]
            told = drawn[f"{name}-known"]
            assert list(zip(told["customdata"], told["y"], strict=True)) == known and told["x"] == drawn["loss"]["x"]
    assert drawn["exact_match"]["y"] == [100 * line["exact_match"] for line in lines if "exact_match" in line]
    layout = figure(seen)["layout"]
    vocabulary = json.loads((folder / "vocabulary.json").read_text("utf-8"))["target"]
    assert layout["shapes"][0]["y0"] == pytest.approx(math.log(len(vocabulary)))
    assert {trace["xaxis"] for trace in drawn.values()} == {"x"}
    assert len({trace["yaxis"] for trace in drawn.values()}) == 5
    assert (layout["hovermode"], layout["hoversubplots"], layout["uirevision"]) == ("x unified", "axis", str(folder))
    probes = lines[-1]["probes"]
    (table,) = [one.proto.body for one in seen.at.get("html") if "<table" in one.proto.body]
    assert table.count("<tr>") == len(probes) + 1 and all(one["given"] in table for one in probes)
    assert seen.say("train.state_finished") in bar(seen)


def test_a_band_of_seeds_is_drawn(lab: Path) -> None:
    folder = finished(lab, seeds=2, steps=6)
    seen = Visit("train", straight=True, tab="train.run").sound()
    drawn = {trace["meta"]: trace["y"] for trace in figure(seen)["data"]}
    losses = np.array([[line["loss"] for line in log_of(folder / f"seed-{seed}")] for seed in (0, 1)])
    for name, wanted in (("loss", losses.mean(0)), ("loss-low", losses.min(0)), ("loss-high", losses.max(0))):
        np.testing.assert_allclose(drawn[name], wanted)
    # The axis ends at the steps of one seed, and so does what is said; whose the numbers in the line are is said too: of both.
    step = seen.say("train.of_steps", step=6, steps=6)
    assert seen.say("train.of_seeds", name="seed-1", n=2, of=2, step=step) in bar(seen)
    (line,) = [one.value for one in seen.at.caption if one.value.startswith(seen.say("train.over_seeds", n=2))]
    for name in ("loss", "validation_loss"):
        ends = [[one[name] for one in log_of(folder / f"seed-{seed}") if name in one][-1] for seed in (0, 1)]
        mean, low, high = (numbers.short(value) for value in (math.fsum(ends) / 2, min(ends), max(ends)))
        assert low != high
        assert seen.say("train.mean_range", what=seen.say(f"train.{name}"), mean=mean, low=low, high=high) in line
    # While one of them trains the numbers are that one's, which is said.
    (folder / "run.json").write_text(json.dumps(json.loads((folder / "run.json").read_text()) | {"finished": False}))
    seen = Visit("train", straight=True, tab="train.run").sound()
    (line,) = [one.value for one in seen.at.caption if one.value.startswith(seen.say("train.of_seed", name="seed-1"))]
    last = list(log_of(folder / "seed-1"))[-1]
    assert f"{seen.say('train.loss')} {numbers.short(last['loss'])}" in line


def test_a_loss_that_is_smoothed_is_called_so_and_how_bleu_is_counted_is_folded(lab: Path) -> None:
    finished(lab, label_smoothing=0.1)
    seen = Visit("train", straight=True, tab="train.run").sound()
    layout = figure(seen)["layout"]
    assert seen.say("train.loss_smoothed", smoothing="0.1") in layout["annotations"][0]["text"]
    assert any(seen.say("train.smoothing_sentence", smoothing="0.1") in one.value for one in seen.at.caption)
    (box,) = [one for one in seen.at.expander if one.label == seen.say("train.signature")]
    assert not box.proto.expanded and "nrefs" in box.code[0].value
    assert not [one for one in seen.at.text_input if (one.key or "").startswith("text")]  # no sentence is run here
    assert [one for one in seen.go("heads").at.text_input if (one.key or "").startswith("text")]


def test_what_was_made_opens_and_older_runs_are_listed(lab: Path) -> None:
    folder = finished(lab)
    seen = Visit("train", straight=True).sound()
    name = allowed.identity(folder)
    seen.click(f"train-show-{name}").sound()
    assert seen.say("train.state_finished") in bar(seen)
    seen.click("train-open").sound()
    assert seen.view.model == str(folder) and seen.figures() == ["overview"]
    seen.go("heads").sound()
    # A page that was loaded anew had a link; what that asked for was of the model before.
    seen = Visit("train", straight=True, site="decoder.1.self", head=1, q=4, k=3, to="fr", lang="en").sound()
    seen.click(f"train-open-{name}").sound()
    assert seen.view.model == str(folder)
    seen.go("heads").sound()


def test_the_list_of_models_says_how_large_ones_own_is(lab: Path) -> None:
    folder = finished(lab)
    lab_models._finished.clear()
    there = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    seen = Visit("models", straight=True).sound()
    at = [*seen.at.main]  # in the order of the page: the button of a row follows what it costs
    (row,) = [i for i, one in enumerate(at) if getattr(one, "key", None) == f"open-{folder}"]
    cost = next(one for one in reversed(at[:row]) if one.type == "caption")
    assert there > 1000 and cost.value == numbers.size(there)


def test_a_warm_up_that_is_cut_says_how_long_it_is(lab: Path) -> None:
    seen = Visit("train", straight=True).sound()

    def cut(steps: int, asked: int = 100) -> list[str]:
        seen.at.number_input(key="train-steps@copy").set_value(steps)
        seen.at.run()
        used = next(step for step in range(1, steps + 1) if cosine(step, Span(steps, asked, 64)) == 1e-3)
        said = seen.say("train.warmup_cut", asked=asked, used=used, steps=steps)
        return [one.value for one in seen.sound().at.caption if one.value == said]

    assert len(cut(200)) == 1 and not cut(500)
    seen.at.selectbox(key="train-schedule@copy").set_value("inverse-square-root")
    assert not cut(200)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_task_is_found_by_its_short_name(lab: Path, lang: str) -> None:
    offered = Visit("train", straight=True, lang=lang).sound().at.selectbox(key="train-task").options
    assert len(offered) == len(TASKS)
    for name in TASKS:
        assert sum(one.endswith((f"({name})", f"（{name}）")) for one in offered) == 1


def test_others_are_told_that_they_may_not(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_checkpoint(lab.parent / "models" / "mine")
    address = config.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")
    try:
        seen = Visit("train", straight=True).sound()
        assert [info.value for info in seen.at.info] == [seen.say("train.confined")]
        assert not [one for one in seen.at.button if (one.key or "").startswith("train-")]
        # The configured folder: a lab in a folder of models.
        monkeypatch.setenv("HEADLIGHT_MODELS", str(lab.parent))
        seen = Visit("train", straight=True).sound()
        assert seen.at.button(key="train-start") and not seen.at.info
        seen.at.selectbox(key="train-task").set_value("text").run()
        (lab.parent.parent / "elsewhere.txt").write_text("a line\n", "utf-8")
        seen.at.text_input(key="train-path").set_value(str(lab.parent.parent / "elsewhere.txt")).run()
        assert "elsewhere.txt" in seen.complaint() and seen.at.button(key="train-start").disabled
    finally:
        config.set_option("server.address", address)


def test_sizes_that_do_not_go_together_are_one_sentence_and_start_nothing(visit) -> None:
    for lang, said in (("en", "divisible"), ("zh", "d_model")):
        seen = type_in(visit("train", straight=True, lang=lang), heads=3)
        assert said in seen.complaint() and seen.at.button(key="train-start").disabled
    type_in(seen, heads=4).sound()
    assert not seen.at.button(key="train-start").disabled


@pytest.mark.parametrize(("kind", "code"), [(errno.ENOSPC, "no space left"), (errno.EACCES, "permission denied")])
def test_a_place_that_takes_nothing_is_one_sentence(
    lab: Path, monkeypatch: pytest.MonkeyPatch, kind: int, code: str
) -> None:
    seen = set_tiny(Visit("train", straight=True), steps=5)
    from model.files import atomic

    def full(*args: object, **_: object) -> None:
        raise OSError(kind, os.strerror(kind), str(lab))

    monkeypatch.setattr("model.training.train.write_json", full)
    monkeypatch.setattr(atomic, "write_bytes", full)
    seen.click("train-start")
    assert code in seen.complaint().lower() and not runs.runs(lab)


def test_data_that_vanished_is_one_sentence_in_the_language_of_the_page(lab: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(f"the {a} {b}\tle {a} {b}" for a in "abcde" for b in "fghij"), "utf-8")
    folder = begin_seeds(options_of("parallel", data=str(path), steps=5, **{k: v for k, v in SIZES.items() if k != "train_size"}),
                         lab / "own", 1)  # fmt: skip
    (lab / "runs.jsonl").write_text(json.dumps({"folder": str(folder)}) + "\n", "utf-8")
    path.unlink()
    with pytest.raises(ValueError, match="no such file"):
        work(folder)
    for lang, said in (("en", "cannot be used"), ("zh", "无法使用文件")):
        seen = Visit("train", straight=True, lang=lang, tab="train.run")
        assert said in seen.complaint() and "pairs.tsv" in seen.complaint()


def test_a_folder_that_is_gone_while_it_is_watched_is_no_error(lab: Path) -> None:
    folder = finished(lab)
    seen = Visit("train", straight=True, tab=f"train.run,train_run.{allowed.identity(folder)}").sound()
    (folder / "run.json").unlink()
    seen.at.run()
    assert seen.complaint() == seen.say("train.lost")


BROKEN = "the cat sat\tle chat\n\nthe dog\tle chien\nthe dog\tle chien\nonly one\n" + "".join(
    f"word {a} and {b}\tmot {a} et {b}\n" for a in "abcdef" for b in "uvwxyz"
)


def test_own_text_is_checked_by_line_numbers_with_a_choice_and_trained_on(lab: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text(BROKEN, "utf-8")
    seen = Visit("train", straight=True)
    seen.at.selectbox(key="train-task").set_value("parallel").run()
    assert seen.sound().at.button(key="train-start").disabled
    seen.at.text_input(key="train-path").set_value(str(path)).run()
    said = " ".join(text.value for text in seen.sound().at.markdown)
    for kind, line in (("empty", 2), ("duplicate", 4), ("columns", 5)):
        assert seen.say("evaluate.lines", lines=line) in said, kind
    seen.at.selectbox(key="train-choice-duplicate").set_value("keep")
    sizes = {name.replace("-", "_"): value for name, value in TINY.items() if name != "train-size"}
    type_in(seen, "parallel", **sizes, steps=3).click("train-start").sound()
    (found,) = runs.runs(lab)
    told = json.loads((found.folder / "run.json").read_text("utf-8"))["options"]
    assert told["data"] == str(path) and told["choices"]["duplicate"] == "keep"
    until(found.folder, lab, lambda one: one.state == "finished")
    card = json.loads((found.folder / "card.json").read_text("utf-8"))
    assert card["lines"] - card["left_out"] == BROKEN.count("\n") - 2  # the empty one and the one of one column


def test_a_file_that_was_handed_in_is_kept_for_its_training(lab: Path) -> None:
    seen = Visit("train", straight=True, tab="train_from.upload")
    seen.at.selectbox(key="train-task").set_value("text").run()
    text = "".join(f"the {a} sees the {b}\n" for a in "abcdef" for b in "uvwxyz").encode()
    seen.at.session_state["train-given"] = ("../my lines.txt", text)
    seen.at.run()
    sizes = {"d_model": 8, "heads": 2, "decoder_layers": 1, "d_ff": 8, "batch": 4, "steps": 2}
    type_in(seen.sound(), "text", **sizes).click("train-start").sound()
    (found,) = runs.runs(lab)
    data = Path(json.loads((found.folder / "run.json").read_text("utf-8"))["options"]["data"])
    assert data.read_bytes() == text and data.is_relative_to(lab / "data") and data.name == "my lines.txt"
    until(found.folder, lab, lambda one: one.state == "finished")


def test_a_run_that_waits_says_how_many_go_first(lab: Path) -> None:
    folder = begin_seeds(options_of("copy", steps=5, **SIZES), lab / "one", 1)
    first = begin_seeds(options_of("copy", steps=5, **SIZES), lab / "two", 1)
    (lab / "runs.jsonl").write_text(json.dumps({"folder": str(folder)}) + "\n", "utf-8")
    from model.lab import queue

    with lock_of(folder / LOCK), lock_of(first / LOCK):
        for each in (first, folder):
            queue.take_ticket(lab, each)
        write_heartbeat(folder, {"state": "queued", "step": 0, "steps": 5})
        seen = Visit("train", straight=True).sound()
        assert seen.say("train.state_queued_behind", n=1) in bar(seen)
        turn = queue.Turn(lab, first)
        turn.wait(lambda: None)
        seen.at.run()
        assert seen.say("train.state_queued_behind", n=1) in bar(seen)  # it trains now, and goes first still
        turn.give_up()
        seen.at.run()
        assert seen.say("train.state_starting") in bar(seen)  # nobody goes first: it starts at once


def own_run(lab: Path, name: str = "copy-1") -> Path:
    """A run in the lab's folder that was stopped at its start, in the list."""
    folder = begin_seeds(options_of("copy", **({"steps": 12} | SIZES)), lab / "runs" / name, 1)
    write_heartbeat(folder, {"state": "stopped", "step": 0, "steps": 12})
    with open(lab / "runs.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"folder": str(folder)}) + "\n")
    return folder


def popovers(seen: Visit) -> list[str]:
    """The identities of the popovers, by which Chromium keeps one open."""
    return [one.proto.id for one in seen.at.get("popover")]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_run_is_deleted_after_it_was_asked_for_twice(lab: Path, lang: str) -> None:
    other, folder = own_run(lab), own_run(lab, "copy-2")
    seen = Visit("train", straight=True, tab=f"train.run,train_run.{allowed.identity(folder)}", lang=lang).sound()
    assert any("copy-2" in text.value and seen.say("train.delete_sure", name="\0").split("\0")[1] in text.value
               for text in seen.at.markdown)  # fmt: skip
    (asked,) = popovers(seen)
    seen.click("train-delete_now").sound()  # nothing is amiss, and another run is shown
    assert [one.value for one in seen.at.success] == [seen.say("train.deleted", name="copy-2")]
    assert popovers(seen) != [asked] and len(popovers(seen)) == 1  # the question about that one has not been asked yet
    assert not folder.exists() and other.exists() and [one.folder for one in runs.runs(lab)] == [other]
    seen.click("train-delete_now").sound()
    assert not runs.runs(lab)


def test_the_model_of_a_deleted_run_is_not_looked_at_any_more(lab: Path) -> None:
    folder = own_run(lab)
    seen = Visit("train", straight=True, tab=f"train.run,train_run.{allowed.identity(folder)}").sound()
    seen.at.session_state["view"] = dataclasses.replace(seen.view, model=str(folder))
    seen.at.run()
    assert seen.click("train-delete_now").view.model == "translate"


def test_a_run_elsewhere_or_on_its_way_has_no_button_that_deletes_it(lab: Path) -> None:
    elsewhere, here = finished(lab), own_run(lab)
    for folder, shown in ((elsewhere, False), (here, True)):
        seen = Visit("train", straight=True, tab=f"train.run,train_run.{allowed.identity(folder)}").sound()
        assert any(button.key == "train-delete_now" for button in seen.at.button) == shown
    with lock_of(here / LOCK):
        write_heartbeat(here, {"state": "running", "step": 1, "steps": 12})
        seen.at.run()
        assert not any(button.key == "train-delete_now" for button in seen.sound().at.button)


def test_who_may_not_train_deletes_nothing(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_run(lab)
    seen = Visit("train", straight=True, tab=f"train.run,train_run.{allowed.identity(folder)}").sound()
    monkeypatch.setattr(allowed, "may_train", lambda: False)
    seen.click("train-delete_now")
    assert folder.exists() and not seen.at.exception


def test_visitors_see_no_run_outside_the_folders_that_they_may_open(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADLIGHT_MODELS", str(lab))
    inside = begin_seeds(options_of("copy", steps=5, **SIZES), lab / "runs" / "open", 1)
    outside = begin_seeds(options_of("copy", steps=5, **SIZES), tmp_path / "home" / "private", 1)
    (lab / "runs.jsonl").write_text(
        "".join(json.dumps({"folder": str(one)}) + "\n" for one in (inside, outside)), "utf-8"
    )
    for folder in (inside, outside):
        write_heartbeat(folder, {"state": "stopped", "step": 3})
    assert {one.folder for one in allowed.runs()} == {inside, outside}
    address = config.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")
    try:
        assert [one.folder for one in allowed.runs()] == [inside]
        seen = Visit("train", straight=True, tab=f"train.run,train_run.{allowed.identity(outside)}")
        assert [one.value for one in seen.at.warning] == [seen.say("train.lost")] and not seen.at.exception
        assert not any("private" in markdown.value for markdown in seen.at.markdown)
        assert any("open" in markdown.value for markdown in seen.at.markdown)
    finally:
        config.set_option("server.address", address)


@pytest.mark.parametrize("what", ["heartbeat", "log", "run", "list", "ticket"])
def test_junk_in_the_files_of_a_run_is_no_traceback(what: str, lab: Path) -> None:
    folder = begin_seeds(options_of("copy", steps=5, **SIZES), lab / "runs" / "one", 1)
    (lab / "runs.jsonl").write_text(json.dumps({"folder": str(folder)}) + "\n", "utf-8")
    write_heartbeat(folder, {"state": "stopped", "step": 3})
    if what == "heartbeat":
        (folder / "heartbeat.json").write_text('{"state": "stopped", "step": null, "loss": "x"}', "utf-8")
    if what == "log":
        (folder / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "probes": [{"given": 1}]}\n', "utf-8")
    if what == "run":
        (folder / "run.json").write_text('{"options": {}, "seeds": 3}', "utf-8")
    if what == "list":
        (lab / "runs.jsonl").write_bytes(b'\xff\xfe}\n{"folder": 5}\n{"fol')
    if what == "ticket":
        (lab / "queue").mkdir()
        (lab / "queue" / "abc.json").write_text("{}", "utf-8")
        write_heartbeat(folder, {"state": "queued", "step": 0})
        with lock_of(folder / LOCK):
            Visit("train", straight=True, tab="train.run").sound()
    Visit("train", straight=True, tab="train.run").sound()
