"""The browser finder behind `python -m tests`, with fakes for the machine it runs on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import __main__ as runner
from tests.browser import chromium


class Machine:
    """What is installed and what installing brings; records the commands that were run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *programs: str, root: bool = False, own: str | None = None):
        self.programs, self.own, self.commands, self.brings = set(programs), own, [], {}
        monkeypatch.delenv(chromium.VARIABLE, raising=False)
        monkeypatch.setattr(chromium.shutil, "which", lambda name: f"/bin/{name}" if name in self.programs else None)
        monkeypatch.setattr(chromium.os, "geteuid", lambda: 0 if root else 1000, raising=False)
        monkeypatch.setattr(chromium, "playwrights_own", lambda: self.own)
        monkeypatch.setattr(chromium.subprocess, "run", self.run)

    def run(self, command, **_options) -> subprocess.CompletedProcess:
        line = " ".join(map(str, command))
        self.commands.append(line)
        for part, effect in self.brings.items():
            if part in line:
                return subprocess.CompletedProcess(command, effect() or 0, stdout="")
        return subprocess.CompletedProcess(command, 1 if self.brings else 0, stdout="")


def test_the_variable_wins_over_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, "chromium", "mine")
    monkeypatch.setenv(chromium.VARIABLE, "mine")
    assert chromium.find() == "/bin/mine"


def test_a_variable_that_names_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, "chromium")
    monkeypatch.setenv(chromium.VARIABLE, "/nowhere/chromium")
    with pytest.raises(SystemExit, match="no such program"):
        chromium.find()


@pytest.mark.parametrize("name", chromium.NAMES)
def test_every_known_name_on_the_path_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    Machine(monkeypatch, name, own="/own")
    assert chromium.find() == f"/bin/{name}"


def test_playwrights_own_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Machine(monkeypatch, own="/own") and chromium.find() == "/own"
    assert Machine(monkeypatch) and chromium.find() is None


def test_root_on_debian_installs_the_package_and_a_chinese_font(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "apt-get", root=True)
    machine.brings = {"apt-get update": lambda: 0, "apt-get install": lambda: machine.programs.add("chromium")}
    assert chromium.get() == "/bin/chromium"
    assert machine.commands == ["apt-get update", f"apt-get install -y chromium {chromium.FONT}"]


def test_anybody_else_gets_playwrights(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "apt-get", root=False)
    machine.brings = {"playwright install": lambda: setattr(machine, "own", "/own")}
    assert chromium.get() == "/own"
    assert not any("apt-get" in command for command in machine.commands)


def test_playwright_is_tried_where_apt_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "apt-get", root=True)
    machine.brings = {"apt-get": lambda: 100, "playwright install": lambda: setattr(machine, "own", "/own")}
    assert chromium.get() == "/own"


def test_no_browser_is_never_a_silent_skip(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    machine = Machine(monkeypatch)
    machine.brings = {"nothing": lambda: 0}
    assert runner.main([]) == 2
    said = capsys.readouterr().err
    assert "apt-get install chromium" in said and chromium.VARIABLE in said
    assert not any("pytest" in command for command in machine.commands)


def test_the_font_is_installed_as_root_and_noted_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    machine = Machine(monkeypatch, "fc-list", "apt-get", root=True)
    chromium.ensure_font()
    assert machine.commands[-1] == f"apt-get install -y {chromium.FONT}"
    machine = Machine(monkeypatch, "fc-list")
    chromium.ensure_font()
    assert chromium.FONT_NOTE in capsys.readouterr().out
    assert machine.commands == ["fc-list :lang=zh family"]


def test_pytest_gets_the_arguments_the_browser_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, "chromium")
    calls: list[tuple[tuple[str, ...], dict[str, str]]] = []
    monkeypatch.setattr(chromium, "ensure_font", lambda: None)
    monkeypatch.setattr(runner, "run", lambda module, environment: calls.append((module, environment)) or 0)
    assert runner.main(["-k", "runner"]) == 0
    assert [module[:2] for module, _ in calls[:2]] == [("ruff", "check"), ("ruff", "format")]
    assert calls[2][0] == ("pytest", *runner.PARALLEL, "-k", "runner")
    assert calls[-1][1][chromium.VARIABLE] == "/bin/chromium" and calls[-1][1]["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(("statuses", "expected"), [((0, 0, 0), 0), ((1, 0, 0), 1), ((0, 0, 5), 5), ((1, 1, 3), 3)])
def test_the_status_is_pytests_or_the_styles(monkeypatch, statuses: tuple[int, ...], expected: int) -> None:
    Machine(monkeypatch, "chromium")
    monkeypatch.setattr(chromium, "ensure_font", lambda: None)
    answers = iter(statuses)
    monkeypatch.setattr(runner, "run", lambda *_: next(answers))
    assert runner.main([]) == expected


def test_the_browser_of_this_run_exists() -> None:
    found = chromium.find()
    assert found and Path(found).exists()
