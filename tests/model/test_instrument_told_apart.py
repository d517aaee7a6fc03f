"""Where sizes coincide or inputs come as views: heads, positions and words are told by what was computed, or refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from model import errors, instrument
from model.trace.trace import Trace
from tests.model.test_instrument_sequences import WORDS, Attention, D, H, held

D_K = D // H


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class OneKey(nn.Module):
    """Multi-query attention; `order` is that of the axes of its scores, or "folded" where they have one for both."""

    def __init__(self, order: str):
        super().__init__()
        self.q, self.k, self.v, self.o = nn.Linear(D, D), nn.Linear(D, D_K), nn.Linear(D, D_K), nn.Linear(D, D)
        self.order, self.weights = order, None

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[1]
        q, k, v = self.q(x).view(1, n, H, D_K), self.k(x), self.v(x)
        if self.order == "folded":
            w = (q.reshape(1, n * H, D_K) @ k.mT / math.sqrt(D_K)).softmax(-1)
            self.weights = w.view(n, H, n).transpose(0, 1)
            return self.o((w @ v).view(1, n, D))
        w = (torch.einsum(f"bqhd,bkd->{self.order}", q, k) / math.sqrt(D_K)).softmax(-1)
        self.weights = (w if self.order == "bhqk" else w.transpose(1, 2))[0]
        return self.o(torch.einsum(f"{self.order},bkd->bqhd", w, v).reshape(1, n, D))


@pytest.mark.parametrize("n", [H - 1, H, H + 1, 2 * H])
@pytest.mark.parametrize("order", ["bhqk", "bqhk", "folded"])
def test_as_many_heads_as_queries(order: str, n: int):
    module = OneKey(order).eval()
    trace = instrument(module).trace(torch.randn(1, n, D))
    (site,) = trace.sites
    got = torch.stack([trace.weights(site, head) for head in range(trace.record(site).heads)])
    assert torch.allclose(got, module.weights.detach(), atol=1e-6) and len(trace.tokens(site.query_side)) == n


VIEWS = {
    "transposed": (lambda x: x.transpose(1, 2), (1, D, 8)), "half": (lambda x: x[:, :4], (1, 8, D)),
    "every other": (lambda x: x[:, ::2], (1, 8, D)), "chunk": (lambda x: x.chunk(2, 1)[1], (1, 8, D)),
    "folded": (lambda x: x.reshape(1, 4, D), (1, 8, D // 2)),
}  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
def test_an_input_through_a_view_is_no_window(view: str):
    change, shape = VIEWS[view]
    module = nn.ModuleList([Attention(), Attention()]).eval()
    trace = instrument(module, forward=lambda x: module[1](module[0](change(x)))).trace(torch.randn(shape))
    assert [str(site) for site in trace.sites] == ["encoder.0.self", "encoder.1.self"]
    held(trace, module)


class Halo(nn.Module):
    """Windows of four whose keys are those of the window before too, where heads would be."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, D) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            f(x).reshape(2, 4, H, D_K).permute(2, 0, 1, 3).reshape(1, 8, 4, D_K) for f in (self.q, self.k, self.v)
        )
        k, v = (torch.cat([t, t.roll(1, 1)], 2) for t in (k, v))
        return (q @ k.mT / 2).softmax(-1) @ v


class OverHeads(Halo):
    """Heads attend to heads."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).view(1, -1, H, D_K) for f in (self.q, self.k, self.v))
        return (q @ k.mT / 2).softmax(-1) @ v


@pytest.mark.parametrize(
    ("module", "n", "kind"),
    [(Halo, 8, errors.GroupsOnBatch), (OverHeads, 3, errors.AttentionLost), (OverHeads, H, errors.AttentionLost),
     (OverHeads, 6, errors.AttentionLost)],
)  # fmt: skip
def test_positions_that_are_no_queries_are_refused(module: type[nn.Module], n: int, kind: type[errors.HeadlightError]):
    with pytest.raises(kind):
        instrument(module().eval()).trace(torch.randn(1, n, D))


@pytest.mark.parametrize("m", [2, 4, 5])
def test_cross_attention_with_a_key_of_its_own_has_the_encoders_words(m: int):
    table, module = nn.Embedding(30, D), nn.MultiheadAttention(D, H, batch_first=True, add_bias_kv=True).eval()
    words = [f"w{i}" for i in range(30)]

    def forward(read: Tensor, written: Tensor) -> Tensor:
        y, x = table(read), table(written)
        return module(x, y, y, need_weights=False)[0]

    trace = instrument(module, words, forward=forward).trace(
        torch.tensor([[5, 6, 7, 8]]), torch.arange(20, 20 + m)[None]
    )
    (site,) = trace.sites
    assert str(site) == "decoder.0.cross" and trace.tokens(site.query_side) == words[20 : 20 + m]
    assert trace.tokens(site.key_side) == ["w5", "w6", "w7", "w8", "bias_k"]


class Shared(nn.Module):
    """One encoder for two texts, and a decoder that reads both."""

    def __init__(self):
        super().__init__()
        self.table, self.encoder = nn.Embedding(20, D), nn.ModuleList([Attention()])
        self.own, self.one, self.two = Attention(causal=True), Attention(), Attention()

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        a, b = (self.encoder[0](self.table(ids)) for ids in (a, b))
        x = self.own(self.table(c))
        return self.two(self.one(x, a), b)


@pytest.mark.parametrize("m", [3, 4])
def test_each_cross_attention_reads_the_text_that_it_read(m: int):
    module = Shared().eval()
    trace = instrument(module, WORDS).trace(
        torch.arange(3)[None], torch.arange(5, 5 + m)[None], torch.tensor([[15, 16]])
    )
    read = {
        trace.facts["modules"][str(site)]: trace.tokens(site.key_side) for site in trace.sites if site.kind == "cross"
    }
    assert read == {"one": WORDS[:3], "two": WORDS[5 : 5 + m]}


class CoAttention(nn.Module):
    """Two towers whose layers read each other; pictures have no words."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, D)
        self.t_layers, self.v_layers = (nn.ModuleList(Attention() for _ in range(2)) for _ in range(2))
        self.t_reads, self.v_reads = (nn.ModuleList(Attention() for _ in range(2)) for _ in range(2))

    def forward(self, ids: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        t = self.table(ids)
        for own_t, own_v, t_reads, v_reads in zip(
            self.t_layers, self.v_layers, self.t_reads, self.v_reads, strict=True
        ):
            t, v = t + own_t(t), v + own_v(v)
            t, v = t + t_reads(t, v), v + v_reads(v, t)
        return t, v


@pytest.mark.parametrize("m", [3, 5])
def test_towers_that_read_each_other_keep_their_words(m: int):
    module = CoAttention().eval()
    trace = instrument(module, WORDS).trace(torch.tensor([[5, 6, 7]]), torch.randn(1, m, D))
    words, places = ["w5", "w6", "w7"], [str(i) for i in range(m)]
    rows = {path: trace.tokens(trace.record(site).site.query_side) for site, path in trace.facts["modules"].items()}
    columns = {path: trace.tokens(trace.record(site).site.key_side) for site, path in trace.facts["modules"].items()}
    for layer in range(2):
        assert rows[f"t_layers.{layer}"] == rows[f"t_reads.{layer}"] == columns[f"v_reads.{layer}"] == words
        assert rows[f"v_layers.{layer}"] == rows[f"v_reads.{layer}"] == columns[f"t_reads.{layer}"] == places
    held(trace, module)


def test_latents_as_many_as_words_have_no_words():
    table, latents = nn.Embedding(20, D), nn.Parameter(torch.randn(1, 3, D))
    module = nn.ModuleDict({"cross": Attention(), "blocks": nn.ModuleList([Attention()])}).eval()
    trace = instrument(
        module, WORDS, forward=lambda ids: module["blocks"][0](module["cross"](latents, table(ids)))
    ).trace(torch.tensor([[5, 6, 7]]))
    cross, own = trace.sites
    assert trace.tokens(cross.key_side) == ["w5", "w6", "w7"]
    assert trace.tokens(cross.query_side) == trace.tokens(own.query_side) == ["0", "1", "2"]


@pytest.mark.parametrize("tokenizer", [WORDS, lambda ids: [f"w{i}" for i in ids]])
def test_words_are_of_the_ids_that_were_looked_up(tokenizer: object):
    module, table = nn.ModuleList([Attention()]).eval(), nn.Embedding(20, D)

    def forward(attention_mask: Tensor, kinds: Tensor, input_ids: Tensor) -> Tensor:
        return module[0](
            table(input_ids) + nn.functional.embedding(kinds, torch.ones(2, D)) * attention_mask[..., None]
        )

    ones = torch.ones(1, 4, dtype=torch.long)
    trace = instrument(module, tokenizer, forward=forward).trace(ones, ones * 0, torch.tensor([[3, 9, 4, 9]]))
    assert trace.tokens("encoder") == ["w3", "w9", "w4", "w9"]
    shifted = instrument(module, tokenizer, forward=lambda ids: module[0](table(ids.roll(1, 1))))
    assert shifted.trace(torch.tensor([[3, 9, 4, 7]])).tokens("encoder") == ["w7", "w3", "w9", "w4"]


class InPlace(Attention):
    """A cache that is written to in place."""

    def __init__(self):
        super().__init__(causal=True)
        self.register_buffer("k_cache", torch.zeros(1, H, 9, D_K))
        self.register_buffer("v_cache", torch.zeros(1, H, 9, D_K))
        self.at = 0

    def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        start, self.at = self.at, self.at + k.shape[2]
        for cache, new in ((self.k_cache, k), (self.v_cache, v)):
            cache[:, :, start : self.at] = new
        return self.k_cache[:, :, : self.at], self.v_cache[:, :, : self.at]


def test_a_cache_that_is_written_in_place_is_no_other_sequence():
    table, module = nn.Embedding(20, D), nn.ModuleList([InPlace()]).eval()

    def write(ids: Tensor) -> None:
        for part in (ids, ids[:, :1], ids[:, 1:2]):
            module[0](table(part))

    trace = instrument(module, WORDS, forward=write).trace(torch.tensor([[5, 6, 7]]))
    assert [str(site) for site in trace.sites] == [f"decoder_step_{step}.0.self" for step in (1, 2, 3)]
    assert trace.tokens("decoder_step_2") == ["w5"] and len(trace.tokens(trace.sites[2].key_side)) == 5


def test_a_run_without_w_o_is_saved_and_opened(tmp_path: Path):
    module = Halo().eval()
    q, k, v = (f for f in (module.q, module.k, module.v))

    def forward(x: Tensor) -> Tensor:
        heads = (f(x).view(1, -1, H, D_K).transpose(1, 2) for f in (q, k, v))
        return nn.functional.scaled_dot_product_attention(*heads)

    trace = instrument(module, forward=forward).trace(torch.randn(1, 4, D))
    assert trace.fidelity().compared == {"encoder.0.self": "context"}
    again = Trace.open(trace.save(tmp_path / "run.safetensors"))
    assert torch.equal(again.weights("encoder.0.self", 1), trace.weights("encoder.0.self", 1))
    assert again.fidelity().holds


def test_one_key_for_many_queries():
    module = Attention().eval()
    x, y = torch.randn(1, 4, D), torch.randn(1, 1, D)

    def forward(x: Tensor, y: Tensor) -> Tensor:
        q, k, v = (f(t).view(1, -1, H, D_K) for f, t in ((module.q, x), (module.k, y), (module.v, y)))
        w = torch.einsum("bqhd,bkhd->bhqk", q, k).softmax(-1)
        return module.o(torch.einsum("bhqk,bkhd->bqhd", w, v).reshape(1, 4, D))

    trace = instrument(module, forward=forward).trace(x, y)
    (site,) = trace.sites
    assert (trace.record(site).queries, trace.record(site).keys) == (4, 1) and trace.fidelity().holds
    assert torch.equal(trace.weights(site, 2), torch.ones(4, 1))
