"""The picture of the whole model: each thumbnail is what its sub-layer computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model import Trace
from model.measures.default_head import best_head
from model.trace.site import Site
from tests import bounds
from viz.base.cell_states import MASKED
from viz.base.payload import unpack
from viz.overview.overview import overview_frame, written_rows

pytestmark = pytest.mark.float32

CROSS = Site.parse("decoder.1.cross")


def parts(header: dict) -> list[dict]:
    return [part for stack in header["stacks"] for layer in stack["layers"] for part in layer["parts"]]


@pytest.fixture(params=["trace", "pre_trace"])
def run(request: pytest.FixtureRequest) -> Trace:
    return request.getfixturevalue(request.param)


def test_every_sub_layer_is_there_in_order(run: Trace, words: dict):
    header, arrays = unpack(overview_frame(run, (CROSS, 0), None, words))
    assert [stack["name"] for stack in header["stacks"]] == ["encoder", "decoder"]
    assert [len(stack["layers"]) for stack in header["stacks"]] == [2, 2]
    assert [part["site"] for part in parts(header) if part["kind"] == "attention"] == [str(site) for site in run.sites]
    encoder, decoder = (["attention", "norm"] * n + ["ffn", "norm"] for n in (1, 2))
    for stack, kinds in zip(header["stacks"], (encoder, decoder), strict=True):
        for layer in stack["layers"]:
            assert [part["kind"] for part in layer["parts"]] == kinds
    for part in parts(header):
        if part["kind"] != "attention":
            assert part["values"] in arrays
            assert part["target"] in {str(site) for site in run.sites}


def test_the_hatching_is_named(trace: Trace, words: dict):
    """The decoder's future is masked, and nothing is NaN."""
    header, _ = unpack(overview_frame(trace, (CROSS, 0), None, words))
    assert header["hatched"] == words["hatched_masked"]


def test_attention_pictures_are_the_weights_in_256_steps(run: Trace, words: dict):
    header, arrays = unpack(overview_frame(run, None, None, words))
    for part in parts(header):
        if part["kind"] != "attention":
            continue
        for item in part["heads"]:
            weights = run.weights(part["site"], item["head"]).double().numpy()
            picture = arrays[item["array"]]
            assert picture.dtype == np.uint8
            np.testing.assert_array_equal(picture, np.round(weights.astype(np.float32) * 255))
            assert np.abs(picture / 255 - weights).max() <= 0.5 / 255 + bounds.WEIGHT
            allowed = run.record(part["site"]).allowed().numpy()
            assert ((arrays[item["state"]] == MASKED) == ~allowed).all()


def test_norm_pictures_are_the_length_of_the_stream(run: Trace, words: dict):
    header, arrays = unpack(overview_frame(run, None, None, words))
    names = [part["values"].removesuffix(".length") for part in parts(header) if part["kind"] == "norm"]
    assert len(set(names)) == 10
    for name in names:
        want = np.sqrt((run.activation(name).double().numpy() ** 2).sum(-1))
        np.testing.assert_allclose(arrays[f"{name}.length"], want, rtol=1e-5)


def test_pooling_keeps_every_firing_unit(run: Trace, words: dict):
    header, arrays = unpack(overview_frame(run, None, None, words))
    for part in (part for part in parts(header) if part["kind"] == "ffn"):
        hidden = run.activation(part["values"].removesuffix(".units") + ".post").numpy()
        units, size = arrays[part["values"]], part["pooled"]
        assert units.shape[1] <= 96
        assert size == -(-hidden.shape[1] // 96)
        for column in range(units.shape[1]):
            np.testing.assert_array_equal(units[:, column], hidden[:, column * size : (column + 1) * size].max(1))
        np.testing.assert_array_equal(units.max(1), hidden.max(1))
    assert {part["pooled"] for part in parts(header) if part["kind"] == "ffn"} == {1 if hidden.shape[1] < 97 else 3}


def test_the_answer_leaves_the_end_token_out(trace: Trace, words: dict):
    forced = overview_frame(trace, (CROSS, 3), None, words)
    assert [item["text"] for item in unpack(forced)[0]["target"]] == ["我", "喜欢", "猫", "。", "</s>"]
    trace = replace(trace, facts=trace.facts | {"generated": True})
    header, arrays = unpack(overview_frame(trace, (CROSS, 3), {"site": "encoder.0.self", "head": 1}, words, "title"))
    assert written_rows(trace) == 4
    assert [item["text"] for item in header["target"]] == ["我", "喜欢", "猫", "。"]
    np.testing.assert_array_equal(arrays["hero"], trace.weights(CROSS, 3).numpy()[:4])
    assert header["hero"] == {
        "site": "decoder.1.cross", "head": 3, "title": "title", "source": header["source"], "merged": False,
        "keys": "encoder",
    }  # fmt: skip
    assert header["selection"] == {"site": "encoder.0.self", "head": 1}


@pytest.mark.parametrize(("written", "drawn"), [
    (["我", "喜欢", "猫", "。", "</s>"], 4), (["我", "喜欢", "猫", "。", "了"], 5), (["<fr>", "喜欢", "</s>", "。", "了"], 5),
    (["<fr>", "喜欢", "猫", "。", "</s>"], 4),
])  # fmt: skip
def test_only_the_row_that_ends_the_text_is_not_drawn(trace: Trace, words: dict, written: list[str], drawn: int):
    made = replace(trace, facts=trace.facts | {"written": written, "generated": True})
    header, arrays = unpack(overview_frame(made, (CROSS, 3), None, words))
    assert [item["text"] for item in header["target"]] == written[:drawn]
    np.testing.assert_array_equal(arrays["hero"], trace.weights(CROSS, 3).numpy()[:drawn])


def test_the_bars_are_probabilities(trace: Trace, words: dict):
    bars = unpack(overview_frame(trace, None, None, words))[0]["next"]["bars"]
    probabilities = [bar["probability"] for bar in bars]
    assert probabilities == sorted(probabilities, reverse=True)
    logits = np.exp(trace.logits[3].double().numpy())
    assert probabilities[0] == pytest.approx(logits.max() / logits.sum(), abs=1e-12)


def test_the_best_head_is_the_cards_else_the_sharpest(trace: Trace):
    told = {"alignment": {"zh": {"predicting": {"site": "decoder.0.cross", "head": 2}}}}
    assert best_head(trace, told, "zh") == (Site.parse("decoder.0.cross"), 2)
    heads = [(site, h) for site in trace.sites if site.kind == "cross" for h in range(4)]
    sharpest = max(heads, key=lambda at: trace.weights(*at).double().max(-1).values.mean())
    for card in ({}, {"alignment": {}}, {"alignment": {"zh": {"predicting": {"site": "decoder.9.cross", "head": 0}}}}):
        assert best_head(trace, card, "zh") == sharpest
    assert best_head(trace, told, "fr") == best_head(trace, told, None) == sharpest
