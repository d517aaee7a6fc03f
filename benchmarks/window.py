"""A Chromium for the benchmarks: the tests' one, with the switches that keep background work out of the timings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import chromium
from tests.browser.screen import FLAGS


@contextmanager
def launched() -> Iterator[Browser]:
    path = chromium.find() or chromium.get()
    if path is None:
        raise SystemExit(chromium.HELP)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def fresh_page(browser: Browser) -> Iterator[Page]:
    """A page with an empty cache. Reduced motion: a transition of 0.3 s is no work."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(120_000)
    yield context.new_page()
    context.close()
