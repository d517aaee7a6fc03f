"""What is installed: every file of the application and no other, under one name, and a command that finds them."""

from __future__ import annotations

import re
import sys
import tomllib
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

from model import Trace, __version__
from tests import installed

ROOT = installed.ROOT
FOLDERS = ("model", "viz", "pages", "checkpoints")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed.build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def application(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> installed.Installed:
    return installed.install(wheel, tmp_path_factory.mktemp("installed"))


def names(wheel: Path) -> set[str]:
    """What lies in the wheel, without its metadata."""
    return {name for name in ZipFile(wheel).namelist() if not re.match(r"headlight-[^/]+\.dist-info/", name)}


def metadata(wheel: Path) -> Message:
    return message_from_bytes(ZipFile(wheel).read(f"headlight-{__version__}.dist-info/METADATA"))


def pins(file: str) -> list[str]:
    """The requirements of a file, without its comments."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def test_every_file_of_the_application_is_in_it_and_nothing_else(wheel: Path) -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    ours = {path.relative_to(ROOT).as_posix() for path in files if path.suffix not in (".pyc", ".partial")}
    wanted = {f"headlight/{name}" for name in ours | {"app.py", ".streamlit/config.toml"}}
    assert len(wanted) > 300
    assert names(wheel) == wanted


def test_the_source_archive_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    installed.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path], cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    again = installed.build(archive, tmp_path)
    contents = [{name: file.read(name) for name in file.namelist()} for file in map(ZipFile, (wheel, again))]
    assert contents[0] == contents[1]


def test_version_and_requirements_stand_in_one_place(wheel: Path) -> None:
    about = metadata(wheel)
    assert about["Version"] == __version__
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = told["project"]["optional-dependencies"].items()
    optional = [f"{package}; extra == '{name}'" for name, packages in extras for package in packages]
    assert sorted(about.get_all("Requires-Dist")) == sorted([*pins("requirements.txt"), *optional])
    build = told["build-system"]["requires"]
    assert set(build) <= set(pins("requirements-dev.txt"))


def test_the_command_says_what_it_is(application: installed.Installed) -> None:
    assert application.run("--version").stdout == f"headlight {__version__}\n"
    assert all(word in application.run("--help").stdout for word in ("streamlit run", "record", "profile"))
    wrong = application.run("recrod")
    assert wrong.returncode == 2 and wrong.stderr.startswith("usage: headlight ")


def test_it_does_what_python_m_model_does(application: installed.Installed) -> None:
    here = installed.run([sys.executable, "-m", "model", "families"], cwd=ROOT)
    assert application.run("families").stdout == here.stdout
    before = application.files()
    done = application.run("record", "--text", "I like cats", "--out", "run.safetensors")
    assert done.returncode == 0, done.stderr
    assert Trace.open(application.elsewhere / "run.safetensors").written()
    assert application.files() == before


def test_processes_that_it_starts_find_headlight_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ray's workers, say: they are told by the environment alone."""
    from viz.ui import command

    def worker(_words: list[str], prog: str) -> int:
        found = installed.run([sys.executable, "-c", "import model; print(model.__file__)"], cwd=tmp_path)
        return int((prog, found.stdout.strip()) != ("headlight", str(ROOT / "model" / "__init__.py")))

    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["headlight", "profile"])
    monkeypatch.setattr("model.__main__.main", worker)
    assert command.main() == 0
