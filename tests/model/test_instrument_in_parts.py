"""Attention that a module computes in parts (head by head, run by run, block by block of keys) is one attention."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import errors, instrument
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


def heads_and_runs_into_a_buffer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = torch.empty_like(q)
    for h in range(H):
        for rows in blocks(N, 3):
            out[:, h, rows] = attend(q[:, h, rows], k[:, h], v[:, h])
    return out


def every_query_of_every_head_alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = torch.zeros(1, H, N, D_K)
    for h in range(H):
        for i in range(N):
            out[0, h, i] = (q[0, h, i] @ k[0, h].T / math.sqrt(D_K)).softmax(-1) @ v[0, h]
    return out


def every_other_row_into_a_buffer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = torch.empty_like(q)
    for first in (1, 0):
        out[:, :, first::2] = attend(q[:, :, first::2], k, v)
    return out


def heads_in_another_order_into_a_buffer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = torch.empty_like(q)
    for h in (2, 0, 3, 1):
        out[:, h] = attend(q[:, h], k[:, h], v[:, h])
    return out


def an_empty_chunk_at_the_end(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.cat([attend(q[:, :, rows], k, v) for rows in (slice(0, 4), slice(4, N), slice(N, N + 3))], 2)


def tiles_of_queries_and_keys(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = torch.zeros_like(q)
    for rows in blocks(N, 4):
        made, total = torch.zeros_like(q[:, :, rows]), torch.full((*q[:, :, rows].shape[:-1], 1), -torch.inf)
        for keys in blocks(N, 3):
            s = q[:, :, rows] @ k[:, :, keys].mT / math.sqrt(D_K)
            own = s.logsumexp(-1, keepdim=True)
            new = torch.logaddexp(total, own)
            made = made * (total - new).exp() + s.softmax(-1) @ v[:, :, keys] * (own - new).exp()
            total = new
        out[:, :, rows] = made
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
    (heads_and_runs_into_a_buffer, no_bias),
    (every_query_of_every_head_alone, no_bias),
    (every_other_row_into_a_buffer, no_bias),
    (heads_in_another_order_into_a_buffer, no_bias),
    (an_empty_chunk_at_the_end, no_bias),
    (tiles_of_queries_and_keys, no_bias),
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

    with pytest.raises(Exception, match=r"layers\.0 values are mixed by weights that are no softmax"):
        instrument(Layers(running).eval(), WORDS).trace(IDS)


@pytest.mark.parametrize("together", [torch.stack, lambda parts: torch.cat(parts, 1)], ids=["stack", "cat"])
def test_contexts_of_layers_that_are_kept_for_a_probe_stay_layers(together: Callable):
    class Probed(Layers):
        def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
            x, kept = self.emb(ids), []
            for layer in self.layers:
                q, k, v = (layer.heads(part(x)) for part in (layer.q, layer.k, layer.v))
                kept.append(attend(q, k, v))
                x = x + layer.o(kept[-1].transpose(1, 2).reshape(1, N, D))
            return x, together(kept)

    trace = instrument(Probed(attend).eval(), WORDS).trace(IDS)
    assert [(trace.record(site).heads, trace.record(site).queries) for site in trace.sites] == [(H, N)] * 2
    assert trace.fidelity().holds


def test_heads_that_read_other_keys_have_their_own_words():
    class TwoMemories(Attention):
        def forward(self, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
            parts = [attend(self.heads(self.q(x)), self.heads(self.k(y)), self.heads(self.v(y))) for y in (a, b)]
            return self.o(sum(torch.cat(parts, 1).chunk(2, 1)).transpose(1, 2).reshape(1, N, D))

    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.attention = nn.Embedding(len(WORDS), D), TwoMemories()

        def forward(self, *ids: Tensor) -> Tensor:
            return self.attention(*map(self.emb, ids))

    others = torch.tensor([[1, 8, 6, 10]]), torch.tensor([[0, 4, 2, 9]])
    trace = instrument(Reads().eval(), WORDS).trace(IDS, *others)
    read = [tuple(trace.tokens(site.key_side)) for site in trace.sites]
    assert read == [tuple(f"w{n}" for n in ids[0].tolist()) for ids in others]
    assert [trace.record(site).heads for site in trace.sites] == [H, H] and trace.fidelity().holds


def test_two_softmaxes_whose_keys_are_apart_are_averaged_and_no_one_softmax():
    """One of them may be all that is left of the other's merged context."""

    def averaged(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        near, far = (
            attend(q, k[:, :, keys], v[:, :, keys], bias) for keys, bias in zip(blocks(N, 4), (0.0, -40.0), strict=True)
        )
        return near / 2 + far / 2

    trace = instrument(Layers(averaged).eval(), WORDS).trace(IDS)
    assert len(trace.sites) == 4 and {trace.record(site).keys for site in trace.sites} == {4, 3}


def test_blocks_of_a_text_that_repeats_read_their_own_block():
    """Without positions the queries of both blocks are the same numbers, and are other rows all the same."""

    def own_block(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.cat([attend(q[:, :, at], k[:, :, at], v[:, :, at]) for at in (slice(0, 3), slice(3, 6))], 2)

    class Six(Attention):
        def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return self.o(own_block(q, k, v).transpose(1, 2).reshape(1, 6, D))

    module = nn.Sequential(nn.Embedding(len(WORDS), D), Six()).eval()
    trace = instrument(module, WORDS).trace(torch.tensor([[3, 1, 2, 3, 1, 2]]))
    (site,) = trace.sites
    apart = torch.arange(6)[:, None] // 3 != torch.arange(6) // 3
    assert trace.weights(site, 0).shape == (6, 6) and bool((trace.weights(site, 0)[apart] == 0).all())


def key_by_key(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The online softmax (Milakov and Gimelshein 2018): exp(s − m) of one key alone is 1."""
    m, total, out = torch.full((1, H, N, 1), -torch.inf), torch.zeros(1, H, N, 1), torch.zeros_like(q)
    for j in range(N):
        s = q @ k[:, :, j : j + 1].mT / math.sqrt(D_K)
        new = torch.maximum(m, s)
        p, old = (s - new).exp(), (m - new).exp()
        total, out, m = total * old + p, out * old + p @ v[:, :, j : j + 1], new
    return out / total


def test_an_online_softmax_key_by_key_is_named_alone_and_beside_others():
    with pytest.raises(errors.NoSoftmax, match=r"layers\.0"):
        instrument(Layers(key_by_key).eval(), WORDS).trace(IDS)
    module = Layers(attend).eval()
    module.layers[1].mix = key_by_key
    trace = instrument(module, WORDS).trace(IDS)
    assert len(trace.sites) == 1 and trace.facts["missing"] == ["layers.1"]


def test_chunks_that_are_looked_up_one_by_one_are_read_by_their_words():
    class Prefill(Layers):
        def forward(self, ids: Tensor) -> Tensor:
            layer, keys, values, out = self.layers[0], [], [], []
            for part in ids.split(3, 1):
                x = self.emb(part)
                keys.append(layer.heads(layer.k(x)))
                values.append(layer.heads(layer.v(x)))
                out.append(attend(layer.heads(layer.q(x)), torch.cat(keys, 2), torch.cat(values, 2)))
            return layer.o(torch.cat(out, 2).transpose(1, 2).reshape(1, N, D))

    trace = instrument(Prefill(attend).eval(), WORDS).trace(IDS)
    (site,) = trace.sites
    assert tuple(trace.tokens(site.query_side)) == tuple(trace.tokens(site.key_side)) == TEXT


def test_sharp_scores_that_are_merged_by_their_sums_hold():
    """e^(lse_b − lse) is off by u · |lse|, which grows with the scores."""

    def sharp(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return blocks_one_after_the_other(12 * q, k, v)

    for seed in range(3):
        torch.manual_seed(seed)
        trace = instrument(Layers(sharp).eval(), WORDS).trace(IDS)
        assert len(trace.sites) == 2 and trace.fidelity().holds


@pytest.mark.parametrize("mix", [runs_into_a_buffer, heads_into_a_buffer, lambda q, k, v: torch.cat(
    [attend(q[:, :, rows], k, v) for rows in blocks(N, 3)], 2)], ids=["runs", "heads", "cat"])  # fmt: skip
def test_parts_of_rows_that_are_not_known_are_one_attention_too(mix: Part):
    """After positions were mixed nobody knows which row is which; how many there were is known."""

    class Mixed(Layers):
        def __init__(self):
            super().__init__(mix)
            self.over = nn.Linear(N, N)

        def forward(self, ids: Tensor) -> Tensor:
            return self.layers[0](self.over(self.emb(ids).mT).mT)

    torch.manual_seed(0)
    trace = instrument(Mixed().eval(), WORDS).trace(IDS)
    assert [(trace.record(site).heads, trace.record(site).queries) for site in trace.sites] == [(H, N)]
    assert trace.fidelity().holds
