"""The README holds: its Python runs as it stands, its commands are the promised ones, what it shows is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = (
    "pip install -r requirements.txt && streamlit run app.py",
    "pip install -r requirements-dev.txt && python -m tests",
)


def run(*command: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_runs_as_it_stands(block: str) -> None:
    assert run("-c", block).strip()


def test_the_positions_of_a_module_of_ones_own_are_named() -> None:
    (block,) = [block for block in BLOCKS if "instrument(" in block]
    assert run("-c", block).startswith("['she', 'has', 'a', 'red', 'apple']")


def test_folders_are_separated_as_it_says_and_their_saved_runs_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sign of this system, and a run saved in the second of two folders."""
    from model import open_model
    from model.checkpoints.disk import discovery

    told = re.search(r"`HEADLIGHT_MODELS` to one or more folders \(with `(.)` between them, on Windows `(.)`\)", README)
    assert told is not None and told.groups() == (":", ";")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    open_model("translate").trace("I like cats").save(tmp_path / "two" / "run.safetensors")
    folders = told[2 if os.name == "nt" else 1].join(str(tmp_path / name) for name in ("one", "two"))
    monkeypatch.setenv("HEADLIGHT_MODELS", folders)
    assert discovery.discover()["run"].kind == "trace"


def test_the_notebook_example_is_there_and_needs_no_streamlit() -> None:
    assert len(BLOCKS) >= 1
    block = f"{BLOCKS[0]}\nimport sys\nassert not [m for m in ('streamlit', 'transformers') if m in sys.modules]"
    assert "I" in run("-c", block)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_command_lines_are_there(command: str) -> None:
    lines = [line.strip().strip("`") for line in README.splitlines()]
    assert command in lines


def test_continuous_integration_runs_the_same_tests() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert re.search(r"requirements-dev\.txt && python -m tests$", script, re.MULTILINE)
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_record_command_writes_the_file_it_names(tmp_path: Path) -> None:
    (line,) = [line.strip() for line in README.splitlines() if line.strip().startswith("python -m model record")]
    words = shlex.split(line)[1:]
    out = words.index("--out") + 1
    words[out] = str(tmp_path / words[out])
    run(*words)
    from model import Trace

    assert Trace.open(words[out]).tokens("encoder")


def test_what_it_shows_and_links_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", README) + re.findall(r"<img[^>]+src=\"([^\"]+)\"", README)
    missing = [target for target in targets if not re.match(r"https?:|#", target) and not (ROOT / target).exists()]
    assert not missing


def test_its_pictures_are_real_ones() -> None:
    pictures = [ROOT / target for target in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", README)]
    assert pictures and all(path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in pictures)


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.search(r"^(BENCHMARKS|TODO|TBD|FIXME)\b", README, re.MULTILINE)


def test_it_names_every_page() -> None:
    import json

    words = json.loads((ROOT / "viz/ui/words/en.json").read_text(encoding="utf-8"))
    pages = [path.stem for path in (ROOT / "pages").rglob("*.py")]
    assert all(words[f"{page}.name"] in README for page in pages)


def test_the_changelog_has_this_version_and_so_has_pyproject() -> None:
    import model

    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(model.__version__)}\]?", changes, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    path = project["tool"]["hatch"]["version"]["path"]
    assert f'__version__ = "{model.__version__}"' in (ROOT / path).read_text(encoding="utf-8")
