"""The installed application: started by its command in a foreign folder, it opens the first page as the tree does."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests import installed
from tests.browser.screen import Screen
from tests.browser.server import serving


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> installed.Installed:
    folder = tmp_path_factory.mktemp("installed")
    return installed.install(installed.build(installed.ROOT, folder), folder)


@pytest.fixture(scope="module")
def url(application: installed.Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with serving([str(application.command)], application.elsewhere, application.environment, log) as url:
        yield url


def colour(scheme: str, root: Path = installed.ROOT) -> str:
    """The page's background in .streamlit/config.toml, as a browser says it."""
    settings = tomllib.loads((root / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    digits = settings["theme"][scheme]["backgroundColor"].removeprefix("#")
    return f"rgb({', '.join(str(value) for value in bytes.fromhex(digits))})"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_page_opens(application: installed.Installed, browser: Browser, url: str, scheme: str) -> None:
    before = application.files()
    screen = Screen(browser, url, scheme=scheme)
    try:
        screen.open()
        screen.shows_title("headline.title")
        assert screen.find(".headlight.overview .words.source .chip").count() > 2
        expect(screen.find("[data-testid=stException], [data-testid=stAlert]")).to_have_count(0)
        expect(screen.find("[data-testid=stApp]")).to_have_css("background-color", colour(scheme))
        assert not screen.problems and not screen.foreign()
    finally:
        screen.close()
    assert application.files() == before
