"""Stop: what was typed stays typed, what is shown is the last run that worked, and nothing begins again by itself."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from model import open_model
from model.checkpoints.library import library_model, outputs
from model.jobs.progress import tick
from tests.app.acting import put, stop_during


@pytest.mark.parametrize("page", ["heads", "output"])
def test_stop_leaves_the_last_good_run(visit, models: Path, monkeypatch, page: str) -> None:
    seen = visit(page, model="gpt2", text="the cat").sound()
    waits, calls = threading.Event(), []
    quick = library_model.record

    def slow(*args: object, **more: object):
        calls.append(1)
        waits.set()
        for _ in range(600):
            time.sleep(0.02)
            tick("layers", 0.5)
        return quick(*args, **more)

    monkeypatch.setattr(library_model, "record", slow)
    stop_during(seen, waits, lambda: put(seen, "text_area", "text", f"the {page} sat"))
    assert seen.sound().at.title[0].value == seen.say(f"{page}.title")
    # What was typed stays in the box, with a sentence; it is not run again by itself, whatever else is done.
    for _ in range(2):
        assert seen.sound().view.text == f"the {page} sat" and len(calls) == 1
        assert [box.value for box in seen.at.text_area] == [f"the {page} sat"]
        assert [info.value for info in seen.at.info] == [seen.say("note.not_run", text="the cat")]
        seen.go("overview" if page == "heads" else "heads").go(page)
    monkeypatch.setattr(library_model, "record", quick)
    seen.click("run-stopped").sound()
    assert seen.view.text == f"the {page} sat" and not seen.at.info
    expected = open_model(models / "gpt2").trace(f"the {page} sat").tokens("decoder")
    assert len(seen.go("heads").figure("matrix")[0]["rows"]) == len(expected)


def test_after_stop_another_text_is_run(visit, models: Path) -> None:
    seen = visit("heads", model="gpt2", text="the cat").sound()
    seen.at.session_state["stopped"] = ("gpt2", "the dog sat", "", "", "", 0, 0, "")
    put(seen, "text_area", "text", "the dog sat")
    shown = open_model(models / "gpt2").trace("the cat").tokens("decoder")
    assert seen.at.info and len(seen.figure("matrix")[0]["rows"]) == len(shown)
    assert not put(seen, "text_area", "text", "the mat").sound().at.info
    assert not put(seen, "text_area", "text", "the dog sat").sound().at.info


def test_stop_ends_a_draw_and_the_next_one_begins_anew(visit, models: Path, monkeypatch) -> None:
    seen = visit("output", model="gpt2", text="Once upon a time").sound()
    waits, quick = threading.Event(), outputs.sample

    def slow(*args: object, **more: object):
        waits.set()
        for _ in range(600):
            time.sleep(0.02)
            tick("writing", 0.5)
        return quick(*args, **more)

    monkeypatch.setattr(outputs, "sample", slow)
    stop_during(seen, waits, lambda: seen.click("sample-draw"))
    assert "sample-look-0" not in {button.key for button in seen.sound().at.button}
    monkeypatch.setattr(outputs, "sample", quick)
    assert "sample-look-0" in {button.key for button in seen.click("sample-draw").sound().at.button}
