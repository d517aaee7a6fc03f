"""Looking at all heads of a text: Headlight beside BertViz and CircuitsVis, in a real browser, in turns.

python -m benchmarks.looking [--length 64 …] [--rounds 3] [--scripts FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from typing import Any

from playwright.sync_api import Error
from playwright.sync_api import TimeoutError as Late

from benchmarks import looking_model, looking_others, looking_ours, looking_table
from benchmarks.looking_window import SEEN, ending_after, scripts, serve_scripts, serving, watched
from tests.browser.server import ROOT, running

LENGTHS = (64, 128, 256, 512, 1024, 4096)
PATIENCE = 60  # s that a tool may take to make a page, and again to draw it
LARGEST = 2 * 10**9  # bytes of a page
OURS = "Headlight"
Cell = dict[str, float] | str  # what was measured, or why it was not


def other(tool: str, model: Path, n: int, seed: int, known: dict[str, bytes]) -> Cell:
    """One page of another tool: made by it, opened from a server of this computer until it is painted."""
    if not looking_others.installed(tool):
        return "not installed"
    if (size := looking_others.expected(tool, n)) > LARGEST:
        return f"not made: {size / 1e9:,.1f} GB"
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        page, words = Path(folder) / "page.html", Path(folder) / "text.txt"
        words.write_text(looking_model.text(n, seed), encoding="utf-8")
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            looking_others.__name__,
            tool,
            str(model),
            str(words),
            str(page),
        ]
        try:  # a minute more for what is not timed: the library, the model, its forward
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"made in > {PATIENCE} s"
        if done.returncode:
            return f"not made: {done.stderr.strip().splitlines()[-1][:80]}" if done.stderr else "not made: killed"
        made = json.loads(done.stdout.splitlines()[-1])
        if made["made"] > PATIENCE:
            return f"made in > {PATIENCE} s"
        size = page.stat().st_size
        return drawn(tool, f"{url}/page.html", known, made | {"file": size})


def drawn(tool: str, address: str, known: dict[str, bytes], found: dict[str, float]) -> Cell:
    """The seconds until every element of the page is there and painted, and what that costs the browser."""
    size = f"{found['file'] / 1e6:,.0f} MB"
    if looking_others.needs_scripts(tool) and not known:
        return f"{size}; its scripts could not be fetched"
    ended = []
    try:
        with watched(PATIENCE * 1000) as seen:
            seen.page.on("crash", lambda _: ended.append("the page crashed"))
            late = f"drawn in > {PATIENCE} s"
            seen.page.on("pageerror", lambda error: ended.append(str(error).splitlines()[0][:60]))
            serve_scripts(seen.page, known)
            seen.page.add_init_script(
                f"({SEEN})({json.dumps(looking_others.TOOLS[tool].ready)}).then((t) => {{ window.seen = t; }})"
            )
            try:
                with ending_after(PATIENCE, lambda: ended.append(late)):
                    seen.page.goto(address, wait_until="commit")
                    painted = seen.page.wait_for_function("() => window.seen", polling=100).json_value()
            except (Late, Error):
                return f"{size}; {ended[0] if ended else late}"
            return found | {"drawn": painted / 1000} | seen.cost()
    except Error as error:  # the browser itself did not come through
        return f"{size}; {str(error).splitlines()[0][:60]}"


def measure(lengths: tuple[int, ...], rounds: int, folder: Path | None, report: Any, tools: tuple[str, ...]) -> None:
    """Round after round over all lengths, the tools of a length in another order each time."""
    known, shuffle, over = scripts(folder), Random(0), dict[str, int]()
    with tempfile.TemporaryDirectory() as place:
        model = looking_model.make(Path(place) / "models" / "looking")
        with running(ROOT / "app.py", Path(place) / "log.txt", models=model.parent) as url:
            looking_ours.warm(url, model.name)
            for turn in range(rounds):
                for n in lengths:
                    for tool in shuffle.sample(tools, len(tools)):
                        load, seed = os.getloadavg()[0], 1000 * turn + n
                        if tool == OURS:
                            cell: Cell = looking_ours.measure(url, model.name, n, seed)
                        elif (failed := over.get(tool, n + 1)) < n:
                            cell = f"not tried: {failed:,} were too many"
                        elif failed == n:  # what did not end once is not waited for again
                            continue
                        else:
                            cell = other(tool, model, n, seed, known)
                        if isinstance(cell, str):
                            over.setdefault(tool, n)
                        report({"tool": tool, "n": n, "round": turn, "load": load, "cell": cell})


def versions() -> dict[str, str]:
    """What was measured on: packages, processor count, system."""
    found = {"CPUs": str(os.cpu_count()), "system": platform.platform(terse=True)}
    for name in ("torch", "transformers", "streamlit", "bertviz", "circuitsvis"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.looking")
    parser.add_argument("--length", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scripts", type=Path, help="a folder with npm's packages that BertViz's pages fetch")
    parser.add_argument("--ours", action="store_true", help="Headlight alone")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--again", type=Path, help="write the tables of a --json file, measure nothing")
    options = parser.parse_args(arguments)
    if options.again:
        print(looking_table.report(**json.loads(options.again.read_text(encoding="utf-8"))))
        return
    rows: list[dict[str, Any]] = []

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        told = row["cell"] if isinstance(row["cell"], str) else "measured"
        print(f"{row['tool']}, n = {row['n']}, round {row['round']}: {told}", file=sys.stderr)
        if options.json:  # minutes of work are not lost to the last row
            options.json.write_text(json.dumps({"rows": rows, "on": versions()}, indent=1), encoding="utf-8")

    tools = (OURS,) if options.ours else (OURS, *looking_others.TOOLS)
    measure(tuple(options.length or LENGTHS), options.rounds, options.scripts, keep, tools)
    print(looking_table.report(rows, versions()))


if __name__ == "__main__":
    main()
