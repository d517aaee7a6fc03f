"""What the server does besides the pages."""

from __future__ import annotations

import gc
import sys
import types

import pytest

from viz.ui import server


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
