"""One server and one Chromium for all browser tests; a page lives as long as its module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from model.checkpoints.disk.families import entry, small_model
from tests.app import checkpoints
from tests.browser import chromium
from tests.browser.screen import FLAGS, Screen
from tests.browser.server import ROOT, running
from tests.model.test_more_media import folder as written


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker("browser")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    for name in ("gpt2", "vit"):
        checkpoints.write(folder / "models" / name, name)
    written(folder / "models" / "trocr", small_model(entry("vision-encoder-decoder"), sharpen=3.0))
    with running(ROOT / "app.py", folder / "log.txt", models=folder / "models") as url:
        yield url


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # Package scope: while Playwright runs, its event loop is the main thread's, which other tests must not find.
    path = chromium.find()
    assert path, chromium.HELP
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def window(browser: Browser, server: str) -> Iterator[Screen]:
    screen = Screen(browser, server)
    yield screen
    screen.close()


@pytest.fixture
def screen(window: Screen) -> Iterator[Screen]:
    """The module's page; after every test nothing may have gone wrong on it, and nothing may have left the machine."""
    window.problems.clear()
    window.requests.clear()
    yield window
    assert not window.problems and not window.foreign()


@pytest.fixture
def new_screen(browser: Browser, server: str) -> Iterator[Callable[..., Screen]]:
    """`new_screen(scheme="dark")`: another person's browser, with nothing remembered."""
    opened: list[Screen] = []

    def make(**options: str) -> Screen:
        opened.append(Screen(browser, server, **options))
        return opened[-1]

    yield make
    for screen in opened:
        screen.close()
        assert not screen.problems and not screen.foreign()
