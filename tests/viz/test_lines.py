"""The frames of the lines, short and long: every number against the float64 softmax, every count against a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace
from model.trace.site import Site
from model.transformer.masks import RuleMask
from tests import bounds
from tests.model.test_downsample import record as make
from tests.model.test_downsample import weights as exact
from tests.model.test_top_weights import by_hand
from viz.base import axes
from viz.base.cell_states import MASKED
from viz.base.payload import unpack
from viz.heads import lines

pytestmark = pytest.mark.float32

SITES = ["encoder.0.self", "decoder.1.self", "decoder.0.cross"]
BOUND = bounds.WEIGHT


@pytest.mark.parametrize("rule", lines.RULES)
@pytest.mark.parametrize("site", SITES)
def test_lines_hold_every_head_and_say_which_are_asked_for(trace: Trace, words: dict, site: str, rule: str):
    frame = lines.lines_frame(trace, Site.parse(site), 2, [0, 2], (0, 0), words, rule=rule)
    header, arrays = unpack(frame)
    record = trace.record(site)
    for head in range(4):
        whole = record.weights(head, dtype=torch.float64).numpy()
        np.testing.assert_allclose(arrays["weights"][head], whole, atol=BOUND, rtol=0)
        asked = {tuple(map(int, pair)) for pair in np.argwhere(arrays["asked"][head])}
        assert asked == by_hand(whole, lines.rule_of(rule))
        assert header["mass"][head] == pytest.approx(whole.sum(), abs=1e-9)
    assert ((arrays["state"] == MASKED) == ~record.allowed().numpy()).all()
    assert [item["index"] for item in header["heads"]] == [0, 1, 2, 3]
    assert (header["shown"], header["current_head"]) == ([0, 2], 2)
    assert (len(header["left"]), len(header["right"])) == arrays["weights"].shape[1:]


def test_a_window_asks_for_the_lines_of_whole_rows(trace: Trace, words: dict):
    site = Site.parse("encoder.0.self")
    record = trace.record(site)
    around = axes.axes(trace, site, (3, 3), size=3)
    assert not around[1].whole
    header, arrays = unpack(lines.lines_frame(trace, site, 0, [0], (3, 3), words, around))
    whole = record.weights(1, dtype=torch.float64).numpy()
    pairs = by_hand(whole, lines.rule_of(lines.USUAL))
    inside = {
        (i - around[0].first, j - around[1].first)
        for i, j in pairs
        if i in range(*around[0].span.indices(99)) and j in range(*around[1].span.indices(99))
    }
    assert {tuple(map(int, pair)) for pair in np.argwhere(arrays["asked"][1])} == inside
    assert header["mass"][1] == pytest.approx(3.0)


def test_words_are_asked_for_as_words():
    found = make(9, 9, RuleMask(causal=True))
    labels = [{"text": str(i), "kind": "word"} for i in range(9)]
    whole = axes.word_axis(labels, (0, 0, 1, 2, 2, 2, 3, 4, 4))
    part = axes.word_axis(labels, (0, 0, 1, 2, 2, 2, 3, 4, 4), 4, 3)
    values, allowed, asked, mass = lines.cells(found, 1, (part, part), whole, lines.rule_of("p80"))
    both = exact(found, 1)
    merged = np.array([
        [both[whole.tokens(i)][:, whole.tokens(j)].sum(1).mean() for j in range(len(whole.starts))]
        for i in range(part.first, part.first + 3)
    ])  # fmt: skip
    at = slice(part.first, part.first + 3)
    np.testing.assert_allclose(values, merged[:, at], atol=1e-12)
    wanted = by_hand(merged, lines.rule_of("p80"))
    assert {tuple(map(int, pair)) for pair in np.argwhere(asked)} == {
        (i, j - at.start) for i, j in wanted if at.start <= j < at.stop
    }
    assert mass == pytest.approx(3.0) and allowed.shape == asked.shape == (3, 3)


class Stub:
    """A trace of one record."""

    def __init__(self, record):
        self.one = record

    def record(self, site):
        return self.one

    def side(self, side):
        from model.trace.trace import Side

        n = self.one.queries
        return Side(tuple(f"w{i}" for i in range(n)), tuple(range(n)), (False,) * n)

    def written(self):
        return []


@pytest.mark.parametrize("rule", ["p90", "t10"])
def test_far_lines_are_the_strongest_and_the_rest_is_counted(words: dict, rule: str, monkeypatch):
    monkeypatch.setattr(lines, "MOST", 700)
    found = make(150, 150, RuleMask(causal=True))
    assert lines.is_long(found) and not lines.known(found, [0, 2], rule)
    each = lines.far(found, [0, 2], rule)
    assert lines.known(found, [0, 2], rule) and not lines.known(found, [0, 1], rule)
    header, arrays = unpack(lines.far_frame(Stub(found), found.site, 2, each, (140, 3), words))
    told = lines.drawn_share(each)
    whole = np.stack([exact(found, head) for head in range(4)])
    got = arrays["weight"]
    np.testing.assert_allclose(got, whole[arrays["head"], arrays["row"], arrays["column"]], atol=BOUND, rtol=0)
    asked = {head: by_hand(whole[head], lines.rule_of(rule)) for head in (0, 2)}
    triples = list(zip(arrays["head"].tolist(), arrays["row"].tolist(), arrays["column"].tolist(), strict=True))
    assert len(set(triples)) == len(triples) == told.drawn <= 700
    assert told.asked == pytest.approx(sum(map(len, asked.values())), abs=2)
    best = sorted((whole[h][pair] for h in asked for pair in asked[h]), reverse=True)[:700]
    np.testing.assert_allclose(np.sort(got)[::-1], best[: len(got)], atol=BOUND)
    assert told.drawn == min(700, told.asked)
    assert told.cells == 2 * 150 * 151 // 2 and told.mass == pytest.approx(300)
    assert told.held == pytest.approx(sum(best[: len(got)])) and told.share == pytest.approx(told.held / 300)
    assert header["shown"] == [0, 2] and header["selection"] == {"row": 140, "column": 3}
    assert header["left"][:2] == ["w0", "w1"] and header["right"] is None  # one text: it is sent once


def test_no_head_is_no_line(words: dict):
    found = make(120, 120)
    header, arrays = unpack(lines.far_frame(Stub(found), found.site, 0, {}, (0, 0), words))
    assert len(arrays["weight"]) == 0 and header["shown"] == [] and lines.drawn_share({}).share == 0
