"""The text as it reads, and one row of it: every number against the float64 softmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace
from model.trace.site import Site
from model.trace.trace import Side
from model.transformer.masks import RuleMask
from tests import bounds
from tests.model.test_downsample import record as make
from tests.model.test_downsample import weights as exact
from tests.viz.test_lines import Stub
from viz.base.payload import unpack
from viz.text import static as static_text
from viz.text import text as text_view
from viz.text.text import flow

pytestmark = pytest.mark.float32

BOUND = bounds.WEIGHT
NAMES = ("what is written", "what is read")


def side(texts: list[str], special: tuple[int, ...] = (), words: tuple[int, ...] = ()) -> Side:
    return Side(tuple(texts), tuple(range(len(texts))), tuple(i in special for i in range(len(texts))), (), words)


def read(found: text_view.Flow) -> str:
    """The text with its gaps, as the page sets it."""
    out = ""
    for i, text in enumerate(found.texts):
        out += (" " if i and found.follows[i] in (text_view.GAP, text_view.SPACE) else "") + text
        out += "\n" if i in found.breaks else ""
    return out


@pytest.mark.parametrize(
    ("texts", "special", "words", "expected"),
    [
        (["Don", "'t", " stop", ".", "\n\n", " def", " f", "(", "x", "):"], (), (), "Don't stop.⏎⏎\n def f(x):"),
        (["the", "cat", "sat", ".", ], (), (), "the cat sat."),
        (["<zh>", "猫", "坐", "在", "垫子", "上"], (0,), (), "<zh> 猫坐在垫子上"),
        (["[CLS]", "don", "'", "t", "re", "-", "token", "##ized", "(", "new", ")", "[SEP]"], (0, 11),
         (-1, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, -1), "[CLS] don't re-tokenized (new) [SEP]"),
        (["1", "2", " ", "f", "e", "b"], (), (), "12·feb"),
        (["<s>", "2", "0", "1", "9", "-", "0", "2"], (0,), (), "<s> 2019-02"),
        (["0", "1", "2", "3", "4"], (), (), "0 1 2 3 4"),
        (["1", "2", "3", "4"], (), (), "1234"),
        (["the ", "cat ", "sat "], (), (), "the cat sat"),
        (["⟨E4 BD⟩", "⟨A0⟩", " a", "", "\t"], (), (), "⟨E4·BD⟩⟨A0⟩ a∅⇥"),
    ],
)  # fmt: skip
def test_a_text_reads_as_people_read(texts, special, words, expected):
    found = flow(side(texts, special, words))
    assert read(found) == expected and len(found.texts) == len(texts)
    assert [kind == "special" for kind in found.kinds] == [i in special for i in range(len(texts))]


def test_a_piece_of_a_word_is_known_by_its_mark():
    found = flow(side(["token", "##ized", "##"], (), (0, 0, 1)))
    assert found.follows == (text_view.JOINED, text_view.REST, text_view.GAP) and found.texts == ("token", "ized", "##")


SITES = ["encoder.0.self", "decoder.1.self", "decoder.0.cross"]


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("mode", text_view.MODES)
@pytest.mark.parametrize("how", ["mean", "max"])
def test_a_row_is_the_softmax(trace: Trace, words: dict, site: str, mode: str, how: str):
    name = Site.parse(site)
    record = trace.record(name)
    whole = np.stack([record.weights(head, dtype=torch.float64).numpy() for head in range(4)])
    for heads in ([1], [0, 2, 3]):
        each = whole[heads] if mode == "attends" else whole[heads].transpose(0, 2, 1)
        combined = each[0] if len(heads) == 1 else {"mean": each.mean(0), "max": each.max(0)}[how]
        allowed = record.allowed().numpy() if mode == "attends" else record.allowed().numpy().T
        for index in range(len(combined)):
            found = text_view.token_attention(trace, [(name, head) for head in heads], mode, index, how)
            assert found.how == (how if len(heads) > 1 else "")
            header, arrays = unpack(text_view.row_frame(trace, found, 1.0, 0, words, 3))
            np.testing.assert_allclose(arrays["values"], combined[index], atol=BOUND, rtol=0)
            assert arrays["values"].dtype == np.float32
            masked = np.zeros(len(allowed[index]), bool)
            for first, stop in header["masked"]:
                masked[first:stop] = True
            assert (masked == ~allowed[index]).all()
            order = sorted(np.flatnonzero(combined[index] > 0), key=lambda j: (-combined[index][j], j))[:3]
            assert [item["index"] for item in header["top"]] == [int(j) for j in order]
            total, left, count, largest = text_view.rest(found, 3)
            others = [combined[index][j] for j in range(len(combined[index])) if j not in order and allowed[index][j]]
            assert total == pytest.approx(combined[index].sum(), abs=bounds.WEIGHT) and count == len(others)
            assert left == pytest.approx(sum(others), abs=bounds.WEIGHT)
            assert largest == pytest.approx(max(others, default=0.0), abs=bounds.WEIGHT)


def test_the_text_is_the_same_whatever_is_asked_and_one_row_is_small(words: dict):
    found = make(3000, 3000, RuleMask(causal=True), heads=2)
    trace = Stub(found)
    trace.sides = {"decoder": trace.side("decoder")}
    frame = text_view.text_frame(trace, found.site, words, NAMES)
    header, _ = unpack(frame)
    assert len(header["texts"]) == 1 and header["texts"][0]["roles"] == ["query", "key"]
    assert header["texts"][0]["tokens"][:2] == ["w0", "w1"]
    for mode in text_view.MODES:
        one = text_view.token_attention(trace, [(found.site, 1)], mode, 2500, "mean")
        sent = text_view.row_frame(trace, one, 1.0, 0, {})
        assert len(sent) < 4 * 3000 + 3000 and unpack(sent)[0]["of"] == header["of"]
        whole = exact(found, 1)
        wanted = whole[2500] if mode == "attends" else whole[:, 2500]
        np.testing.assert_allclose(unpack(sent)[1]["values"], wanted, atol=BOUND, rtol=0)
    assert text_view.text_frame(trace, found.site, words, NAMES) == frame


def test_cross_attention_has_two_texts(trace: Trace, words: dict):
    header, _ = unpack(text_view.text_frame(trace, Site.parse("decoder.0.cross"), words, NAMES))
    assert [(text["side"], text["roles"]) for text in header["texts"]] == [("decoder", ["query"]), ("encoder", ["key"])]
    assert [text["title"] for text in header["texts"]] == list(NAMES)
    other, _ = unpack(text_view.text_frame(trace, Site.parse("decoder.0.self"), words, NAMES))
    assert other["of"] != header["of"]


def test_runs_of_marks():
    assert text_view.runs(np.array([1, 1, 0, 1], bool)) == [[0, 2], [3, 4]]
    assert text_view.runs(np.zeros(3, bool)) == [] and text_view.runs(np.zeros(0, bool)) == []


def test_the_second_largest_ends_a_scale(trace: Trace):
    site = Site.parse("encoder.0.self")
    found = text_view.token_attention(trace, [(site, 0)], "attends", 1, "mean")
    falling = sorted(found.values, reverse=True)
    assert (found.largest, found.second) == (falling[0], falling[1])


def test_the_file_has_every_token_and_wraps(trace: Trace):
    site = Site.parse("encoder.0.self")
    found = text_view.token_attention(trace, [(site, 0)], "attends", 1, "mean")
    table = text_view.table(trace, found)
    assert list(table["weight"]) == list(found.values) and len(table) == len(trace.tokens("encoder"))
    words = flow(side(["word"] * 200))
    placed = static_text.placed(words, slice(0, 200))
    assert placed["right"].max() <= 92 and placed["line"].max() == 200 // 18
    drawn = static_text.chart(flow(trace.side("encoder")), found, 1.0, "weight").to_dict()
    assert {len(rows) for rows in drawn["datasets"].values()} == {len(found.values)}
    assert static_text.part(5000, 4999).stop == 5000 and len(range(5000)[static_text.part(5000, 100)]) == 1500
