"""From `streamlit run app.py` to the first picture, against an empty Streamlit page started alternately in the same run.

python -m benchmarks.cold_start [rounds]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.window import fresh_page, launched
from tests.browser.server import ROOT, healthy, running

PAGES = {
    "empty Streamlit page": (ROOT / "benchmarks/empty_page.py", "h1"),
    "Headlight": (ROOT / "app.py", ".headlight.overview .ribbons path"),
}
PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"


def visit(browser: Browser, url: str, selector: str) -> float:
    """Seconds from typing the address, with an empty browser cache, until `selector` is painted."""
    start = time.perf_counter()
    with fresh_page(browser) as page:
        page.goto(url, wait_until="commit")
        page.wait_for_selector(selector, state="attached")
        page.evaluate(PAINTED)
        return time.perf_counter() - start


def measure(browser: Browser, script: Path, selector: str, log: Path) -> tuple[float, float]:
    """(seconds from starting the server to the first picture, seconds for the next visitor)."""
    start = time.perf_counter()
    with running(script, log, wait=False) as url:
        while not healthy(url):
            time.sleep(0.02)
        visit(browser, url, selector)
        cold = time.perf_counter() - start
        return cold, visit(browser, url, selector)


def main(rounds: int = 5) -> None:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in PAGES}
    with launched() as browser, tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, (script, selector) in PAGES.items():
                times[name].append(measure(browser, script, selector, Path(folder) / "log.txt"))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in times.items()}
    empty = medians["empty Streamlit page"]
    print(f"| median of {rounds} | cold start to first picture | next visitor |\n|---|---|---|")
    for name, values in medians.items():
        cells = (f"{value:.1f} s ({value / base:.1f}×)" for value, base in zip(values, empty, strict=True))
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
