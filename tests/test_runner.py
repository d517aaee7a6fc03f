"""The browser finder behind `python -m tests`, with fakes for the machine it runs on."""

from __future__ import annotations

import os
import subprocess
import sys
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
    typed = () if runner.platform.machine().lower() in runner.X86 else runner.TYPED
    assert calls[2][0] == ("pytest", *typed, *runner.PARALLEL, "--durations=10", "-k", "runner")
    assert calls[-1][1][chromium.VARIABLE] == "/bin/chromium" and calls[-1][1]["OMP_NUM_THREADS"] == "1"


STATUSES = [
    ((0, 0, 0, 0, 0), 0), ((1, 0, 0, 0, 0), 1), ((0, 0, 5, 5, 5), 5), ((1, 1, 3, 0, 0), 3), ((0, 0, 0, 1, 0), 1),
    ((0, 0, 0, 0, 2), 2), ((0, 0, 0, 5, 5), 0), ((1, 0, 0, 5, 0), 1), ((0, 0, 1, 0, 4), 1),
]  # fmt: skip


@pytest.mark.parametrize(("statuses", "expected"), STATUSES)
def test_the_status_is_pytests_or_the_other_processors_or_the_styles(monkeypatch, statuses, expected: int) -> None:
    """ruff twice, pytest, and pytest as two other processors compute; 5 of the latter is that none of the tests is marked."""
    Machine(monkeypatch, "chromium")
    monkeypatch.setattr(runner.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(chromium, "ensure_font", lambda: None)
    answers = iter(statuses)
    monkeypatch.setattr(runner, "run", lambda *_: next(answers))
    assert runner.main([]) == expected


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
def test_marked_tests_run_again_as_other_processors_compute(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    Machine(monkeypatch, "chromium")
    calls: list[tuple[tuple[str, ...], dict[str, str]]] = []
    monkeypatch.setattr(runner.platform, "machine", lambda: machine)
    monkeypatch.setattr(chromium, "ensure_font", lambda: None)
    monkeypatch.setattr(runner, "run", lambda module, environment: calls.append((module, environment)) or 0)
    assert runner.main(["-x"]) == 0
    assert [environment.get(runner.CAPABILITY) for _, environment in calls[3:]] == ["default", "avx2"]
    for module, environment in calls[3:]:
        assert module == (
            "pytest",
            *(runner.TYPED if environment[runner.CAPABILITY] == "default" else ()),
            *runner.PARALLEL,
            "-x",
            "-m",
            "float32",
            "tests/model",
            "tests/viz",
        )
        assert environment[chromium.VARIABLE] == "/bin/chromium" and environment["OMP_NUM_THREADS"] == "1"
    assert not any(
        runner.CAPABILITY in environment and runner.CAPABILITY not in os.environ for _, environment in calls[:3]
    )


def test_arm_says_that_it_runs_them_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    Machine(monkeypatch, "chromium")
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(runner.platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(chromium, "ensure_font", lambda: None)
    monkeypatch.setattr(runner, "run", lambda module, _: calls.append(module) or 0)
    assert runner.main([]) == 0 and len(calls) == 3
    assert set(runner.TYPED) <= set(calls[2])
    assert "means nothing on aarch64" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["-m", "float32", "tests/model", "tests/viz"]),
        (["-m", "not browser"], ["-m", "(not browser) and float32", "tests/model", "tests/viz"]),
        (["tests/viz/test_numbers.py::test_tex", "-x"], ["tests/viz/test_numbers.py::test_tex", "-x", "-m", "float32"]),
        (["-k", "fidelity"], ["-k", "fidelity", "-m", "float32", "tests/model", "tests/viz"]),
    ],
)
def test_arguments_select_among_the_marked(arguments: list[str], expected: list[str]) -> None:
    assert runner.marked(arguments) == expected


@pytest.mark.skipif(runner.platform.machine().lower() not in runner.X86, reason="torch has one way to add up here")
@pytest.mark.parametrize("name", runner.OTHERS)
def test_torch_honours_the_switch(name: str) -> None:
    program = "import torch; print(torch.backends.cpu.get_cpu_capability().lower())"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | runner.OTHERS[name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == name


def test_the_browser_of_this_run_exists() -> None:
    found = chromium.find()
    assert found and Path(found).exists()
