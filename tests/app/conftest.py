"""A session of the app without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from streamlit import config
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner import get_script_run_ctx

from tests.app import checkpoints
from tests.app.visit import Visit
from tests.drawing import charts_are_held_against_their_schema, pictures_are_drawn_with_small_fonts  # noqa: F401
from viz.ui import language
from viz.ui.state.model_list import found


@pytest.fixture(autouse=True)
def told_in_full() -> None:
    """A failing test names the exception that a visitor is not shown."""
    config.set_option("client.showErrorDetails", "full")


@pytest.fixture(scope="session", autouse=True)
def packages_scanned_once() -> Iterator[None]:
    """AppTest reads the metadata of every installed package in each run, half of what a run takes; a server does it once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the trainings that the page Train sees: a test's own."""
    monkeypatch.setenv("HEADLIGHT_LAB", str(tmp_path / "lab"))
    return tmp_path / "lab"


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Visit]:
    """`visit("heads", text="I like cats")`: a page opened with these values in its link."""
    visits: list[Visit] = []
    inside = language.current

    def current() -> str:
        # AppTest calls the labels' format functions between runs, where no session says the language.
        return inside() if get_script_run_ctx(suppress_warning=True) else visits[-1].language

    def open_page(*args: object, **link: object) -> Visit:
        visits.append(Visit.__new__(Visit))
        visits[-1].__init__(*args, **link)
        return visits[-1]

    monkeypatch.setattr(language, "current", current)
    return open_page


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny checkpoint of every kind, see tests/app/checkpoints.py."""
    pytest.importorskip("transformers")
    return checkpoints.write_all(tmp_path_factory.mktemp("models"))


@pytest.fixture
def models(written: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The same folder, as the app's folder of models; nothing is looked for on the internet."""
    for name, value in (("HEADLIGHT_MODELS", written), ("HF_HUB_CACHE", tmp_path), ("HF_HUB_OFFLINE", "1")):
        monkeypatch.setenv(name, str(value))
    found.clear()
    yield written
    found.clear()
