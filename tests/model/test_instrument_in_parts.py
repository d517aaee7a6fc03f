"""Attention that a module computes in parts (head by head, run by run, block by block of keys) is one attention."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import instrument
from tests import bounds
from tests.model.test_instrument_sequences import Attention, D, H

N, D_K = 7, D // H
WORDS = [f"w{number}" for number in range(12)]
IDS = torch.tensor([[7, 3, 11, 2, 5, 9, 4]])
TEXT = tuple(f"w{number}" for number in IDS[0].tolist())
APART = (torch.arange(N)[:, None] - torch.arange(N)).abs()
SLOPES = 2.0 ** -(torch.arange(H) + 1.0)
EVERY = torch.ones(N, N, dtype=torch.bool)
Part = Callable[[Tensor, Tensor, Tensor], Tensor]


def blocks(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    return (q @ k.mT / math.sqrt(D_K) + bias).softmax(-1) @ v


def heads_into_a_buffer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = torch.empty_like(q)
    for h in range(H):
        out[:, h] = attend(q[:, h], k[:, h], v[:, h])
    return out


def runs_into_a_buffer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = torch.zeros(1, N, H, D_K)
    for rows in blocks(N, 3):
        out[:, rows] = F.scaled_dot_product_attention(q[:, :, rows], k, v).transpose(1, 2)
    return out.transpose(1, 2)


def heads_with_masks_of_their_own(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    masks = [torch.where(h + 1 < APART, -torch.inf, 0.0) for h in range(H)]
    return torch.stack([attend(q[:, h], k[:, h], v[:, h], masks[h]) for h in range(H)], 1)


def one_query_at_a_time_with_alibi(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = []
    for i in range(N):
        bias = (torch.arange(i + 1) - i) * SLOPES[:, None, None]
        out.append(attend(q[:, :, i : i + 1], k[:, :, : i + 1], v[:, :, : i + 1], bias))
    return torch.cat(out, 2)


def windows_that_overlap(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = []
    for rows in blocks(N, 2):
        near = slice(max(0, rows.start - 2), rows.stop)
        out.append(attend(q[:, :, rows], k[:, :, near], v[:, :, near]))
    return torch.cat(out, 2)


def blocks_by_their_sums(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    parts, sums = [], []
    for keys in blocks(N, 3):
        s = q @ k[:, :, keys].mT / math.sqrt(D_K)
        parts.append(s.softmax(-1) @ v[:, :, keys])
        sums.append(s.logsumexp(-1, keepdim=True))
    total = torch.stack(sums).logsumexp(0)
    return sum(part * (own - total).exp() for part, own in zip(parts, sums, strict=True))


def blocks_by_a_softmax_of_their_sums(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = [q @ k[:, :, keys].mT / math.sqrt(D_K) for keys in blocks(N, 4)]
    parts = [s.softmax(-1) @ v[:, :, keys] for s, keys in zip(scores, blocks(N, 4), strict=True)]
    return (torch.stack(parts) * torch.stack([s.logsumexp(-1, keepdim=True) for s in scores]).softmax(0)).sum(0)


def blocks_one_after_the_other(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = total = None
    for keys in blocks(N, 3):
        s = q @ k[:, :, keys].mT / math.sqrt(D_K)
        own, part = s.logsumexp(-1, keepdim=True), s.softmax(-1) @ v[:, :, keys]
        new = own if total is None else torch.logaddexp(total, own)
        out = part if out is None else out * (total - new).exp() + part * (own - new).exp()
        total = new
    return out


def no_bias(h: int) -> Tensor:
    return torch.zeros(N, N)


def own_window(h: int) -> Tensor:
    return torch.where(h + 1 < APART, -torch.inf, 0.0)


def alibi(h: int) -> Tensor:
    return -APART.double() * SLOPES[h].double() + torch.where(EVERY.tril(), 0.0, -torch.inf)


def two_runs_back(h: int) -> Tensor:
    i, j = torch.arange(N)[:, None] // 2, torch.arange(N) // 2
    return torch.where((j <= i) & (j >= i - 1), 0.0, -torch.inf)


FORMS: list[tuple[Part, Callable[[int], Tensor]]] = [
    (heads_into_a_buffer, no_bias),
    (runs_into_a_buffer, no_bias),
    (heads_with_masks_of_their_own, own_window),
    (one_query_at_a_time_with_alibi, alibi),
    (windows_that_overlap, two_runs_back),
    (blocks_by_their_sums, no_bias),
    (blocks_by_a_softmax_of_their_sums, no_bias),
    (blocks_one_after_the_other, no_bias),
]


class InParts(Attention):
    """Multi-head attention by `mix`; its queries and keys are kept."""

    def __init__(self, mix: Part):
        super().__init__()
        self.mix, self.kept = mix, ()

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.kept = q, k
        return self.o(self.mix(q, k, v).transpose(1, 2).reshape(1, N, D))


class Layers(nn.Module):
    def __init__(self, mix: Part):
        super().__init__()
        self.emb, self.layers = nn.Embedding(len(WORDS), D), nn.ModuleList([InParts(mix), InParts(mix)])

    def forward(self, ids: Tensor) -> Tensor:
        x = self.emb(ids)
        for layer in self.layers:
            x = x + layer(x)
        return x


@pytest.mark.parametrize(("mix", "bias"), FORMS, ids=lambda each: each.__name__)
def test_parts_are_one_attention_of_each_layer(mix: Part, bias: Callable[[int], Tensor]):
    torch.manual_seed(0)
    module = Layers(mix).eval()
    trace = instrument(module, WORDS).trace(IDS)
    assert [trace.facts["modules"][str(site)] for site in trace.sites] == ["layers.0", "layers.1"]
    for site in trace.sites:
        assert tuple(trace.tokens(site.query_side)) == tuple(trace.tokens(site.key_side)) == TEXT
        q, k = (part[0].double() for part in module.layers[site.layer].kept)
        for h in range(H):
            wanted = (q[h] @ k[h].mT / math.sqrt(D_K) + bias(h)).softmax(-1)
            mine = trace.record(site).weights(h, dtype=torch.float64)
            torch.testing.assert_close(mine, wanted.double(), atol=bounds.WEIGHT, rtol=0)
    fidelity = trace.fidelity()
    assert fidelity.holds and set(fidelity.compared.values()) == {"output"}


def test_two_attentions_over_halves_of_the_keys_that_are_not_merged_by_their_sums_stay_two():
    def added(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return sum(attend(q, k[:, :, keys], v[:, :, keys]) for keys in blocks(N, 4))

    trace = instrument(Layers(added).eval(), WORDS).trace(IDS)
    assert [trace.facts["modules"][str(site)] for site in trace.sites].count("layers.0") == 2
    assert {tuple(trace.tokens(site.key_side)) for site in trace.sites} == {TEXT[:4], TEXT[4:]}
    assert trace.fidelity().holds


def test_a_buffer_that_is_filled_with_something_else_too_has_no_one_attention():
    def half(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty_like(q)
        out[:, :2] = attend(q[:, :2], k[:, :2], v[:, :2])
        out[:, 2:] = v[:, 2:]
        return out

    trace = instrument(Layers(half).eval(), WORDS).trace(IDS)
    assert [trace.record(site).heads for site in trace.sites] == [2, 2]


def test_linear_attention_by_running_sums_is_named():
    def running(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = F.elu(q) + 1, F.elu(k) + 1
        sums = (k[..., :, None] * v[..., None, :]).cumsum(2)
        return torch.einsum("bhnd,bhnde->bhne", q, sums) / (q * k.cumsum(2)).sum(-1, keepdim=True)

    with pytest.raises(Exception, match=r"layers\.0 values are mixed by two products without a softmax"):
        instrument(Layers(running).eval(), WORDS).trace(IDS)
