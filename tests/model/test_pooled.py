"""A head in blocks against its whole weights, added up cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.masks import Explicit, Intervals, Mask
from model.pooled import block_shares, block_size
from model.positions import alibi_slopes
from model.record import AttentionRecord
from model.sites import Site
from model.store import MemoryStore

SITE = Site.parse("decoder.0.self")


def record(q: int, k: int, mask=None, heads: int = 4, groups: int = 1, d: int = 8, **more) -> AttentionRecord:
    generator = torch.Generator().manual_seed(31 * q + k)
    sizes = {"q": (heads, q, d), "k": (heads // groups, k, d), "v": (heads // groups, k, d)}
    store = MemoryStore({f"{SITE}.{name}": torch.randn(size, generator=generator) for name, size in sizes.items()})
    for part in ("bias", "bias_offsets", "sinks"):
        if part in more:
            store.add(f"{SITE}.{part}", more.pop(part))
    return AttentionRecord(SITE, 0.7, mask or Mask(), store, **more)


def weights(found: AttentionRecord, head: int) -> np.ndarray:
    """float64 [q, k] straight from the definition, one row at a time."""
    name, store = str(SITE), found.store
    q, k = store[f"{name}.q"][head].double(), store[f"{name}.k"][head // found.groups].double()
    allowed = found.mask.allowed(len(q), len(k))
    out = np.zeros((len(q), len(k)))
    for i in range(len(q)):
        scores = (k @ q[i]) * found.scale
        if found.slopes is not None:
            scores = scores - found.slopes[head].double() * (torch.arange(len(k)) - i).abs()
        if found.softcap is not None:
            scores = found.softcap * torch.tanh(scores / found.softcap)
        if f"{name}.bias" in store:
            scores = scores + store[f"{name}.bias"][head, i].double()
        if f"{name}.bias_offsets" in store:
            scores = scores + store[f"{name}.bias_offsets"][head].double()[torch.arange(len(k)) - i + len(q) - 1]
        powers = torch.where(allowed[i], scores.exp(), 0.0)
        sink = store[f"{name}.sinks"][head].double().exp() if f"{name}.sinks" in store else 0.0
        total = powers.sum() + sink
        out[i] = (powers / total).numpy() if float(total) else 0.0
    return out


def shares(found: AttentionRecord, blocks: int) -> np.ndarray:
    """float64 [h, R, C], every block added up."""
    rows, columns = (-(-n // blocks) for n in (found.queries, found.keys))
    answer = []
    for head in range(found.heads):
        whole = weights(found, head)
        answer.append(
            [[whole[i : i + rows, j : j + columns].sum(1).mean() for j in range(0, found.keys, columns)]
             for i in range(0, found.queries, rows)]
        )  # fmt: skip
    return np.array(answer)


def sliding(n: int, window: int) -> Intervals:
    i = torch.arange(n, dtype=torch.int32)
    return Intervals((i - window + 1).clamp(min=0), i + 1)


def holes(q: int, k: int) -> Explicit:
    tile = torch.rand(q, k, generator=torch.Generator().manual_seed(5)) < 0.4
    tile[3] = False  # a row that attends nothing
    return Explicit(tile)


def padded(n: int, causal: bool = False) -> Mask:
    keys = torch.ones(n, dtype=torch.bool)
    keys[:2], keys[-5:] = False, False
    return Mask(causal, keys)


KINDS = {
    "plain": lambda n, k: record(n, k),
    "causal": lambda n, k: record(n, n, Mask(causal=True)),
    "causal, more keys": lambda n, k: record(n, k, Mask(causal=True)),
    "sliding": lambda n, k: record(n, n, sliding(n, 6)),
    "padding": lambda n, k: record(n, k, padded(k)),
    "causal and padding": lambda n, k: record(n, n, padded(n, True)),
    "explicit": lambda n, k: record(n, k, holes(n, k)),
    "grouped": lambda n, k: record(n, n, Mask(causal=True), groups=2),
    "one key head": lambda n, k: record(n, k, groups=4),
    "wide heads": lambda n, k: record(n, k, d=80),
    "T5 offsets": lambda n, k: record(n, n, bias_offsets=torch.randn(4, 2 * n - 1)),
    "bias": lambda n, k: record(n, k, bias=torch.randn(4, n, k)),
    "ALiBi": lambda n, k: record(n, n, Mask(causal=True), slopes=alibi_slopes(4)),
    "soft-capped": lambda n, k: record(n, n, sliding(n, 9), groups=2, softcap=1.5),
    "sinks": lambda n, k: record(n, n, Mask(causal=True), sinks=torch.tensor([0.0, 2.0, -3.0, 1.0])),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "k", "blocks"), [(49, 61, 48), (300, 270, 48), (7, 100, 3), (20, 20, 48), (5, 5, 1)])
def test_blocks_are_the_sums_of_the_weights(kind: str, n: int, k: int, blocks: int):
    torch.manual_seed(n)
    found = KINDS[kind](n, k)
    got = block_shares(found, blocks)
    assert got.dtype == torch.float32
    assert got.shape == (
        4,
        -(-found.queries // block_size(found.queries, blocks)),
        -(-found.keys // -(-found.keys // blocks)),
    )
    np.testing.assert_allclose(got.numpy(), shares(found, blocks), atol=2e-6, rtol=0)
    if kind not in ("sinks", "explicit", "causal and padding") and k > 7:
        np.testing.assert_allclose(got.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("total", [1, 47, 48, 49, 95, 96, 97, 1000])
def test_there_are_never_more_blocks_than_asked_for(total: int):
    size = block_size(total)
    assert 1 <= -(-total // size) <= 48 and (size == 1) == (total <= 48)
