"""The block taken apart, against numpy: what is added, the norms of features and of tokens, both orders of a block."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model import block_views, open_model
from model.config import TransformerConfig
from model.errors import UnknownOption
from model.transformer import Transformer
from tests.model.tiny import shaken

EXACT = {"atol": 1e-12, "rtol": 0}


@pytest.fixture(scope="module")
def model():
    return open_model("translate")


@pytest.fixture(scope="module")
def trace(model):
    return model.trace("the cat sat on the mat", language="zh")


def small(norm: str) -> Transformer:
    config = TransformerConfig(20, 21, d_model=8, heads=2, encoder_layers=2, decoder_layers=3, d_ff=12, norm=norm)
    torch.manual_seed(3)
    return shaken(Transformer(config), 1).eval()


def test_what_each_sublayer_adds_is_recorded(trace) -> None:
    for stack, count in (("encoder", 4), ("decoder", 6)):
        found = block_views.additions(trace, stack)
        assert len(found) == count and [item.name for item in found] == block_views.sublayers(trace, stack)
        for item in found:
            before, added = item.before.double().numpy(), item.added.double().numpy()
            total = trace.activation(f"{item.name}.residual").double().numpy()
            np.testing.assert_allclose(before + added, total, atol=2e-6)
            assert item.error == pytest.approx(np.abs(before + added - total).max(), abs=1e-12)
            lengths = np.sqrt((before**2).sum(1)), np.sqrt((added**2).sum(1))
            np.testing.assert_allclose(item.comes_in, lengths[0], **EXACT)
            np.testing.assert_allclose(item.adds, lengths[1], **EXACT)
            np.testing.assert_allclose(item.cosine, (before * added).sum(1) / (lengths[0] * lengths[1]), **EXACT)


def test_the_streams_of_both_orders() -> None:
    """Of a recorded pre-LN model the sum is the stream, of a post-LN one what leaves the norm."""
    from dataclasses import replace

    from model.recorder import record_run
    from model.trace import Side, Trace, TraceKey

    for norm in ("post", "pre"):
        module = small(norm)
        store, attention = record_run(module, torch.tensor([1, 2, 3]), torch.tensor([4, 5]))
        sides = {
            stack: Side(tuple(map(str, ids)), tuple(ids), (False,) * len(ids))
            for stack, ids in (("encoder", [1, 2, 3]), ("decoder", [4, 5]))
        }
        run = Trace(TraceKey("small", "0", "text"), sides, attention, store, facts={"norm": norm})
        for stack in sides:
            assert max(item.error for item in block_views.additions(run, stack)) < 2e-6
            names = block_views.streams(run, stack)
            assert len(names) == 1 + len(getattr(module, stack))
            for name in block_views.sublayers(run, stack):
                parameters = block_views.norm_parameters(run, module, name)
                assert block_views.normalised(run, name, parameters).error < 2e-6
            lost = replace(run, facts={"norm": "pre" if norm == "post" else "post"})
            if stack == "encoder":  # read in the wrong order the sums do not hold
                assert max(item.error for item in block_views.additions(lost, stack)) > 1e-3


def test_a_norm_is_numpys(model, trace) -> None:
    for name in block_views.sublayers(trace, "decoder"):
        parameters = block_views.norm_parameters(trace, model.module, name)
        found = block_views.normalised(trace, name, parameters)
        x = trace.activation(f"{name}.residual").double().numpy()
        gamma, beta = (p.double().numpy() for p in parameters)
        for i, row in enumerate(x):
            mean = sum(row) / len(row)
            variance = sum((value - mean) ** 2 for value in row) / len(row)
            assert float(found.mean[i]) == pytest.approx(mean, abs=1e-12)
            assert float(found.variance[i]) == pytest.approx(variance, abs=1e-12)
            np.testing.assert_allclose(found.y[i], gamma * (row - mean) / math.sqrt(variance + 1e-5) + beta, **EXACT)
        assert found.error < 3e-6


def test_parameters_come_from_the_record_or_the_model(model, trace) -> None:
    assert block_views.norm_parameters(trace, None, "encoder.0.ffn") is None
    norm = model.module.encoder[0].ffn_add.layer_norm
    assert torch.equal(block_views.norm_parameters(trace, model.module, "encoder.0.ffn")[0], norm.gamma)
    of_record = block_views.norm_parameters(trace, None, "encoder.0.self")
    assert torch.equal(of_record[1], model.module.encoder[0].self_add.layer_norm.beta)


def test_norms_by_row_and_by_column() -> None:
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    rows, columns = block_views.layer_norm(x).numpy(), block_views.batch_norm(x).numpy()
    y = x.double().numpy()
    np.testing.assert_allclose(rows, [(r - r.mean()) / np.sqrt(r.var() + 1e-5) for r in y], **EXACT)
    np.testing.assert_allclose(columns.T, [(c - c.mean()) / np.sqrt(c.var() + 1e-5) for c in y.T], **EXACT)
    reference = torch.nn.BatchNorm1d(7, affine=False).double().train()(x.double())
    np.testing.assert_allclose(columns, reference, **EXACT)
    reference = torch.nn.functional.layer_norm(x.double(), (7,), eps=1e-5)
    np.testing.assert_allclose(rows, reference, **EXACT)


def test_only_batch_norm_depends_on_other_tokens() -> None:
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    for row in range(4):
        layer, batch = block_views.depends(x, row)
        assert layer == 0 and batch > 0.05
        left = [i for i in range(4) if i != (3 if row != 3 else 0)]
        by_hand = np.abs((block_views.batch_norm(x)[row] - block_views.batch_norm(x[left])[left.index(row)]).numpy())
        assert batch == pytest.approx(by_hand.max(), abs=1e-12)
    assert all(map(math.isnan, block_views.depends(x[:1], 0)))


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_both_orders_run_the_same_weights(norm: str) -> None:
    module = small(norm)
    twin = block_views.other_order(module)
    assert twin.config.norm != norm
    known = twin.state_dict()
    assert all(torch.equal(value, known[name]) for name, value in module.state_dict().items() if name in known)
    found = block_views.both_orders(module, [1, 2, 3], [4, 5], "decoder")
    assert set(found) == {"post", "pre"} and [len(v) for v in found["pre"]] == [2, 2, 2, 2]
    np.testing.assert_allclose(found["post"][0], found["pre"][0], **EXACT)  # the same embedding goes in
    by_hand = twin.eval()
    with torch.no_grad():
        x = by_hand.target(torch.tensor([[4, 5]]))
        memory = by_hand.encode(torch.tensor([[1, 2, 3]]))
        for layer, expected in zip(by_hand.decoder, found[twin.config.norm][1:], strict=True):
            masks = by_hand.masks(torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5]]))
            x = layer(x, memory, masks["decoder.self"], masks["decoder.cross"])
            np.testing.assert_allclose(x[0].double().norm(dim=-1), expected, atol=1e-6)


def test_an_unknown_sublayer(trace) -> None:
    with pytest.raises(UnknownOption):
        block_views.stream_into(trace, "encoder.9.self")
