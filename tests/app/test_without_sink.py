"""The switch that leaves the first token out: one state for all pages and the link, its share told, weights as they are."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from model import open_model
from tests import bounds
from viz.ui.atlas import figure
from viz.ui.language import catalogue

TEXT = "the cat sat on the mat"
SITE, HEAD = "encoder.1.self", 2


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    """float64 [h, q, k] of the whole softmax."""
    record = open_model("translate").trace(TEXT, language="zh").record(SITE)
    scores = np.stack([record.scores(head, dtype=torch.float64).numpy() for head in range(record.heads)])
    exact = np.exp(scores - scores.max(-1, keepdims=True))
    return exact / exact.sum(-1, keepdims=True)


def captions(seen) -> str:
    return " ".join(caption.value for caption in seen.at.caption)


def told(seen) -> float:
    """The share that the page says of the selected head."""
    before, after = seen.say("sink.share", token="\0", share="\1").split("\0")[1].split("\1")
    (found,) = re.findall(re.escape(before) + "(.+?)" + re.escape(after), captions(seen))
    return float(found)


def test_one_switch_for_every_page_and_the_link(visit, weights, monkeypatch) -> None:
    monkeypatch.setattr(figure, "_sent", set)
    left = weights.copy()
    left[:, :, 0] = 0
    seen = visit("heads", text=TEXT, to="zh", site=SITE, head=HEAD, q=3, k=2, sink="out").sound()
    header, arrays = seen.figure("matrix")
    np.testing.assert_allclose(arrays["values"], left[HEAD], atol=bounds.WEIGHT, rtol=0)
    assert header["left_out"] == 0 and (arrays["state"][:, 0] == 1).all() and not arrays["state"][:, 1:].any()
    assert header["sums"]  # the arithmetic is of the weights as they are
    lines, stacked = seen.figure("lines")
    np.testing.assert_allclose(stacked["weights"], left, atol=bounds.WEIGHT, rtol=0)
    assert not stacked["asked"][:, :, 0].any()
    np.testing.assert_allclose(lines["mass"], left.sum((1, 2)), atol=1e-9, rtol=0)
    assert lines["words"]["drawn"] == catalogue("en")["lines.drawn_rest"]
    share = weights[HEAD, :, 0].mean()
    assert told(seen) == pytest.approx(share, rel=0.005) and seen.say("sink.rest_out") in captions(seen)

    seen.go("reading").sound()
    np.testing.assert_allclose(seen.figure("reading-row")[1]["values"], left[HEAD, 3], atol=bounds.WEIGHT, rtol=0)
    assert seen.figure("reading-row")[0]["masked"] == [[0, 1]] and told(seen) == pytest.approx(share, rel=0.005)

    seen.go("atlas").sound()
    header, arrays = seen.figure("atlas")
    (entry,) = [entry for entry in header["sites"] if entry["site"] == SITE]
    np.testing.assert_allclose(arrays[entry["pictures"]] / 254, left, atol=0.5 / 254 + bounds.WEIGHT, rtol=0)
    assert arrays[entry["mask"]][:, 0].all() and header["words"]["masked"] == seen.say("sink.hatched")
    assert catalogue("en")["sink.shares"].split("{much}")[1].split("{mean}")[0] in captions(seen)

    seen.go("overview").sound()
    _, arrays = seen.figure("overview")
    for head in range(4):
        picture = arrays[f"{SITE}.{head}"] / 255
        np.testing.assert_allclose(picture, left[head], atol=0.5 / 255 + bounds.WEIGHT, rtol=0)
    assert seen.link["sink"] == "out" and told(seen) > 0
    seen.at.toggle(key="sink-en").set_value(False).run()
    seen.sound()
    assert "sink" not in seen.link and seen.figure("overview")[1][f"{SITE}.{HEAD}"][:, 0].any()


def test_rows_are_scaled_only_where_it_is_asked_for(visit, weights) -> None:
    seen = visit("heads", text=TEXT, to="zh", site=SITE, head=HEAD, q=3, k=0, sink="out").sound()
    seen.at.toggle(key="sink_scaled-en").set_value(True).run()
    left = weights[HEAD].copy()
    left[:, 0] = 0
    header, arrays = seen.sound().figure("matrix")
    scaled = left / left.sum(-1, keepdims=True)
    np.testing.assert_allclose(arrays["values"], scaled, atol=bounds.WEIGHT, rtol=0)
    assert seen.link["sink"] == "scaled" and not header["sums"] and seen.say("sink.rest_scaled") in captions(seen)
    line = " ".join(text.value for text in seen.at.markdown)
    assert f"**{weights[HEAD, 3, 0]:.3g}" in line  # the selected pair is told as the model has it


def test_a_link_with_another_value_leaves_it_in(visit) -> None:
    seen = visit("heads", text=TEXT, to="zh", site=SITE, head=HEAD, sink="nonsense").sound()
    assert seen.view.sink == "" and seen.figure("matrix")[0]["left_out"] is None
