"""Rows in which every key is masked by a finite number: a module's softmax makes them even, and the record says so."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model import instrument
from tests import bounds

pytestmark = pytest.mark.float32
N, HEADS, D = 7, 4, 16
LOWEST = torch.finfo(torch.float32).min
WAYS = {
    "added -1e4": lambda s, mask: s + torch.zeros(mask.shape).masked_fill(~mask, -1e4),
    "added -1e9": lambda s, mask: s + torch.zeros(mask.shape).masked_fill(~mask, -1e9),
    "added lowest": lambda s, mask: s + torch.zeros(mask.shape).masked_fill(~mask, LOWEST),
    "filled": lambda s, mask: s.masked_fill(~mask, LOWEST),
    "where": lambda s, mask: torch.where(mask, s, LOWEST),
    "where full": lambda s, mask: torch.where(mask, s, torch.full_like(s, LOWEST)),
}


class Attention(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.qkv, self.out, self.way = nn.Linear(D, 3 * D), nn.Linear(D, D), way

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (part.view(1, N, HEADS, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        self.weights = self.way(q @ k.mT / (D // HEADS) ** 0.5, mask).softmax(-1)
        return self.out((self.weights @ v).transpose(1, 2).reshape(1, N, D))


def masks() -> dict[str, Tensor]:
    causal = torch.ones(N, N).tril().bool()
    left_padded, one_row = causal.clone(), causal.clone()
    left_padded[:, :2], one_row[3] = False, False
    return {"left padding": left_padded, "one row": one_row}


@pytest.mark.parametrize("name", masks())
@pytest.mark.parametrize("way", WAYS)
def test_a_row_without_a_key_has_the_weights_that_the_module_used(way: str, name: str):
    torch.manual_seed(3)
    module = Attention(WAYS[way]).eval()
    trace = instrument(module).trace(torch.randn(1, N, D), masks()[name])
    (site,) = trace.sites
    for head in range(HEADS):
        found = trace.record(site).weights(head, dtype=torch.float64)
        bounds.close(found, module.weights[0, head], D // HEADS, size=1.0)
        bounds.close(found.sum(-1), torch.ones(N, dtype=torch.float64), N, size=1.0)
    assert trace.fidelity().holds


def test_a_padded_decoder_of_the_library():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=64, eos_token_id=0,
                                     bos_token_id=0, attn_implementation="eager")  # fmt: skip
    model, ids, mask = (
        transformers.GPT2LMHeadModel(config).eval(),
        torch.arange(4, 14)[None],
        torch.ones(1, 10, dtype=int),
    )
    mask[0, :3] = 0
    trace = instrument(model, forward=lambda i, a: model(i, attention_mask=a, use_cache=False)).trace(ids, mask)
    real = model(ids, attention_mask=mask, output_attentions=True).attentions
    for site, weights in zip(trace.sites, real, strict=True):
        for head in range(4):
            bounds.close(trace.weights(site, head), weights[0, head].detach(), 64, size=1.0)


def test_attention_without_an_output_projection_is_recorded_and_saved(tmp_path):
    module = instrument(nn.Identity(), forward=lambda q: functional.scaled_dot_product_attention(q, q, q))
    trace = module.trace(torch.randn(1, 2, 5, 8))
    assert (
        set(trace.fidelity().compared.values()) == {"context"} and trace.fidelity().holds
    )  # without W_O, what it would read
    assert trace.save(tmp_path / "run.safetensors").is_file()


@pytest.mark.parametrize("hidden", ["every key", "one head", "one row"])
def test_weights_that_are_nan_in_the_module_are_nan_in_the_record(hidden: str):
    """PyTorch's own attention gives NaN for rows without a key where it is asked for its weights."""

    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

        def forward(self, x, **options):
            self.given = self.attention(x, x, x, average_attn_weights=False, need_weights=True, **options)
            return self.given[0]

    masks = {
        "every key": {"key_padding_mask": torch.ones(1, 6, dtype=torch.bool)},
        "one head": {"attn_mask": torch.stack([torch.full((6, 6), h == 2) for h in range(4)])},
        "one row": {"attn_mask": (torch.arange(6) == 2)[:, None].expand(6, 6).clone()},
    }
    torch.manual_seed(0)
    module = One().eval()
    trace = instrument(module).trace(torch.randn(1, 6, 16), **masks[hidden])
    wanted = module.given[1][0]
    mine = torch.stack([trace.weights("encoder.0.self", head) for head in range(4)])
    assert bool(wanted.isnan().any()) and torch.equal(mine.isnan(), wanted.isnan())
    torch.testing.assert_close(mine, wanted, atol=bounds.WEIGHT, rtol=0, equal_nan=True)
    # One row of NaN is as it should be, and the others check; where every number is NaN nothing was checked.
    assert trace.fidelity().holds == (hidden == "one row")
