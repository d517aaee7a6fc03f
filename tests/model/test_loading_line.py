"""Models opened at the same moment: one at a time, in the order in which they came, each told its place."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from model.checkpoints.library_logging import Line
from model.errors import Stopped
from model.jobs.progress import ProgressListener, report_to


def test_threads_are_let_in_in_their_order_and_told_their_place():
    line, entered, told = Line(), [], {}

    def wait(name: int) -> None:
        listener = ProgressListener(lambda what, _: told.setdefault(name, []).append(what), lambda: False)
        with report_to(listener), line.turn(), line.turn():  # once more by who is in
            entered.append(name)

    with line.turn():
        threads = [threading.Thread(target=wait, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        time.sleep(0.3)
    for thread in threads:
        thread.join()
    assert entered == [0, 1, 2]
    assert {name: said[0] for name, said in told.items()} == {0: "line:1", 1: "line:2", 2: "line:3"}
    assert all(said[-1] == "loading" and said.count("loading") == 1 for said in told.values())


def test_who_comes_first_is_told_of_no_line():
    told: list[str] = []
    with report_to(ProgressListener(lambda what, _: told.append(what), lambda: False)), Line().turn():
        pass
    assert told == []


def test_who_is_stopped_in_line_leaves_it():
    line, ended = Line(), []

    def wait() -> None:
        with report_to(ProgressListener(lambda *_: None, lambda: True)), pytest.raises(Stopped), line.turn():
            pass
        ended.append(True)

    with line.turn():
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(5)
    assert ended
    with line.turn():
        pass


_FRESH = """
import sys, threading
start, wrong = threading.Barrier(len(sys.argv) - 1), []
def go(folder):
    start.wait()
    try:
        from model import open_model
        opened = open_model(folder)
        opened.trace("the cat sat")
        wrong.extend(opened.card["fresh"])
    except BaseException as error:
        wrong.append(f"{type(error).__name__}: {error}")
threads = [threading.Thread(target=go, args=(folder,)) for folder in sys.argv[1:]]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(wrong)
"""


def test_the_first_visitors_of_a_fresh_server_come_together(tmp_path: Path):
    pytest.importorskip("transformers")
    from tests.app.checkpoints import write

    folders = [str(write(tmp_path / name, name)) for name in ("bert", "gpt2", "llama", "t5")]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _FRESH, *folders], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr[-2000:]
