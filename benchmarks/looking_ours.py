"""Headlight's part of benchmarks.looking: a new text on the map, then the atlas, then a cell's arithmetic."""

from __future__ import annotations

import os
import re
import statistics
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page

from benchmarks import looking_model
from benchmarks.looking_window import Watched, status, watched
from tests.browser.screen import FIND_MAP
from viz.ui.language import catalogue

HEADS = looking_model.LAYERS * looking_model.HEADS
PATIENCE = 240_000  # ms
CHANGES = 5  # heads turned to, cells clicked
SETTLED = """() => {
  const app = document.querySelector("[data-testid=stApp]");
  return app?.dataset.testConnectionState === "CONNECTED" && app.dataset.testScriptState === "notRunning"
    && !document.querySelector("[data-testid=stSkeleton], [data-stale=true]");
}"""
# From turning to a head that nobody saw yet until its whole is painted, ms.
TURN = """async () => {
  const { M } = window, frame = () => new Promise((next) => requestAnimationFrame(next)), start = performance.now();
  M.turnTo(M.head + 1);
  while (!M.tiles.find(M.depth, 0, 0)) await new Promise((next) => setTimeout(next, 2));
  await frame();
  await new Promise((next) => setTimeout(next));
  return performance.now() - start;
}"""
# Two seconds of panning to and fro, a quarter of the map in view -> frames a second, the longest frame in ms.
PAN = """async () => {
  const { M } = window, { box } = M;
  M.zoomAt(box.x + box.width / 2, box.y + box.height / 2, 4);
  await new Promise((next) => setTimeout(next, 1500));
  const start = performance.now();
  let frames = 0, worst = 0, last = start;
  while (last - start < 2000) {
    const way = Math.floor((last - start) / 500) % 2 ? -1 : 1;
    M.pan(12 * way, 8 * way);
    await new Promise((next) => requestAnimationFrame(next));
    const now = performance.now();
    worst = Math.max(worst, now - last);
    [last, frames] = [now, frames + 1];
  }
  return [(1000 * frames) / (last - start), worst];
}"""
# From choosing a single cell nobody looked at yet to its arithmetic on the screen, ms each.
SUMS = """async (count) => {
  const { M } = window, { box, tiles } = M, wait = (ms) => new Promise((next) => setTimeout(next, ms)), times = [];
  while (M.view.scale < 20) M.zoomAt(box.x + box.width / 2, box.y + box.height / 2, 2);
  await wait(1500);
  const from = M.cellAt({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
  for (let i = 0; i < count; i++) {
    const cell = M.within(from.row + i, from.column - i), name = `${cell.row}.${cell.column}`, start = performance.now();
    M.point(cell);
    M.select(cell);
    while (M.sums.root.dataset.cell !== name) await wait(2);
    await new Promise((next) => requestAnimationFrame(() => setTimeout(next)));
    times.push(performance.now() - start);
    await wait(900);
  }
  return times;
}"""
# After a click on the page of steps: when the arithmetic below the weights is painted, and when the page has followed.
LISTEN = """() => addEventListener("click", () => {
  window.clicked = performance.now();
  const chain = document.querySelector(".st-key-cell-chain"), before = chain?.textContent;
  window.written = window.followed = 0;
  const painted = (name) => requestAnimationFrame(() => setTimeout(() => { window[name] = performance.now(); }));
  const until = (found, name) => (found() ? painted(name) : setTimeout(() => until(found, name), 2));
  if (!chain) return;
  until(() => window.sums && window.sums.dataset.cell, "written");
  until(() => {
    const now = document.querySelector(".st-key-cell-chain")?.textContent;
    return now && now !== before;
  }, "followed");
}, true)"""
DRAWN = f"""() => performance.getEntriesByName("headlight-atlas-drawn").find(
  ({{ detail, startTime }}) => detail === {HEADS} && startTime > (window.clicked ?? 0))?.startTime"""
# Where to click for another cell of the weights on the page of steps, [x, y]; long texts show a window of them.
CELL = """(root, index) => {
  root.scrollIntoView({ block: "center" });
  const { x, y } = root.__cell("A", 1, index);
  window.sums = root.querySelector(".sums");
  window.sums.dataset.cell = "";
  return [x, y];
}"""
WEIGHTS = ".st-key-step-softmax .headlight.equation"


def server() -> int:
    """The process of the app that this one has started."""
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text(encoding="utf-8").split()]
    return next(child for child in children if b"streamlit" in Path(f"/proc/{child}/cmdline").read_bytes())


def _go(page: Page, section: str, stem: str) -> None:
    """To another page of the same session, as a person goes there."""
    words = catalogue("en")
    page.locator("[data-testid=stTopNavSection]").filter(has_text=words[f"section.{section}"]).click()
    name = re.compile(f"^{re.escape(words[f'{stem}.name'])}$")
    page.locator("[data-testid=stTopNavDropdownLink]").filter(has_text=name).first.click()


def warm(url: str, model: str) -> None:
    """A first visit, so that no measured one opens the model."""
    with watched(PATIENCE) as seen:
        found: dict[str, float] = {}
        _map(seen, f"{url}/map?{urlencode({'lang': 'en', 'model': model, 'text': looking_model.text(16, 1)})}")
        _atlas(seen, server(), found)


def measure(url: str, model: str, n: int, seed: int) -> dict[str, float]:
    """Everything of one new text of n tokens; seconds, ms where the name ends so, bytes."""
    link = urlencode({"lang": "en", "model": model, "text": looking_model.text(n, seed)})
    process = server()
    found: dict[str, float] = {}
    with watched(PATIENCE) as seen:
        before = status(process, "VmRSS")
        found["run"] = _map(seen, f"{url}/map?{link}") / 1000
        found["run_memory"] = status(process, "VmRSS") - before
        _turns(seen.page, found)
        _atlas(seen, process, found)
        _arithmetic(seen.page, found)
    with watched(PATIENCE) as seen:  # a second visitor of the same run
        seen.page.goto(f"{url}/atlas?{link}", wait_until="commit")
        found["again"] = seen.page.wait_for_function(DRAWN).json_value() / 1000
        seen.page.wait_for_function(SETTLED)
        found["again_bytes"] = seen.cost()["bytes"]
    return found


def _map(seen: Watched, address: str) -> float:
    """ms from the address to the first picture; the text has been run then."""
    page = seen.page
    page.goto(address, wait_until="commit")
    drawn = "() => performance.getEntriesByName('headlight-map-drawn')[0]?.startTime"
    taken = page.wait_for_function(drawn).json_value()
    page.wait_for_function(SETTLED)
    page.evaluate(LISTEN)
    return taken


def _turns(page: Page, found: dict[str, float]) -> None:
    page.evaluate(FIND_MAP)
    times = []
    for _ in range(CHANGES):
        page.wait_for_timeout(900)  # the page that hears of the head is drawn again meanwhile
        page.wait_for_function(SETTLED)
        times.append(page.evaluate(TURN))
    found["turn_ms"], found["turn_worst_ms"] = statistics.median(times), max(times)
    page.wait_for_timeout(900)
    page.wait_for_function(SETTLED)
    found["fps"], found["frame_worst_ms"] = page.evaluate(PAN)
    page.wait_for_timeout(600)
    page.wait_for_function(SETTLED)
    times = page.evaluate(SUMS, CHANGES)
    found["sums_ms"], found["sums_worst_ms"] = statistics.median(times), max(times)
    page.wait_for_function(SETTLED)


def _atlas(seen: Watched, process: int, found: dict[str, float]) -> None:
    """From the click on its name to the picture of every head, of a run that is recorded and not yet pooled."""
    page = seen.page
    Path(f"/proc/{process}/clear_refs").write_text("5", encoding="utf-8")  # the peak counts from here
    before = status(process, "VmRSS")
    seen.restart()
    _go(page, "look", "atlas")
    drawn = page.wait_for_function(DRAWN).json_value()
    found["atlas"] = (drawn - page.evaluate("window.clicked")) / 1000
    page.wait_for_function("() => !document.querySelector('.st-key-stop-atlas')")  # the measures are there too
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(300)
    found["measured"] = (page.evaluate("performance.now() - window.clicked") - 300) / 1000
    found |= {f"atlas_{name}": value for name, value in seen.cost().items()}
    found["server"] = status(process, "VmRSS") - before
    found["server_peak"] = status(process, "VmHWM") - before


def _arithmetic(page: Page, found: dict[str, float]) -> None:
    """From the click on a weight to its arithmetic below the figure, and until all the page shows that cell."""
    _go(page, "learn", "steps")
    page.wait_for_selector(".st-key-cell-chain .katex")
    written, followed = [], []
    for index in range(1, CHANGES + 1):
        page.wait_for_function(SETTLED)
        page.wait_for_timeout(500)
        root = page.locator(WEIGHTS)
        root.evaluate(CELL, index)
        page.wait_for_timeout(200)
        page.mouse.click(*root.evaluate(CELL, index))
        page.wait_for_function("() => window.written && window.followed")
        written.append(page.evaluate("window.written - window.clicked"))
        followed.append(page.evaluate("window.followed - window.clicked"))
    found["cell_ms"], found["cell_worst_ms"] = statistics.median(written), max(written)
    found["follow_ms"] = statistics.median(followed)
