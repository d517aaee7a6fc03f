"""The page Variants: every switch moves the numbers of its figure, and the figure's are those of the functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import open_model
from model.attention import variants
from model.transformer import attention
from tests import bounds
from tests.app.acting import pick
from tests.app.visit import Visit
from viz.base import numbers
from viz.ui.variants.switches import SWITCHES

SITE, HEAD, TEXT = "encoder.1.self", 2, "the cat sat on the mat"
LINK = {"site": SITE, "head": HEAD, "q": 1, "k": 2, "text": TEXT}


@pytest.fixture(scope="module")
def record():
    return open_model("translate").trace(TEXT, language="zh").record(SITE)


def weights(record) -> np.ndarray:
    return record.weights(0, dtype=torch.float64).numpy()


def agrees(seen: Visit, expected: np.ndarray, record) -> None:
    """Both matrices, their difference, and the entropies of the selected row in the table."""
    header, arrays = seen.sound().figure("variants")
    recorded = record.weights(HEAD).numpy()
    np.testing.assert_allclose(arrays["A"], recorded, atol=bounds.WEIGHT)
    np.testing.assert_allclose(arrays["A'"], expected, atol=bounds.WEIGHT)
    np.testing.assert_allclose(arrays["Δ"], expected - recorded, atol=2 * bounds.WEIGHT)
    scales = {item["symbol"]: item["scale"] for item in header["items"] if "matrix" in item}
    assert [(scales[s]["low"], scales[s]["high"]) for s in ("A", "A'")] == [(0, 1)] * 2
    assert scales["Δ"]["low"] == -scales["Δ"]["high"]
    table = next(m.value for m in seen.at.markdown if seen.say("variants.entropy") in m.value)
    row = torch.tensor(expected)[seen.view.row]
    told = f"| {numbers.short(float(attention.entropy(row)), 4)} |"
    assert told in next(line for line in table.splitlines() if seen.say("variants.entropy") in line)


def switched(visit, name: str) -> Visit:
    return visit("variants", **LINK).set("variants", name)


def slide(seen: Visit, key: str, value: object) -> Visit:
    next(s for s in seen.at.slider if s.key.startswith(key)).set_value(value)
    seen.at.run()
    return seen


@pytest.mark.parametrize(
    ("way", "factor"), [("none", 1.0), ("root", 32**-0.5), ("times", 32**0.5), ("model", 128**-0.5)]
)
def test_the_scale(visit, record, way: str, factor: float) -> None:
    seen = visit("variants", **LINK).set("variants-scale", way)
    agrees(seen, weights(variants.scaled(record.select([HEAD], torch.float64), factor)), record)


def test_one_wide_head_and_all_heads(visit, record) -> None:
    seen = switched(visit, "heads")
    agrees(seen, weights(variants.wide(record)), record)
    _, arrays = seen.figure("variants-heads")
    for head in range(record.heads):
        np.testing.assert_allclose(arrays[f"A_{head}"], record.weights(head), atol=bounds.WEIGHT)


def test_groups(visit, record) -> None:
    seen = switched(visit, "groups")
    for size in (2, 1, 4):
        seen.set("variants-groups", size)
        agrees(seen, weights(variants.grouped(record, HEAD, size)), record)
        told = f"{variants.cache_numbers(record, size):,}"
        assert any(told in caption.value for caption in seen.at.caption)


def test_the_window_is_for_one_sequence(visit, record) -> None:
    seen = switched(visit, "window")
    for width in (1, 3, record.keys):
        agrees(
            slide(seen, "variants-window", width),
            weights(variants.windowed(record.select([HEAD], torch.float64), width)),
            record,
        )
    cross = visit("variants").set("variants", "window").sound()
    assert [info.value for info in cross.at.info] == [cross.say("variants.window_none")]
    assert "variants" not in cross.figures()


def test_the_sink(visit, record) -> None:
    seen = slide(switched(visit, "sink"), "variants-sink", 3.0)
    agrees(seen, weights(variants.with_sink(record.select([HEAD], torch.float64), 3.0)), record)
    assert (seen.figure("variants")[1]["A'"].sum(-1) < 1).all()


def test_additive_attention(visit, record) -> None:
    seen = slide(switched(visit, "additive"), "variants-seed", 4)
    given = variants.random_additive(record.d_k, 4)
    agrees(seen, variants.additive(record.select([HEAD], torch.float64), given).numpy(), record)


def test_the_soft_cap(visit, record) -> None:
    seen = slide(switched(visit, "softcap"), "variants-softcap", 1.5)
    agrees(seen, weights(variants.capped(record.select([HEAD], torch.float64), 1.5)), record)


def test_d_k_moves_the_random_numbers(visit) -> None:
    seen = visit("variants")
    slider = next(s for s in seen.at.select_slider if s.key == "variants-d_k")
    for d_k in (8, 512):
        slider.set_value(d_k)
        seen.at.run()
        (found,) = variants.saturation([d_k])
        table = next(m.value for m in seen.sound().at.markdown if seen.say("variants.variance") in m.value)
        assert f"| {numbers.short(found.variance, 4)} |" in table and numbers.short(found.largest[0], 4) in table
        slider = next(s for s in seen.at.select_slider if s.key == "variants-d_k")


def test_a_click_selects_and_every_switch_speaks_chinese(visit, record) -> None:
    seen = pick(visit("variants", **LINK), "variants", {"row": 4, "column": 3})
    assert (seen.view.row, seen.view.column) == (4, 3)
    seen = visit("variants", lang="zh", **LINK)
    for name in SWITCHES:
        seen.set("variants", name).sound()
