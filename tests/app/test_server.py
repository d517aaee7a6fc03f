"""What the server does besides the pages."""

from __future__ import annotations

import gc
import sys
import types
import weakref
from collections.abc import Iterator

import pytest

from viz.ui import server
from viz.ui.state import memory_budget
from viz.ui.state.memory_budget import MemoryBudget


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda *_: found.append("collect"))
    monkeypatch.setattr(gc, "freeze", lambda: found.append("freeze"))
    monkeypatch.setattr(server, "_settled", 0)
    return found


def test_what_modules_hold_is_frozen_once_and_again_when_many_more_have_come(calls, monkeypatch) -> None:
    server.freeze_modules()
    server.freeze_modules()
    assert calls == ["collect", "freeze"]  # garbage would be frozen too
    for i in range(server._MANY - 1):
        monkeypatch.setitem(sys.modules, f"_made_up_{i}", types.ModuleType("made up"))
    server.freeze_modules()
    assert calls == ["collect", "freeze"]
    monkeypatch.setitem(sys.modules, "_made_up_last", types.ModuleType("made up"))
    server.freeze_modules()
    assert calls == ["collect", "freeze"] * 2


def test_a_run_of_the_page_settles(calls, visit) -> None:
    visit("overview").sound()
    assert calls[:2] == ["collect", "freeze"]


class Model:
    """One that refers to itself, as modules with hooks do: only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryBudget]:
    """A budget with a model in it that was open when the modules were frozen."""
    found = MemoryBudget(1000)
    monkeypatch.setattr(memory_budget, "shared", lambda: found)
    monkeypatch.setattr(server, "_settled", 0)
    found.get("models", "first", Model, lambda _: 100)
    server.freeze_modules()
    yield found
    gc.unfreeze()


def test_a_model_in_a_cycle_that_was_frozen_is_freed_when_it_is_dropped(kept, monkeypatch) -> None:
    first = weakref.ref(kept.get("models", "first", Model, lambda _: 100))
    kept.get("models", "second", Model, lambda _: 1000)
    gc.collect()
    assert first() is not None and kept.held_elsewhere() == {"models": (1, 100)}
    server.freeze_modules()
    assert first() is not None  # not at every run of a page
    monkeypatch.setattr(server, "_frozen_at", -float("inf"))
    server.freeze_modules()
    assert first() is None and kept.held_elsewhere() == {} and kept.used() == {"models": (1, 1000)}


def test_nothing_is_looked_through_again_while_nothing_was_dropped(kept, calls, monkeypatch) -> None:
    monkeypatch.setattr(server, "_settled", len(sys.modules))
    monkeypatch.setattr(server, "_frozen_at", -float("inf"))
    server.freeze_modules()
    assert calls == []


def test_emptying_frees_it_at_once_and_keeps_the_modules_frozen(kept) -> None:
    first = weakref.ref(kept.get("models", "first", Model, lambda _: 100))
    kept.empty()
    assert first() is None and gc.get_freeze_count() > 0
