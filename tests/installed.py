"""Headlight as `pip install .` leaves it: a wheel, and an environment with nothing of its own but that wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def run(command: Sequence[str | Path], **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=120, **({"check": True} | options)
    )


def build(source: Path, folder: Path) -> Path:
    """The wheel of a folder or of a source archive, built by the backend that is installed here."""
    run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source])
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """A fresh environment; `elsewhere` is a folder of a person who has a `model`, a `viz` and a theme of their own."""

    packages: Path
    command: Path
    elsewhere: Path
    environment: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess:
        return run([self.command, *words], cwd=self.elsewhere, env=self.environment, check=False)

    def files(self) -> dict[str, int]:
        """Every installed file with the time of its last change."""
        found = (path for path in self.packages.rglob("*") if path.is_file())
        return {path.relative_to(self.packages).as_posix(): path.stat().st_mtime_ns for path in found}


def install(wheel: Path, folder: Path) -> Installed:
    """Only the wheel is installed; the packages that it needs are borrowed from the environment of the tests."""
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    python = folder / "venv" / "bin" / "python"
    packages = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).stdout.strip())
    run([*PIP, "--python", python, "install", "--no-deps", "--no-compile", wheel])
    borrowed = [path for path in sys.path if path.endswith("-packages")]
    (packages / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
    elsewhere = folder / "elsewhere"
    for name in ("model", "viz"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("raise ImportError('somebody else’s')", encoding="utf-8")
    (elsewhere / ".streamlit").mkdir()
    theme = '[theme.light]\nbackgroundColor = "#123456"\n[theme.dark]\nbackgroundColor = "#123456"\n'
    (elsewhere / ".streamlit" / "config.toml").write_text(theme, encoding="utf-8")
    return Installed(packages, python.parent / "headlight", elsewhere, _environment(folder))


def _environment(home: Path) -> dict[str, str]:
    """Nothing that points at this repository, its caches or the person's own settings."""
    ours = ("HEADLIGHT_", "STREAMLIT_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
