"""One head's matrix after another: from the click, and from the Python call, until its pixels are drawn.

python -m benchmarks.head_change [changes]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.window import fresh_page, launched
from tests.browser.server import ROOT, running

LENGTHS = (16, 64, 256)
# Timed inside the page, so that driving the browser is no part of it. Python's clock is the same machine's.
CHANGE = """async (press) => {
  const name = "headlight-matrix-drawn", before = document.querySelector("#called").dataset.at;
  performance.clearMarks(name);
  const clicked = performance.timeOrigin + performance.now();
  document.querySelector(`.st-key-${press} button`).click();
  const until = async (value) => {
    for (;;) {
      const found = value();
      if (found) return found;
      await new Promise((next) => setTimeout(next, 5));
    }
  };
  const mark = press === "next" ? await until(() => performance.getEntriesByName(name)[0]) : null;
  const { at, size } = await until(() => {
    const { dataset } = document.querySelector("#called");
    return dataset.at !== before && dataset;
  });
  const drawn = performance.timeOrigin + (mark ? mark.startTime : performance.now());
  return [drawn - clicked, drawn - at, +size];
}"""


def measure(browser: Browser, url: str, n: int, changes: int) -> list[list[float]]:
    """[rerun without a change, click → pixels, Python call → pixels, bytes], taken in turn; the first load code and are
    left out."""
    with fresh_page(browser) as page:
        page.goto(f"{url}/?n={n}")
        page.wait_for_selector("canvas[data-drawn]")
        page.wait_for_timeout(1000)
        return [[page.evaluate(CHANGE, "same")[0], *page.evaluate(CHANGE, "next")] for _ in range(changes + 2)][2:]


def main(changes: int = 12) -> None:
    print("| weights | rerun that changes nothing | click → pixels | Python call → pixels | bytes sent |")
    print("|---|---|---|---|---|")
    with launched() as browser, tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        with running(ROOT / "benchmarks/head_change_page.py", log) as url:
            for n in LENGTHS:
                idle, click, call, size = map(statistics.median, zip(*measure(browser, url, n, changes), strict=True))
                ratio = f"{click:.0f} ms ({click / idle:.1f}×)"
                print(f"| {n} × {n} | {idle:.0f} ms | {ratio} | {call:.0f} ms | {size:,.0f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
