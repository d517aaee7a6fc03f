"""Attention over more than one sequence, or over sequences of several lengths: each row and column under its own name."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import instrument
from model.trace.trace import Trace

D, H, N = 16, 4, 6
WORDS = [f"w{i}" for i in range(20)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class Attention(nn.Module):
    """Multi-head attention that keeps its weights; `extra` gives keys and values beside those of the sequence."""

    def __init__(self, causal: bool = False):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(D, D) for _ in range(4))
        self.causal, self.weights = causal, []

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        y = x if y is None else y
        q, k, v = (self.heads(f(t)) for f, t in ((self.q, x), (self.k, y), (self.v, y)))
        return self.mixed(q, *self.with_extra(k, v))

    def heads(self, t: Tensor) -> Tensor:
        return t.view(1, t.shape[1], H, -1).transpose(1, 2)

    def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return k, v

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q @ k.transpose(-1, -2) / math.sqrt(D // H)
        n, m = scores.shape[-2:]
        if self.causal:
            scores = scores.masked_fill(torch.ones(n, m).triu(1 + m - n).bool(), -math.inf)
        self.weights.append(scores.softmax(-1)[0].detach())
        return self.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(1, n, D))


class Memory(Attention):
    """Learned keys and values before those of the sequence."""

    def __init__(self, causal: bool = False):
        super().__init__(causal)
        self.mem = nn.Parameter(torch.randn(2, 1, H, 2, D // H))

    def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat([self.mem[0], k], 2), torch.cat([self.mem[1], v], 2)


class Prefix(Attention):
    """Learned vectors that are projected with the sequence."""

    def __init__(self, causal: bool = False):
        super().__init__(causal)
        self.prompt = nn.Parameter(torch.randn(1, 3, D))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(x, torch.cat([self.prompt, x], 1))


class MadePrefix(Attention):
    """Prefix-tuning (Li and Liang 2021): keys and values that a network makes of learned vectors, of a table or not."""

    table = False

    def __init__(self, causal: bool = False):
        super().__init__(causal)
        self.prefix = nn.Embedding(2, D) if self.table else nn.Parameter(torch.randn(2, D))
        self.made = nn.Sequential(nn.Linear(D, 5), nn.Tanh(), nn.Linear(5, 2 * D), nn.LayerNorm(2 * D))

    def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        read = self.prefix(torch.arange(2)) if self.table else self.prefix
        own_k, own_v = (self.heads(part) for part in self.made(read)[None].chunk(2, -1))
        return torch.cat([own_k, k], 2), torch.cat([own_v, v], 2)


class MadePrefixOfATable(MadePrefix):
    table = True


class MadeMemory(MadePrefix):
    """The same vectors, projected with the sequence."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return Attention.forward(self, x, torch.cat([self.made(self.prefix)[None, :, :D], x], 1))

    def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return k, v


class After(Attention):
    """A learned vector and zeros after the sequence, turned as positions are."""

    def __init__(self, causal: bool = False):
        super().__init__(causal)
        self.sink = nn.Parameter(torch.randn(1, 1, D))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        k, v = (torch.cat([f(x), self.sink, x.new_zeros(1, 2, D)], 1) for f in (self.k, self.v))
        turned = torch.cat([k[..., D // 2 :], k[..., : D // 2]], -1) * 0.5 + k
        return self.mixed(*(self.heads(t) for t in (self.q(x), turned, v)))


class Transformer(nn.Module):
    """Ids in, logits out, over `attention` of some kind."""

    def __init__(self, attention: type[Attention], layers: int = 2):
        super().__init__()
        self.table, self.places, self.head = nn.Embedding(20, D), nn.Embedding(9, D), nn.Linear(D, 20)
        self.layers = nn.ModuleList(attention(causal=True) for _ in range(layers))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids) + self.places(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x)


def held(trace: Trace, module: nn.Module, run: dict[str, int] | None = None) -> None:
    """Every site has the weights that its module kept, of its call number `run`; the check holds; so it is when opened again."""
    for site in trace.sites:
        kept = module.get_submodule(trace.facts["modules"][str(site)]).weights[(run or {}).get(str(site), 0)]
        got = torch.stack([trace.weights(site, head) for head in range(H)])
        assert torch.allclose(got, kept, atol=1e-6), site
        assert (len(trace.tokens(site.query_side)), len(trace.tokens(site.key_side))) == kept.shape[1:]
    assert trace.fidelity().holds and trace.fidelity().sites.keys() == {str(site) for site in trace.sites}


def opened(trace: Trace, tmp_path: Path) -> Trace:
    again = Trace.open(trace.save(tmp_path / "run.safetensors"))
    assert {str(s): (s.query_side, s.key_side) for s in again.sites} == {
        str(s): (s.query_side, s.key_side) for s in trace.sites
    }
    assert {name: side.tokens for name, side in again.sides.items()} == {
        name: side.tokens for name, side in trace.sides.items()
    }
    return again


@pytest.mark.parametrize(
    ("attention", "extra", "before"),
    [(Memory, ["mem[0]", "mem[1]"], True), (Prefix, ["prompt[0]", "prompt[1]", "prompt[2]"], True),
     (MadePrefix, ["prefix[0]", "prefix[1]"], True), (MadePrefixOfATable, ["prefix[0]", "prefix[1]"], True),
     (MadeMemory, ["prefix[0]", "prefix[1]"], True), (After, ["sink", "zero[0]", "zero[1]"], False)],
)  # fmt: skip
def test_keys_beside_the_sequence_are_named(attention: type[Attention], extra: list[str], before: bool, tmp_path: Path):
    module = Transformer(attention).eval()
    if not before:
        for layer in module.layers:
            layer.causal = False
    trace = instrument(module, WORDS).trace(torch.tensor([[3, 4, 5, 6]]))
    stack = "decoder" if before else "encoder"
    assert [str(site) for site in trace.sites] == [f"{stack}.0.self", f"{stack}.1.self"]
    words = ["w3", "w4", "w5", "w6"]
    assert trace.tokens(trace.sites[0].query_side) == words
    assert trace.tokens(trace.sites[1].key_side) == ([*extra, *words] if before else [*words, *extra])
    side = trace.sides[trace.sites[0].key_side]
    assert [text for text, marked in zip(side.tokens, side.special, strict=True) if marked] == extra
    held(trace, module)
    again = opened(trace, tmp_path)
    assert again.tokens(again.sites[0].key_side) == list(side.tokens)
    # What needs a row and a column of one token has no number here.
    assert again.statistics()["previous"].isna().all() and again.statistics()["entropy"].notna().all()


class SharedPrefix(nn.Module):
    """One network makes the prefixes of all layers, which are projected from nothing that a layer reads."""

    def __init__(self):
        super().__init__()
        self.prefix_tokens, self.made = (
            nn.Embedding(3, D),
            nn.Sequential(nn.Linear(D, 5), nn.Tanh(), nn.Linear(5, 4 * D)),
        )
        self.table, self.head = nn.Embedding(20, D), nn.Linear(D, 20)
        self.layers = nn.ModuleList(GivenPrefix(causal=True) for _ in range(2))

    def forward(self, ids: Tensor) -> Tensor:
        given = self.made(self.prefix_tokens(torch.arange(3)[None]))
        given = given.view(1, 3, 4, H, D // H).permute(2, 0, 3, 1, 4).split(2)
        x = self.table(ids)
        for layer, layer.prefix in zip(self.layers, given, strict=True):
            x = x + layer(x)
        return self.head(x)


class GivenPrefix(Attention):
    prefix: Tensor

    def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat([self.prefix[0], k], 2), torch.cat([self.prefix[1], v], 2)


def test_prefixes_that_one_network_makes_for_all_layers():
    module = SharedPrefix().eval()
    trace = instrument(module, WORDS).trace(torch.tensor([[3, 4, 5, 6]]))
    assert [str(site) for site in trace.sites] == ["decoder.0.self", "decoder.1.self"]
    names = [*(f"prefix_tokens[{i}]" for i in range(3)), "w3", "w4", "w5", "w6"]
    assert [trace.tokens(site.key_side) for site in trace.sites] == [names, names]
    held(trace, module)


class Latents(Attention):
    """Learned queries that are among the keys too (the Perceiver resampler of Flamingo: Alayrac et al. 2022)."""

    def __init__(self):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, 3, D))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        q, own_k, own_v = (self.heads(f(self.latents)) for f in (self.q, self.k, self.v))
        k, v = (self.heads(f(x)) for f in (self.k, self.v))
        return self.mixed(q, torch.cat([k, own_k], 2), torch.cat([v, own_v], 2))


@pytest.mark.parametrize("n", [3, 4])
def test_learned_queries_among_the_keys_are_no_prefix(n: int):
    module = Latents().eval()
    trace = instrument(module).trace(torch.randn(1, n, D))
    (site,) = trace.sites
    assert trace.tokens(site.key_side) == [str(i) for i in range(n + 3)]
    kept = module.weights[0]
    assert torch.allclose(torch.stack([trace.weights(site, head) for head in range(H)]), kept, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"add_bias_kv": True}, {"add_zero_attn": True}, {"add_bias_kv": True, "add_zero_attn": True}]
)
@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead_attention_with_keys_of_its_own(options: dict[str, bool], need_weights: bool):
    module, x = nn.MultiheadAttention(D, H, batch_first=True, **options).eval(), torch.randn(1, N, D)
    trace = instrument(module, forward=lambda x: module(x, x, x, need_weights=need_weights)).trace(
        x, tokens={"encoder": list("abcdef")}
    )
    extra = ["bias_k"] * ("add_bias_kv" in options) + ["zero"] * ("add_zero_attn" in options)
    assert [str(site) for site in trace.sites] == ["encoder.0.self"]
    assert trace.tokens("encoder") == list("abcdef") and trace.tokens("encoder.keys") == [*"abcdef", *extra]
    with torch.no_grad():
        want = module(x, x, x, average_attn_weights=False)[1][0]
    assert torch.allclose(torch.stack([trace.weights("encoder.0.self", h) for h in range(H)]), want, atol=1e-6)
    assert trace.fidelity().holds


class Towers(nn.Module):
    """Two encoders of inputs of their own, and what reads both."""

    def __init__(self, ids: bool):
        super().__init__()
        self.text_encoder, self.image_encoder = (
            nn.ModuleDict({"layers": nn.ModuleList(Attention() for _ in range(2))}) for _ in range(2)
        )
        self.fusion, self.table = Attention(), nn.Embedding(20, D) if ids else nn.Identity()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = self.table(a), self.table(b)
        for one, other in zip(self.text_encoder["layers"], self.image_encoder["layers"], strict=True):
            a, b = a + one(a), b + other(b)
        return self.fusion(a, b)


@pytest.mark.parametrize("m", [N, 9])
@pytest.mark.parametrize("ids", [True, False])
def test_two_encoders_are_two_stacks(ids: bool, m: int, tmp_path: Path):
    module = Towers(ids).eval()
    inputs = (
        (torch.arange(N)[None], torch.arange(10, 10 + m)[None]) if ids else (torch.randn(1, N, D), torch.randn(1, m, D))
    )
    trace = instrument(module, WORDS if ids else None).trace(*inputs)
    assert {str(site) for site in trace.sites} == {
        "text_encoder.0.self", "text_encoder.1.self", "image_encoder.0.self", "image_encoder.1.self", "text_encoder.2.cross",
    }  # fmt: skip
    cross = next(site for site in trace.sites if site.kind == "cross")
    assert (cross.query_side, cross.key_side) == ("text_encoder", "image_encoder")
    if ids:
        assert trace.tokens("text_encoder") == WORDS[:N] and trace.tokens("image_encoder") == WORDS[10 : 10 + m]
    held(trace, module)
    opened(trace, tmp_path)


def test_layers_side_by_side_are_no_encoders_of_their_own():
    module = nn.ModuleDict({"local": Attention(), "wide": Attention()}).eval()
    trace = instrument(module, forward=lambda x: module["local"](x) + module["wide"](x)).trace(torch.randn(1, N, D))
    assert [str(site) for site in trace.sites] == ["encoder.0.self", "encoder.1.self"]


class Pyramid(nn.Module):
    """A stack that halves its sequence after each layer."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Attention() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.avg_pool1d((x + layer(x)).transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)
        return x


def test_a_stack_that_shortens_has_a_list_for_each_length(tmp_path: Path):
    module = Pyramid().eval()
    trace = instrument(module).trace(torch.randn(1, N, D), tokens={"encoder": list("abcdef")})
    assert [str(site) for site in trace.sites] == ["encoder.0.self", "encoder.1.self", "encoder.2.self"]
    assert {site.query_side: trace.tokens(site.query_side) for site in trace.sites} == {
        "encoder": list("abcdef"), "encoder.1": ["0", "1", "2"], "encoder.2": ["0", "1"],
    }  # fmt: skip
    held(trace, module)
    opened(trace, tmp_path)


class ShorterKeys(Attention):
    """Keys and values of a sequence that a convolution has shortened (PVT's spatial reduction)."""

    def __init__(self):
        super().__init__()
        self.shorter = nn.Conv1d(D, D, 2, 2)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(x, self.shorter(x.transpose(1, 2)).transpose(1, 2))


def test_shortened_keys_are_self_attention_with_numbers():
    module = nn.ModuleList([ShorterKeys()]).eval()
    trace = instrument(module, forward=lambda x: module[0](x)).trace(
        torch.randn(1, N, D), tokens={"encoder": list("abcdef")}
    )
    (site,) = trace.sites
    assert str(site) == "encoder.0.self" and trace.tokens(site.key_side) == ["0", "1", "2"]
    held(trace, module)


def test_the_steps_of_a_loop_are_steps(tmp_path: Path):
    module = Transformer(Attention).eval()

    def write(ids: Tensor) -> Tensor:
        for _ in range(3):
            ids = torch.cat([ids, module(ids)[:, -1:].argmax(-1)], 1)
        return ids

    ids = torch.tensor([[1, 2, 3, 4]])
    trace = instrument(module, WORDS, forward=write).trace(ids)
    steps = [f"decoder_step_{step}.{layer}.self" for step in (1, 2, 3) for layer in (0, 1)]
    assert [str(site) for site in trace.sites] == steps
    with torch.no_grad():
        text = [WORDS[i] for i in write(ids)[0].tolist()]
    assert [trace.tokens(f"decoder_step_{step}") for step in (1, 2, 3)] == [text[:4], text[:5], text[:6]]
    held(trace, module, {site: at // 2 for at, site in enumerate(steps)})
    opened(trace, tmp_path)


class Cached(Attention):
    """Keys and values of earlier steps stand before those of this one."""

    kept: tuple[Tensor, Tensor] | None = None

    def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if self.kept is not None:
            k, v = (torch.cat([old, new], 2) for old, new in zip(self.kept, (k, v), strict=True))
        self.kept = k, v
        return k, v


def test_the_steps_of_a_loop_with_a_cache_name_what_is_cached():
    module = Transformer(Cached).eval()

    def write(ids: Tensor) -> Tensor:
        new = ids
        for _ in range(3):
            new = module(new)[:, -1:].argmax(-1)
            ids = torch.cat([ids, new], 1)
        return ids

    trace = instrument(module, WORDS, forward=write).trace(torch.tensor([[1, 2, 3, 4]]))
    steps = [f"decoder_step_{step}.{layer}.self" for step in (1, 2, 3) for layer in (0, 1)]
    assert sorted(map(str, trace.sites)) == steps
    last = trace.record("decoder_step_3.1.self").site
    assert len(trace.tokens(last.query_side)) == 1
    assert trace.tokens(last.key_side) == [*(f"cache[{i}]" for i in range(5)), *trace.tokens(last.query_side)]
    held(trace, module, {site: at // 2 for at, site in enumerate(steps)})


def test_one_encoder_for_two_texts_runs_in_two_steps():
    module = Transformer(Attention).eval()
    for layer in module.layers:
        layer.causal = False
    one, other = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5, 6]])
    trace = instrument(module, WORDS, forward=lambda a, b: (module(a), module(b))).trace(one, other)
    assert trace.tokens("encoder_step_1") == WORDS[1:4] and trace.tokens("encoder_step_2") == WORDS[4:7]
    held(trace, module, {f"encoder_step_2.{layer}.self": 1 for layer in (0, 1)})


def test_weights_that_serve_several_layers_are_layers():
    module = nn.ModuleList([Attention()]).eval()

    def three_times(x: Tensor) -> Tensor:
        for _ in range(3):
            x = x + module[0](x)
        return x

    trace = instrument(module, forward=three_times).trace(torch.randn(1, N, D))
    assert [str(site) for site in trace.sites] == [f"encoder.{layer}.self" for layer in range(3)]
    held(trace, module, {f"encoder.{layer}.self": layer for layer in range(3)})


def test_a_hybrid_keeps_the_numbers_of_its_layers():
    module = nn.ModuleList([nn.Linear(D, D), Attention(), nn.Linear(D, D), nn.Linear(D, D), Attention()]).eval()

    def forward(x: Tensor) -> Tensor:
        for layer in module:
            x = x + layer(x)
        return x

    trace = instrument(module, forward=forward).trace(torch.randn(1, N, D))
    assert [str(site) for site in trace.sites] == ["encoder.1.self", "encoder.4.self"]
    held(trace, module)
