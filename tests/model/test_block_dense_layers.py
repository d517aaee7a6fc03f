"""Feed-forward units where only some layers have a dense feed-forward part: each layer shows its own or none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model.checkpoints.record import forward, mlp_hooks

transformers = pytest.importorskip("transformers")

LAYERS = 4
SMALL = {
    "vocab_size": 40, "hidden_size": 32, "intermediate_size": 64, "moe_intermediate_size": 48, "num_hidden_layers": LAYERS,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
# Family, what says which layers are of experts, and the layers left with a dense part.
MIXED = {
    "qwen3 every second": ("Qwen3Moe", {"decoder_sparse_step": 2}, [0, 2]),
    "qwen3 listed": ("Qwen3Moe", {"mlp_only_layers": [1, 3]}, [1, 3]),
    "qwen2": ("Qwen2Moe", {"decoder_sparse_step": 2, "shared_expert_intermediate_size": 64}, [0, 2]),
    "qwen3 next": ("Qwen3Next", {"decoder_sparse_step": 2, "shared_expert_intermediate_size": 64}, [0, 2]),
    "llama4": ("Llama4", {"interleave_moe_layer_step": 2, "num_local_experts": 4, "intermediate_size_mlp": 64}, [0, 2]),
    "ernie": ("Ernie4_5_Moe", {"moe_num_experts": 4, "moe_k": 2, "moe_layer_start_index": 1, "moe_layer_end_index": -1,
                               "moe_layer_interval": 2, "moe_num_shared_experts": 1}, [0, 2]),
}  # fmt: skip


def small(family: str, said: dict) -> nn.Module:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}TextConfig" if family == "Llama4" else f"{family}Config")(**(SMALL | said))
    return forward.prepare(getattr(transformers, f"{family}ForCausalLM")(config).eval())


def feed_forward(layer: nn.Module) -> str:
    return "mlp" if hasattr(layer, "mlp") else "feed_forward"


@pytest.mark.parametrize(("family", "said", "dense"), MIXED.values(), ids=MIXED)
def test_units_are_of_the_layer_asked_for(family: str, said: dict, dense: list[int]) -> None:
    module = small(family, said)
    inputs = {"input_ids": torch.tensor([[3, 7, 11, 5, 9]])}
    own: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    handles = [
        getattr(layer, feed_forward(layer)).down_proj.register_forward_hook(
            lambda _, inputs, output, i=i: own.__setitem__(i, (inputs[0][0].clone(), output[0].clone()))
        )
        for i, layer in enumerate(module.model.layers)
        if hasattr(getattr(layer, feed_forward(layer)), "down_proj")
    ]
    with torch.no_grad(), mlp_hooks.capture_outputs(module, ("decoder",), "decoder", LAYERS) as fed:
        module(**inputs)
    for handle in handles:
        handle.remove()
    assert sorted(own) == dense == sorted(fed)
    for layer in range(LAYERS):
        with torch.no_grad(), mlp_hooks.capture_hidden(module, ("decoder",), "decoder", layer, LAYERS) as captured:
            module(**inputs)
        own_name = f"model.layers.{layer}.{feed_forward(module.model.layers[layer])}.down_proj"
        assert [each.name for each in captured] == [own_name] * (layer in dense)
        if layer in dense:
            units = captured[0].units()
            torch.testing.assert_close(units.post, own[layer][0].reshape(units.post.shape))
            torch.testing.assert_close(fed[layer], own[layer][1].reshape(fed[layer].shape))
            assert units.function == "silu" and units.gate is not None and units.error <= units.limit


def test_one_module_in_several_layers_is_told_by_its_turn() -> None:
    """The layers' list says which: 1 and 3 are one module, so its first call in a run is layer 1's."""
    module = small("Qwen3Moe", {"mlp_only_layers": [0, 1, 2, 3]})
    layers = module.model.layers
    layers[3].mlp = layers[1].mlp
    heard: list[torch.Tensor] = []
    handle = layers[1].mlp.down_proj.register_forward_hook(lambda _, inputs, output: heard.append(inputs[0][0].clone()))
    inputs = {"input_ids": torch.tensor([[3, 7, 11, 5, 9]])}
    for layer, turn in ((1, 0), (3, 1)):
        heard.clear()
        with torch.no_grad(), mlp_hooks.capture_hidden(module, ("decoder",), "decoder", layer, LAYERS) as captured:
            module(**inputs)
        assert len(heard) == 2 and not torch.equal(*heard)
        torch.testing.assert_close(captured[0].units().post, heard[turn])
    handle.remove()
