"""`python -m benchmarks.load`: visitors of one server, each on pages and models at random; errors, and seconds a page switch."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.load.visitor import Told, visit
from tests.app import checkpoints
from tests.browser.server import running
from viz.ui.navigation import SECTIONS

ROOT = Path(__file__).parents[2]
MODELS = ("bert", "gpt2", "t5", "bart", "llama")
TEXTS = ("The cat sat on the mat.", "Once upon a time the quick brown fox", "I like cats. The animal was too tired.")
# These need more than a link: a profile, a file, a second checkpoint are chosen on the page.
PAGES = [stem for stems in SECTIONS.values() for stem in stems if stem != "corpus"]


def main() -> int:
    """Print the table; the exit status is 1 where anything went wrong."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sessions", type=int, default=20)
    asked.add_argument("--seconds", type=float, default=180)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as place:
        models = Path(place) / "models"
        for name in MODELS:
            checkpoints.write(models / name, name)
        with running(ROOT / "app.py", Path(place) / "server.log", models=models) as url:
            told = asyncio.run(_all(url, given.sessions, given.seconds))
            memory = _memory()
    _print(told, given, memory)
    return int(any(each.errors for each in told))


async def _all(url: str, sessions: int, seconds: float) -> list[Told]:
    until = time.monotonic() + seconds
    return await asyncio.gather(*(visit(url, i, until, PAGES, MODELS, TEXTS) for i in range(sessions)))


def _memory() -> float | None:
    """MiB that the server holds now, where the system tells: the largest of our children."""
    try:
        sizes = []
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            sizes.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        return max(sizes, default=None)
    except (OSError, IndexError, ValueError):
        return None


def _print(told: list[Told], given: argparse.Namespace, memory: float | None) -> None:
    seconds = sorted(taken for each in told for _, taken in each.switches)
    errors = [error for each in told for error in each.errors]
    print("| sessions | seconds | page switches | errors | median | 95th percentile | longest | server afterwards |")
    print("|---|---|---|---|---|---|---|---|")
    high = seconds[int(0.95 * (len(seconds) - 1))]
    held = "–" if memory is None else f"{memory:,.0f} MiB"
    print(
        f"| {given.sessions} | {given.seconds:.0f} | {len(seconds):,} | {len(errors)} | {statistics.median(seconds):.2f} s | "
        f"{high:.2f} s | {seconds[-1]:.2f} s | {held} |"
    )
    for error in errors[:20]:
        print(error)


if __name__ == "__main__":
    raise SystemExit(main())
