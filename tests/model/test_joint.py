"""The joint matrix against the three float64 softmaxes it is put together from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace
from model.attention import joint_matrix
from model.trace.site import Site
from tests import bounds
from tests.model import tiny
from tests.model.test_downsample import pool

pytestmark = pytest.mark.float32


def site(text: str) -> Site:
    return Site.parse(text)


def test_the_blocks_are_the_three_attentions(trace: Trace):
    assert joint_matrix.drawable(trace)
    heads = joint_matrix.heads_of_blocks(trace, (site("decoder.1.cross"), 2), {"encoder": (0, 3), "decoder": (9, 99)})
    assert heads == {
        "encoder": (site("encoder.0.self"), 3), "cross": (site("decoder.1.cross"), 2), "decoder": (site("decoder.1.self"), 3),
    }  # fmt: skip
    parts = joint_matrix.encoder_decoder_matrix(trace, heads)
    whole = joint_matrix.whole(parts)
    n, m = len(trace.tokens("encoder")), len(trace.tokens("decoder"))
    assert whole.shape == (n + m, n + m) and whole[:n, n:].isnan().all() and not whole[:, :n].isnan().any()
    for kind, block in {"encoder": whole[:n, :n], "cross": whole[n:, :n], "decoder": whole[n:, n:]}.items():
        record = trace.record(heads[kind][0])
        q, k = (record.head(part, heads[kind][1], torch.float64) for part in "qk")
        scores = (q @ k.T * record.scale).masked_fill(~record.allowed(), -torch.inf)
        torch.testing.assert_close(block, torch.softmax(scores, -1), atol=1e-12, rtol=0)
        assert parts[kind].step == (1, 1) and torch.equal(parts[kind].allowed, record.allowed())


def test_others_keep_the_selected_layer_and_head_where_nobody_asked(trace: Trace):
    heads = joint_matrix.heads_of_blocks(trace, (site("encoder.1.self"), 1))
    assert heads == {"encoder": (site("encoder.1.self"), 1), "cross": (site("decoder.1.cross"), 1),
                     "decoder": (site("decoder.1.self"), 1)}  # fmt: skip


@pytest.mark.parametrize("most", [(4, 3), (9, 5)])
def test_a_long_one_is_pooled_side_by_side(trace: Trace, monkeypatch, most: tuple[int, int]):
    monkeypatch.setattr(joint_matrix, "CELLS", most[0])
    monkeypatch.setattr(joint_matrix, "BINS", most[1])
    heads = joint_matrix.heads_of_blocks(trace, (site("decoder.0.self"), 0))
    for kind, part in joint_matrix.encoder_decoder_matrix(trace, heads).items():
        record = trace.record(heads[kind][0])
        exact = record.weights(0, dtype=torch.float64).numpy()
        np.testing.assert_allclose(part.weights, pool(exact, most[1], "max"), atol=bounds.WEIGHT, rtol=0)
        assert (part.allowed.numpy() == (pool(record.allowed().numpy().astype(float), most[1], "max") > 0)).all()
        assert part.step == tuple(-(-total // most[1]) for total in exact.shape)
        assert joint_matrix.bins(exact.shape[1], part.step[1])[-1].stop == exact.shape[1]


def test_bins_cover_every_token_once():
    for length, step in ((1, 1), (10, 3), (9, 3), (7, 8)):
        assert [t for run in joint_matrix.bins(length, step) for t in range(length)[run]] == list(range(length))


def test_a_trace_with_one_stack_is_told_apart(tiny_model):
    trace = tiny_model.trace(tiny.TEXT, tiny.WRITTEN)
    one = Trace(trace.key, trace.sides, {s: r for s, r in trace.attention.items() if s.stack == "encoder"}, trace.store)
    assert not joint_matrix.drawable(one) and joint_matrix.drawable(trace)
