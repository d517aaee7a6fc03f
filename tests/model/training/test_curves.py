"""A log read while it grows: every number once, lines that a resume took back replaced, and means that are the means."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from model.training.run_files.curves import Curve, Curves, thinned, together


def sentence(step: int) -> dict[str, str]:
    return {"given": "a", "wanted": "b", "written": str(step)}


def lines(first: int, last: int, factor: float = 1.0) -> str:
    return "".join(
        json.dumps({"step": step, "loss": factor / step} | ({"probes": [sentence(step)]} if step % 2 == 0 else {}))
        + "\n"
        for step in range(first, last + 1)
    )


def test_it_goes_on_where_it_ended_and_leaves_half_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    read = Curves(tmp_path)
    assert read.read().step == 0 and read.quantities == []
    log.write_text(lines(1, 5) + '{"step": 6, "lo', "utf-8")
    assert list(read.read().curve("loss").values) == [1 / step for step in range(1, 6)]
    log.write_text(lines(1, 9), "utf-8")
    assert list(read.read().curve("loss").steps) == list(range(1, 10))
    assert read.probes == [(6, [sentence(6)]), (8, [sentence(8)])] and not read.curve("bleu").steps


def test_lines_that_a_resume_took_back_are_read_anew(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(lines(1, 9), "utf-8")
    read = Curves(tmp_path).read()
    log.write_text(lines(1, 4) + lines(5, 6, 2.0), "utf-8")  # shorter
    assert list(read.read().curve("loss").values) == [1, 1 / 2, 1 / 3, 1 / 4, 2 / 5, 2 / 6]
    log.write_text(lines(1, 4, 3.0) + lines(5, 40, 3.0), "utf-8")  # longer, and another one
    log.write_text("\n" + log.read_text("utf-8"), "utf-8")
    assert read.read().step == 0
    log.write_text(lines(1, 30, 3.0), "utf-8")
    assert list(read.read().curve("loss").values) == [3.0 / step for step in range(1, 31)]
    log.write_text("no log\n", "utf-8")
    assert read.read().step == 0
    log.unlink()
    log.mkdir()
    assert read.read().step == 0


def test_thinned_points_are_means_of_their_neighbours() -> None:
    values = np.random.default_rng(0).normal(size=1003)
    curve = Curve(list(range(1, 1004)), values.tolist(), (values - 1).tolist(), (values + 1).tolist())
    told = thinned(curve, 100)
    assert len(told.steps) == 92 and told.steps[:2] == [11, 22] and told.steps[-1] == 1003
    for place in (0, 40, 91):
        part = values[11 * place : 11 * place + 11]
        np.testing.assert_allclose(told.values[place], sum(part.tolist()) / len(part), rtol=1e-12)
        assert (told.low[place], told.high[place]) == (part.min() - 1, part.max() + 1)
    assert thinned(curve, 1003) is curve


def test_several_seeds_are_together_where_all_have_been(tmp_path: Path) -> None:
    logs = []
    for name, last, factor in (("a", 4, 1.0), ("b", 3, 3.0), ("c", 0, 1.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.jsonl").write_text(lines(1, last, factor), "utf-8")
        logs.append(Curves(tmp_path / name).read())
    told = together(logs, "loss")
    assert told.steps == [1, 2, 3] and np.allclose(told.values, [2, 1, 2 / 3])
    assert np.allclose(told.low, [1, 1 / 2, 1 / 3]) and np.allclose(told.high, [3, 3 / 2, 1])
    assert together(logs[2:], "loss").steps == () and together(logs[:1], "loss").low is None
