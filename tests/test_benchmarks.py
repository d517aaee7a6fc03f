"""The benchmarks run and print their tables; what they measure is no matter of tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_recording_benchmark_prints_a_row_a_method(tmp_path: Path):
    pytest.importorskip("transformers")
    file = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.recording", "--quick", "--json", str(file)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}, capture_output=True,
        encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seconds, memory = done.stdout.split("Peak MiB")
    for text in (seconds, memory):
        heads, _, row = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
        cells = dict(zip(heads, row, strict=True))
        assert {"plain", "Headlight", "eager", "TransformerLens", "nnsight"} <= cells.keys()
        assert cells["n"] == "64" and not {"", "not installed"} & {cells["plain"], cells["Headlight"], cells["eager"]}
    (row,) = json.loads(file.read_text(encoding="utf-8"))
    rounds = {len(cell["cpu"]) for cell in row["methods"].values() if cell and isinstance(cell, dict)}
    assert len(rounds) == 1 and rounds.pop() >= 2
    if sys.platform == "linux":  # 2 layers × 2 heads × 64 × 64 weights of 4 bytes
        assert row["methods"]["eager"]["kept"] == 2 * 2 * 64 * 64 * 4
        # 2 layers of q, k, v, context, output [64, 16], lse [2, 64]; 3 hidden states [64, 16]; logits [64, 1000].
        known = 4 * (2 * (5 * 64 * 16 + 2 * 64) + 3 * 64 * 16 + 64 * 1000)
        assert known <= row["methods"]["Headlight"]["kept"] < 1.2 * known


def test_the_table_of_the_gguf_benchmark_has_ratios_of_the_same_round_and_says_where_values_differ():
    from benchmarks import gguf

    def rows(*seconds: float, digest: str = "a") -> list[dict[str, object]]:
        return [{"cpu": second, "wall": 2 * second, "peak": 3 * gguf.MIB, "digest": digest} for second in seconds]

    cells = {gguf.LIBRARY: rows(10.0, 20.0, 30.0), gguf.FIRST: rows(5.0, 4.0, 9.0), gguf.NEXT: rows(1.0, 1.0, 1.0)}
    text = gguf.report(cells)
    assert f"| {gguf.FIRST} | 5.0 s (0.30×) | 10.0 s (0.30×) | 3 |" in text and "same bits" in text
    assert "DIFFER" in gguf.report(cells | {gguf.NEXT: rows(1.0, 1.0, 1.0, digest="b")})


def test_a_visitor_of_the_load_run_sees_what_goes_wrong() -> None:
    from streamlit.proto.Element_pb2 import Element

    from benchmarks.load import visitor

    shown = [Element() for _ in range(3)]
    shown[0].exception.type, shown[0].exception.message = "ValueError", "broken"
    shown[1].alert.body, shown[1].alert.format = "This does not open.", shown[1].alert.ERROR
    shown[2].alert.body, shown[2].alert.format = "By the way.", shown[2].alert.INFO
    assert [list(visitor._wrong(element)) for element in shown] == [["ValueError: broken"], ["This does not open."], []]
    asked = visitor.BackMsg.FromString(visitor._asked("heads", {"text": "a b"})).rerun_script
    assert (asked.page_name, asked.query_string) == ("heads", "text=a+b")


def test_the_training_benchmark_prints_both_loops(tmp_path: Path):
    file = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--quick", "--json", str(file)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}, capture_output=True,
        encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text(encoding="utf-8"))
    assert all(found[name] and min(found[name]) > 0 for name in ("bare", "ours", "seconds_a_step", "save", "snapshot"))
    assert "| bare nn.Transformer | " in done.stdout and "| ours | " in done.stdout
