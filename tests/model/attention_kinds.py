"""Attention sub-layers of every kind, small and random, and their weights computed cell by cell in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from model.trace.attention_record import AttentionRecord
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.transformer.masks import DenseMask, IntervalMask, RuleMask
from model.transformer.positions import alibi_slopes

SELF, CROSS = Site.parse("decoder.0.self"), Site.parse("decoder.0.cross")


def record(
    q: int,
    k: int,
    mask=None,
    site: Site = SELF,
    heads: int = 4,
    groups: int = 1,
    d: int = 8,
    dtype=torch.float64,
    **more,
):
    generator = torch.Generator().manual_seed(31 * q + k)
    sizes = {"q": (heads, q, d), "k": (heads // groups, k, d)}
    tensors = {
        f"{site}.{name}": torch.randn(size, generator=generator, dtype=torch.float64) for name, size in sizes.items()
    }
    for part in ("bias", "bias_offsets", "sinks", "relative_keys", "context"):
        if part in more:
            tensors[f"{site}.{part}"] = more.pop(part)
    store = MemoryStore({name: tensor.to(dtype) for name, tensor in tensors.items()})
    return AttentionRecord(site, 0.7, mask or RuleMask(), store, **more)


def weights(found: AttentionRecord, head: int) -> np.ndarray:
    """float64 [q, k] from the definition, one row at a time; none of the record's own arithmetic."""
    name, store = str(found.site), {n: found.store[n].double().numpy() for n in found.store.names()}
    q, k = store[f"{name}.q"][head], store[f"{name}.k"][head // found.groups]
    allowed, j = found.mask.allowed(len(q), len(k)).numpy(), np.arange(len(k))
    out = np.zeros((len(q), len(k)))
    for i in np.flatnonzero(allowed.any(1)):
        near = k
        if found.distance is not None:
            near = k + store[f"{name}.relative_keys"][np.clip(j - i, -found.distance, found.distance) + found.distance]
        scores = near @ q[i] * found.scale
        if found.slopes is not None:
            scores = scores - float(found.slopes[head]) * np.abs(j - i)
        if found.softcap is not None:
            scores = found.softcap * np.tanh(scores / found.softcap)
        if f"{name}.bias" in store:
            scores = scores + store[f"{name}.bias"][head, i]
        if f"{name}.bias_offsets" in store:
            scores = scores + store[f"{name}.bias_offsets"][head][j - i + len(q) - 1]
        powers = np.where(allowed[i], np.exp(scores), 0)
        sink = np.exp(store[f"{name}.sinks"][head]) if f"{name}.sinks" in store else 0
        out[i] = powers / (powers.sum() + sink)
    return out


def sliding(n: int, window: int, ahead: int = 1) -> IntervalMask:
    i = torch.arange(n, dtype=torch.int32)
    return IntervalMask((i - window + 1).clamp(min=0), (i + ahead).clamp(max=n))


def padded(n: int, causal: bool = False) -> RuleMask:
    keys = torch.ones(n, dtype=torch.bool)
    keys[:2], keys[-max(1, n // 4) :] = False, False  # on the left, so that the first causal rows attend nothing
    return RuleMask(causal, keys)


def holes(n: int) -> DenseMask:
    tile = torch.rand(n, n, generator=torch.Generator().manual_seed(5)) < 0.4
    tile[n // 2] = False
    return DenseMask(tile)


def gone(n: int) -> IntervalMask:
    """Some rows attend nothing: a whole block of them, and single ones."""
    mask = sliding(n, 5, 3)
    mask.last[: min(n // 2, 130)] = mask.first[: min(n // 2, 130)]
    return mask


def random(*size: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


SINKS = torch.tensor([0.0, 2.0, -3.0, 20.0], dtype=torch.float64)
KINDS: dict[str, Callable[..., AttentionRecord]] = {
    "causal": lambda n, **o: record(n, n, RuleMask(causal=True), **o),
    "bidirectional": lambda n, **o: record(n, n, **o),
    "padding": lambda n, **o: record(n, n, padded(n), **o),
    "causal and padding": lambda n, **o: record(n, n, padded(n, True), **o),
    "sliding window": lambda n, **o: record(n, n, sliding(n, 6), **o),
    "window both ways": lambda n, **o: record(n, n, sliding(n, 4, 4), **o),
    "nothing attended": lambda n, **o: record(n, n, gone(n), **o),
    "holes": lambda n, **o: record(n, n, holes(n), **o),
    "grouped": lambda n, **o: record(n, n, RuleMask(causal=True), groups=2, **o),
    "one key head": lambda n, **o: record(n, n, groups=4, **o),
    "cross": lambda n, **o: record(n, n // 2 + 1, padded(n // 2 + 1), CROSS, **o),
    "cross, as long": lambda n, **o: record(n, n, site=CROSS, **o),
    "more keys": lambda n, **o: record(n, n + 9, RuleMask(causal=True), **o),
    "T5": lambda n, **o: record(n, n, bias_offsets=3 * random(4, 2 * n - 1), **o),
    "dense bias": lambda n, **o: record(n, n, RuleMask(causal=True), groups=2, bias=2 * random(4, n, n), **o),
    "ALiBi": lambda n, **o: record(n, n, RuleMask(causal=True), slopes=alibi_slopes(4), **o),
    "Shaw": lambda n, **o: record(n, n, distance=3, relative_keys=random(7, 8), **o),
    "softcap": lambda n, **o: record(n, n, sliding(n, 9), groups=2, softcap=1.5, **o),
    "sinks": lambda n, **o: record(n, n, RuleMask(causal=True), sinks=SINKS, **o),
    "sinks, nothing attended": lambda n, **o: record(n, n, gone(n), sinks=SINKS, **o),
}  # fmt: skip


def words(n: int, keys: int) -> tuple[list[int], list[bool]]:
    """Token ids with many repetitions and far-off numbers, and some special tokens."""
    ids = (torch.randint(0, max(2, n // 5), (keys,), generator=torch.Generator().manual_seed(n)) * 1000003).tolist()
    return ids, [i % 7 == 0 for i in range(keys)]
