"""The block's numbers against numpy in float64, written from the formulas: additions, norms, both orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model import Trace, open_model
from model.errors import UnknownOption
from model.residual import stream as residual_stream
from tests.model import tiny

pytestmark = pytest.mark.float32


@pytest.fixture(scope="module", params=["post", "pre"])
def model(request, tmp_path_factory: pytest.TempPathFactory):
    folder = Path(tmp_path_factory.mktemp("block")) / request.param
    opened = open_model(tiny.write_checkpoint(folder, norm=request.param))
    opened.module.double()
    return opened


@pytest.fixture(scope="module")
def trace(model) -> Trace:
    return model.trace(tiny.TEXT, tiny.WRITTEN, language="zh")


def array(trace: Trace, name: str) -> np.ndarray:
    return trace.activation(name).numpy().astype(np.float64)


def norm(x: np.ndarray, gamma=1.0, beta=0.0) -> np.ndarray:
    out = np.empty_like(x)
    for i, row in enumerate(x):
        centre = row - row.sum() / row.size
        out[i] = centre / np.sqrt((centre @ centre) / row.size + 1e-5) * gamma + beta
    return out


def weights(model, name: str) -> tuple[np.ndarray, np.ndarray]:
    state = model.module.state_dict()
    stack, layer, kind = name.split(".")
    return tuple(state[f"{stack}.{layer}.{kind}_add.layer_norm.{p}"].numpy() for p in ("gamma", "beta"))


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_streams_run_from_the_input_through_every_layer(trace, stack: str) -> None:
    after = "norm" if trace.facts["norm"] == "post" else "residual"
    assert residual_stream.streams(trace, stack) == [
        f"{stack}.input",
        f"{stack}.0.ffn.{after}",
        f"{stack}.1.ffn.{after}",
    ]
    assert residual_stream.stacks(trace) == ("encoder", "decoder")
    assert residual_stream.own(trace)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_what_comes_in_and_what_is_added(trace, stack: str) -> None:
    kinds = ["self", "ffn"] if stack == "encoder" else ["self", "cross", "ffn"]
    names = [f"{stack}.{layer}.{kind}" for layer in range(2) for kind in kinds]
    found = residual_stream.additions(trace, stack)
    assert [item.name for item in found] == names == residual_stream.sublayers(trace, stack)
    after = "norm" if trace.facts["norm"] == "post" else "residual"
    before = array(trace, f"{stack}.input")
    for item in found:
        added = array(trace, f"{item.name}.output")
        np.testing.assert_allclose(item.comes_in, np.sqrt((before**2).sum(1)), atol=1e-12, rtol=0)
        np.testing.assert_allclose(item.adds, np.sqrt((added**2).sum(1)), atol=1e-12, rtol=0)
        lengths = np.sqrt((before**2).sum(1) * (added**2).sum(1))
        np.testing.assert_allclose(item.cosine, (before * added).sum(1) / lengths, atol=1e-12, rtol=0)
        np.testing.assert_allclose(before + added, array(trace, f"{item.name}.residual"), atol=1e-12, rtol=0)
        assert item.error <= 1e-12
        before = array(trace, f"{item.name}.{after}")
    one = residual_stream.additions(trace, stack, 2)
    np.testing.assert_array_equal(torch.cat([i.adds for i in one]), torch.stack([i.adds[2] for i in found]))


def test_an_addition_that_does_not_add_up_is_told(trace) -> None:
    trace.store.add("decoder.1.cross.residual", trace.activation("decoder.1.cross.residual") + 0.5)
    try:
        told = {item.name: item.error for item in residual_stream.additions(trace, "decoder")}
        assert told["decoder.1.cross"] == pytest.approx(0.5)
    finally:
        trace.store.add("decoder.1.cross.residual", trace.activation("decoder.1.cross.residual") - 0.5)


@pytest.mark.parametrize("name", ["encoder.0.self", "encoder.1.ffn", "decoder.0.cross", "decoder.1.ffn"])
def test_the_norm_of_a_sub_layer(model, trace, name: str) -> None:
    gamma, beta = weights(model, name)
    parameters = residual_stream.norm_parameters(trace, model.module, name)
    found = residual_stream.normalised(trace, name, parameters)
    source = f"{name}.residual" if trace.facts["norm"] == "post" else residual_stream.stream_into(trace, name)
    x = array(trace, source)
    np.testing.assert_array_equal(found.x, x)
    np.testing.assert_allclose(found.mean, x.sum(1) / x.shape[1], atol=1e-12, rtol=0)
    np.testing.assert_allclose(found.variance, ((x - x.mean(1)[:, None]) ** 2).mean(1), atol=1e-12, rtol=0)
    np.testing.assert_allclose(found.y, norm(x, gamma, beta), atol=1e-12, rtol=0)
    np.testing.assert_allclose(found.y, array(trace, f"{name}.norm"), atol=1e-12, rtol=0)
    assert found.error <= 1e-12


def test_parameters_without_the_model(trace) -> None:
    assert residual_stream.norm_parameters(trace, None, "encoder.0.self") is not None
    assert residual_stream.norm_parameters(trace, None, "encoder.0.ffn") is None


def test_an_unknown_sub_layer(trace) -> None:
    with pytest.raises(UnknownOption):
        residual_stream.stream_into(trace, "encoder.7.self")


def test_layer_norm_needs_no_other_token_and_batch_norm_does() -> None:
    x = np.random.default_rng(0).normal(1, 3, (5, 7))
    np.testing.assert_allclose(residual_stream.by_token(torch.tensor(x)), norm(x), atol=1e-12, rtol=0)
    np.testing.assert_allclose(residual_stream.batch_norm(torch.tensor(x)), norm(x.T).T, atol=1e-12, rtol=0)
    for row, gone in ((1, 4), (4, 0)):
        kept = np.delete(x, gone, 0)
        at = row - (gone < row)
        apart = np.abs(norm(x.T).T[row] - norm(kept.T).T[at]).max()
        layer, batch = residual_stream.change_without_a_token(torch.tensor(x), row)
        assert layer == 0 and batch == pytest.approx(apart, abs=1e-12)
    assert all(np.isnan(residual_stream.change_without_a_token(torch.ones(1, 3), 0)))


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_both_orders_are_the_formulas(model, trace, stack: str) -> None:
    """The other order, sub-layer by sub-layer, through the modules' own attention and feed-forward."""
    found = residual_stream.both_orders(model.module, trace, stack)
    mine = model.config.norm if hasattr(model, "config") else model.module.config.norm
    other = "pre" if mine == "post" else "post"
    assert found.own == mine and found.error == 0
    recorded = [np.sqrt((array(trace, name) ** 2).sum(1)) for name in residual_stream.streams(trace, stack)]
    np.testing.assert_allclose(found.lengths[mine], np.stack(recorded), atol=1e-12, rtol=0)
    expected = by_hand(model.module, trace, stack, other)
    np.testing.assert_allclose(found.lengths[other], expected, atol=1e-10, rtol=0)
    assert np.abs(expected[1:] - np.stack(recorded)[1:]).max() > 1e-3


def by_hand(module, trace: Trace, stack: str, order: str) -> np.ndarray:
    source, target = (torch.tensor([trace.token_ids(side)]) for side in ("encoder", "decoder"))
    masks = module.masks(source, target)

    def step(x, add, sublayer):
        gamma, beta = (p.detach().numpy() for p in (add.layer_norm.gamma, add.layer_norm.beta))

        def ln(value):
            return torch.tensor(norm(value[0].numpy(), gamma, beta))[None]

        return ln(x + sublayer(x)) if order == "post" else x + sublayer(ln(x))

    memory = None
    with torch.no_grad():
        for name in ("encoder", "decoder"):
            embed, ids = (module.source, source) if name == "encoder" else (module.target, target)
            x = embed(ids)
            lengths = [x[0].norm(dim=-1)]
            for layer in getattr(module, name):
                x = step(x, layer.self_add, lambda y, a=layer.self_attention, n=name: a(y, y, masks[f"{n}.self"]))
                if name == "decoder":
                    cross = layer.cross_attention
                    x = step(x, layer.cross_add, lambda y, a=cross, m=memory: a(y, m, masks["decoder.cross"]))
                x = step(x, layer.ffn_add, layer.ffn)
                lengths.append(x[0].norm(dim=-1))
            if name == stack:
                return torch.stack(lengths).numpy()
            memory = torch.tensor(norm(x[0].numpy()))[None] if order == "pre" else x
    raise AssertionError(stack)
