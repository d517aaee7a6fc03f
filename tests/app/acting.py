"""What a person does that AppTest has no word for: other controls, a click in a figure, Stop while a run is under way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.scriptrunner import RerunData
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from model.jobs.progress import tick
from tests.app.visit import Visit


def wait_for_stop(waits: threading.Event) -> None:
    """Work that goes on until it is stopped, 12 s at most; `waits` says that it has begun."""
    waits.set()
    for _ in range(600):
        time.sleep(0.02)
        tick("layers", 0.5)


def stays_stopped(seen: Visit, heads: tuple[int, ...], begun: list[str], **kept: str) -> None:
    """Whatever else is done, the second run that was stopped is said to be, and does not begin again by itself; what the
    first looks at is `kept`."""
    for head in heads:
        assert seen.say("comparing.second_stopped") in [info.value for info in seen.sound().at.info]
        assert len(begun) == 1 and {name: getattr(seen.view, name) for name in kept} == kept
        seen.at.session_state["view"] = replace(seen.view, head=head)
        seen.at.run()


def put(seen: Visit, kind: str, name: str, value: object) -> Visit:
    """Set a control of a kind that `Visit.set` does not know, and run."""
    (found,) = [widget for widget in seen.at.get(kind) if (widget.key or "").split("@")[0] == f"{name}-{seen.language}"]
    found.set_value(value)
    seen.at.run()
    return seen


def pick(seen: Visit, key: str, value: dict[str, int], event: str = "select") -> Visit:
    """What the browser sends for a click in the canvas component `key`."""
    (element,) = [element for element in seen.at.get("bidi_component") if element.key == key]
    states = seen.at._tree.get_widget_states()
    told = json.dumps([{"event": event, "value": value}])
    states.widgets.add(id=_make_trigger_id(element.proto.id, "events"), json_trigger_value=told)
    seen.at._run(states)
    return seen


def stop_during(seen: Visit, waits: threading.Event, change: Callable[[], object]) -> None:
    """Do `change`, whose run sets `waits` when it is under way, and press Stop while it is."""
    runners: list[LocalScriptRunner] = []
    start = LocalScriptRunner.start

    def started(runner: LocalScriptRunner) -> None:
        runners.append(runner)
        start(runner)

    def press() -> None:
        assert waits.wait(20)
        for _ in range(200):
            deltas = [m.delta.new_element for m in list(runners[-1].forward_msgs()) if m.WhichOneof("type") == "delta"]
            ids = [e.button.id for e in deltas if e.button.label == seen.say("work.stop")]
            if ids:
                break
            time.sleep(0.05)
        states = WidgetStates()
        states.widgets.add(id=ids[0], trigger_value=True)
        link, page = urlencode(seen.link), seen.at._page_hash or seen.at._finished_page_script_hash
        runners[-1].request_rerun(RerunData(widget_states=states, query_string=link, page_script_hash=page))

    presser = threading.Thread(target=press)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalScriptRunner, "start", started)
        presser.start()
        change()
    presser.join()
