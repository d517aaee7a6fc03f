"""Hidden units: the formulas of the activations, and of every family that they are what the next projection read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model import block_units as units

EXACT = {"atol": 1e-12, "rtol": 0}


def test_activations_are_their_formulas() -> None:
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    by_hand = {
        "relu": [max(0.0, v) for v in x.tolist()],
        "gelu": [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()],
        "silu": [v / (1 + math.exp(-v)) for v in x.tolist()],
    }
    for name in units.ACTIVATIONS:
        np.testing.assert_allclose(units.activate(name, x), by_hand[name], **EXACT)
        np.testing.assert_allclose(units.activate(name, x), getattr(torch.nn.functional, name)(x), atol=1e-12)


def test_strongest_and_top_tokens() -> None:
    hidden = units.Hidden(torch.tensor([[0.0, 3.0, -4.0], [2.0, 0.0, 1.0]]))
    assert units.strongest(hidden, 0, 2) == [(2, -4.0), (1, 3.0)]
    assert units.strongest(hidden, 1, 9) == [(0, 2.0), (2, 1.0), (1, 0.0)]
    assert units.top_tokens(hidden, 2) == [(1, 1.0), (0, -4.0)]
    assert hidden.firing == pytest.approx(0.5)


def families():
    pytest.importorskip("transformers")
    from model.checkpoints.families import FAMILIES

    return [family for family in FAMILIES if family.model_type != "gpt_oss"]


@pytest.mark.parametrize("family", families(), ids=lambda family: family.model_type)
def test_units_of_every_family(family) -> None:
    """hidden · W + b is what the projection put out, once a layer; what came in is wider than what goes out."""
    from model.checkpoints import ffn_tap as heard_units
    from model.checkpoints.families import small_inputs, small_model

    module = small_model(family).eval()
    given = small_inputs(family, getattr(module.config, "is_encoder_decoder", False))
    stacks = ("encoder", "decoder") if module.config.model_type in _TWO else ("decoder",)
    for stack in stacks:
        ends = [n for n in heard_units.projections(module) if heard_units.stack_of(n, stacks) == stack]
        layers = 2 if family.model_type == "albert" else len(ends)
        assert layers >= 2
        found = {}
        for layer in range(layers):
            with torch.no_grad(), heard_units.listening(module, stacks, stack, layer, layers) as heard:
                module(**given)
            (one,) = heard
            assert one.hidden.shape[1] == one.W.shape[0] and one.output.shape[1] == one.W.shape[1]
            size = max(1.0, float(one.output.abs().max()))
            assert one.error < 1e-5 * size
            found[layer] = one
        assert not torch.equal(found[0].hidden, found[1].hidden)
    assert not any(part._forward_hooks for part in module.modules())


_TWO = {"t5", "mt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "whisper", "clip"}


def test_another_thread_is_not_heard() -> None:
    import threading

    from model.checkpoints import ffn_tap as heard_units
    from model.checkpoints.families import small_inputs, small_model

    family = next(f for f in families() if f.model_type == "llama")
    module = small_model(family).eval()
    given = small_inputs(family, False)
    with heard_units.listening(module, ("decoder",), "decoder", 0, 2) as heard:
        other = threading.Thread(target=lambda: module(**given))
        other.start()
        other.join()
        assert not heard
