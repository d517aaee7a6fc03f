"""A library's list of hidden states is taken as the residual stream only where it has all: what enters each layer and leaves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model.checkpoints.record import forward

transformers = pytest.importorskip("transformers")

SMALL = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
         "max_position_embeddings": 64, "projection_dim": 16}  # fmt: skip


def recorded(mixers: bool) -> tuple[nn.Module, forward.Recorded, dict[int, torch.Tensor]]:
    """A text encoder whose first and last layer mix tokens by convolutions, or that has none such; and each layer's input."""
    torch.manual_seed(0)
    config = transformers.Sam3LiteTextTextConfig(**SMALL, use_repmixer_blocks=mixers)
    module = forward.prepare(transformers.AutoModel.from_config(config).eval())
    entered: dict[int, torch.Tensor] = {}
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, i=i: entered.__setitem__(i, inputs[0][0].clone()))
        for i, layer in enumerate(module.layers)
    ]
    with torch.no_grad():
        found = forward.record(module, {"input_ids": torch.randint(4, 90, (1, 9))})
    for handle in handles:
        handle.remove()
    return module, found, entered


def test_states_that_begin_after_the_first_layer_are_no_stream() -> None:
    """Only the layers with attention are listed, 2 of 4: the first of the states is what enters layer 1."""
    module, found, _ = recorded(mixers=True)
    assert len(module.layers) == 4 and [site.layer for site in found.attention] == [1, 2]
    assert [name for name in found.store.names() if name.endswith(".stream")] == []


def test_states_of_every_layer_are_the_stream() -> None:
    _, found, entered = recorded(mixers=False)
    names = sorted(name for name in found.store.names() if name.endswith(".stream"))
    assert names == [f"encoder.{i}.stream" for i in range(5)]
    for i in range(4):
        torch.testing.assert_close(found.store[names[i]], entered[i])
