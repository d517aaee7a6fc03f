"""The tables of benchmarks.looking in Markdown: medians over the rounds, and which goals they meet."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

OURS = "Headlight"
Row = dict[str, Any]
_LATER = "not tried"


def medians(rows: list[Row], tool: str, n: int) -> dict[str, float] | str | None:
    """name -> median over the rounds; why there is nothing; None where nothing was tried."""
    cells = [row["cell"] for row in rows if (row["tool"], row["n"]) == (tool, n)]
    found = [cell for cell in cells if not isinstance(cell, str)]
    if not found:
        return cells[0] if cells else None
    names = [name for name in found[0] if all(name in cell for cell in found)]
    return {name: statistics.median(cell[name] for cell in found) for name in names}


def _mb(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"


def _table(head: list[str], lines: list[list[str]]) -> list[str]:
    return ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(line)} |" for line in lines)]


def _others(rows: list[Row], tool: str, n: int) -> str:
    cell = medians(rows, tool, n)
    if not isinstance(cell, dict):
        return cell or _LATER
    ours = medians(rows, OURS, n)
    took = cell["made"] + cell["drawn"]
    ratio = f" ({took / ours['atlas']:.1f}×)" if isinstance(ours, dict) else ""
    return (
        f"{took:.1f} s{ratio}, {_mb(cell['bytes'])}, {cell['heap'] / 1e6:,.0f} / {cell['resident'] / 1e6:,.0f} MB, "
        f"{cell['nodes']:,.0f} nodes"
    )


def _ours(cell: dict[str, float]) -> str:
    return (
        f"{cell['atlas']:.2f} s, {_mb(cell['atlas_bytes'])}, {cell['atlas_heap'] / 1e6:,.0f} / "
        f"{cell['atlas_resident'] / 1e6:,.0f} MB, {cell['atlas_nodes']:,.0f} nodes"
    )


_PARTS: dict[str, Callable[[dict[str, float]], str]] = {
    "run and first picture": lambda cell: f"{cell['run']:.1f} s",
    "atlas": lambda cell: f"{cell['atlas']:.2f} s",
    "its measures too": lambda cell: f"{cell['measured']:.2f} s",
    "opened anew": lambda cell: f"{cell['again']:.2f} s, {_mb(cell['again_bytes'])}",
    "head change (worst)": lambda cell: f"{cell['turn_ms']:.0f} ms ({cell['turn_worst_ms']:.0f})",
    "pan (longest frame)": lambda cell: f"{cell['fps']:.0f} fps ({cell['frame_worst_ms']:.0f} ms)",
    "cell → arithmetic on the map (worst)": lambda cell: (
        f"{cell['sums_ms']:.0f} ms ({cell['sums_worst_ms']:.0f})" if "sums_ms" in cell else "–"
    ),
    "on the page of steps (worst); the whole page": lambda cell: (
        f"{cell['cell_ms']:.0f} ms ({cell['cell_worst_ms']:.0f}); {cell['follow_ms']:.0f} ms"
        if "follow_ms" in cell
        else "–"
    ),
    "server: atlas (peak)": lambda cell: f"{_mb(cell['server'])} ({cell['server_peak'] / 1e6:,.1f})",
    "server: run": lambda cell: _mb(cell["run_memory"]),
}


def goals(rows: list[Row]) -> list[str]:
    """Every goal, and what was measured."""
    found = {n: cell for n in sorted({row["n"] for row in rows}) if isinstance(cell := medians(rows, OURS, n), dict)}
    lines: list[list[str]] = []

    def goal(name: str, told: str, met: bool) -> None:
        lines.append([name, told, "met" if met else "missed"])

    if short := found.get(512):
        goal("144 heads at 512 tokens in 1.5 s", f"{short['atlas']:.2f} s", short["atlas"] <= 1.5)
        goal("1.5 MB at 512 tokens", _mb(short["atlas_bytes"]), short["atlas_bytes"] <= 1.5e6)
        if long := found.get(4096):
            ratio, size = long["atlas"] / short["atlas"], long["atlas_bytes"] / short["atlas_bytes"]
            goal("at 4,096 at most 8× the time", f"{ratio:.1f}×", ratio <= 8)
            told = f"{_mb(long['atlas_bytes'])} ({size:.2f}×)"
            goal("the same 1.5 MB at 4,096", told, long["atlas_bytes"] <= 1.5e6)
    if found:
        worst = max(cell["turn_ms"] for cell in found.values())
        slow = min(cell["fps"] for cell in found.values())
        goal("head change in 150 ms at any length", f"{worst:.0f} ms", worst <= 150)
        goal("more than 30 frames a second", f"{slow:.0f}", slow > 30)
        for name, key in (("on the map", "sums_ms"), ("on the page of steps", "cell_ms")):
            if cells := [cell[key] for cell in found.values() if key in cell]:
                goal(f"cell → arithmetic {name} in 100 ms", f"{max(cells):.0f} ms", max(cells) <= 100)
        if (most := max(found)) >= 1024:  # of a shorter text it is less than what any page takes
            bound, peak = 12 * most * 768 * 4, found[most]["server_peak"]
            goal(f"server memory of the atlas O(layers·n·d): {_mb(bound)} at {most:,}", _mb(peak), peak <= bound)
    return _table(["goal", "measured", ""], lines)


def report(rows: list[Row], on: dict[str, str]) -> str:
    """Headlight beside the others, Headlight's own figures, the goals, and on what."""
    lengths = sorted({row["n"] for row in rows})
    others = list(dict.fromkeys(row["tool"] for row in rows if row["tool"] != OURS))
    ours = {n: cell for n in lengths if isinstance(cell := medians(rows, OURS, n), dict)}
    beside = [
        [f"{n:,}", _ours(ours[n]) if n in ours else _LATER, *(_others(rows, tool, n) for tool in others)]
        for n in lengths
    ]
    parts = [[f"{n:,}", *(part(cell) for part in _PARTS.values())] for n, cell in ours.items()]
    loads = sorted(row["load"] for row in rows)
    rounds = {n: sum((row["tool"], row["n"]) == (OURS, n) for row in rows) for n in lengths}
    told = [
        ", ".join(f"{name} {value}" for name, value in on.items()),
        f"load before each cell {loads[0]:.1f}–{loads[-1]:.1f}, median {statistics.median(loads):.1f}",
        "rounds " + ", ".join(f"{n:,}: {count}" for n, count in rounds.items()),
    ]
    return "\n".join([
        *_table(["tokens", OURS, *others], beside), *_table(["tokens", *_PARTS], parts), *goals(rows),
        "", "; ".join(told) + ".",
    ])[1:]  # fmt: skip
