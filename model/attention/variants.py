"""Variants of attention on one recorded head: one change each (scale, soft cap, sink, window, grouping), the rest as recorded.

A variant is a copy of the head's record with one thing changed, so its weights are made by the very code that makes the
recorded ones (`AttentionRecord.weights`), and an unchanged copy gives them back. No variant is retrained: each says what
the change does to the numbers of this run, not what a model would have learnt with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.trace.attention_record import AttentionRecord
from model.trace.tensors import MemoryStore
from model.transformer.attention import entropy, softmax
from model.transformer.masks import compress

# What a store may hold of one head beside q, k and v, and of all heads together.
_OF_HEADS, _SHARED = ("bias", "bias_offsets", "sinks"), ("relative_keys", "relative_values")
_WIDEST = 512  # random dimensions that `saturation` draws


@dataclass(frozen=True, eq=False)
class Comparison:
    """Weights as recorded and under a variant, of the same rows over all keys; `dead` cells are masked."""

    before: Float[Tensor, "r k"]
    after: Float[Tensor, "r k"]
    dead_before: Bool[Tensor, "r k"]
    dead_after: Bool[Tensor, "r k"]

    @property
    def change(self) -> Float[Tensor, "r k"]:
        return self.after - self.before


def _changed(record: AttentionRecord, **parts: Tensor) -> AttentionRecord:
    """A copy of a record in memory in which these parts are others."""
    held = {name: record.store[name] for name in record.store.names()}
    held |= {f"{record.site}.{part}": values for part, values in parts.items()}
    return replace(record, store=MemoryStore(held))


def scaled(single: AttentionRecord, scale: float) -> AttentionRecord:
    """Scores q · kᵀ · scale. The paper's scale is 1 / √d_k, d_k the head's dimension (Vaswani et al. 2017, 3.2.1)."""
    return replace(single, scale=scale)


def capped(single: AttentionRecord, cap: float | None) -> AttentionRecord:
    """Scores c · tanh(s / c), which stay between −c and c (Gemma Team 2024, Gemma 2, section 2); None for no cap."""
    return replace(single, softcap=cap)


def with_sink(single: AttentionRecord, logit: float) -> AttentionRecord:
    """One more score a row, whose weight is dropped: rows sum to less than 1 (as in GPT-OSS; 0 is Miller's softmax₁)."""
    return _changed(single, sinks=single.q.new_full((1,), logit))


def windowed(single: AttentionRecord, width: int) -> AttentionRecord:
    """Keys nearer than `width` tokens only, |i − j| < width, beside the mask (Beltagy et al. 2020; Jiang et al. 2023).

    A causal query then has `width` keys, itself among them; another one as many to each side. Raises ValueError where
    queries and keys are not the same sequence, or for a width below 1.
    """
    if single.site.kind == "cross" or single.queries != single.keys:
        raise ValueError(f"a window needs queries and keys of one sequence: {single.site} has two")
    if width < 1:
        raise ValueError(f"a window of {width} tokens is empty: give at least 1")
    i = torch.arange(single.queries)
    return replace(single, mask=compress(single.allowed() & ((i[:, None] - i).abs() < width)))


def group_sizes(record: AttentionRecord) -> list[int]:
    """How many key/value heads can be merged into one so that groups are equal: the divisors of their number."""
    heads = record.heads // record.groups
    return [size for size in range(1, heads + 1) if heads % size == 0]


def members(record: AttentionRecord, size: int) -> list[range]:
    """The query heads that share keys and values when `size` key/value heads are merged into one."""
    together = record.groups * size
    return [range(first, first + together) for first in range(0, record.heads, together)]


def grouped(record: AttentionRecord, head: int, size: int) -> AttentionRecord:
    """The head with the mean keys and values of its group of `size` key/value heads, as a record of one head.

    Ainslie et al. 2023 (GQA), section 2.1, make groups from trained heads by this mean (of the projections, of which keys
    and values are linear functions) and then train on; all heads in one group is MQA (Shazeer 2019). Raises ValueError
    where `size` does not divide the number of key/value heads.
    """
    if size not in group_sizes(record):
        raise ValueError(f"{size} does not divide {record.heads // record.groups} key/value heads")
    first = record.check_head(head) // record.groups // size * size
    single = record.select([head], torch.float64)
    mean = {part: _part(record, part)[first : first + size].double().mean(0)[None] for part in "kv"}
    return _changed(single, **mean)


def _part(record: AttentionRecord, part: str) -> Tensor:
    return record.store[f"{record.site}.{part}"]


def cache_numbers(record: AttentionRecord, size: int = 1) -> int:
    """Numbers that a decoder keeps of each token at this sub-layer: (d_k + d_v) for each key/value head that is left."""
    return sum(_part(record, part).shape[-1] for part in "kv") * (record.heads // record.groups // size)


def wide(record: AttentionRecord) -> AttentionRecord:
    """All heads of the sub-layer as one: q and k concatenated, one softmax over the sum of the heads' dot products.

    Its dimension is h · d_k, so its scale is the recorded one over √h. Position biases and sinks, of which one head can
    have only one, are the mean over the heads.
    """
    h = record.heads
    q, k, v = (_part(record, part).double() for part in "qkv")
    k, v = (values.repeat_interleave(record.groups, 0) for values in (k, v))
    held = {part: values.transpose(0, 1).flatten(1)[None] for part, values in (("q", q), ("k", k), ("v", v))}
    for part in _OF_HEADS:
        if f"{record.site}.{part}" in record.store:
            held[part] = _part(record, part).double().mean(0)[None]
    held |= {p: _part(record, p).double().repeat(1, h) for p in _SHARED if f"{record.site}.{p}" in record.store}
    slopes = None if record.slopes is None else record.slopes.double().mean(0)[None]
    store = MemoryStore({f"{record.site}.{part}": values for part, values in held.items()})
    return replace(record, store=store, slopes=slopes, scale=record.scale * h**-0.5)


@dataclass(frozen=True, eq=False)
class Additive:
    """The parameters of additive attention: W [d_a, d_k], U [d_a, d_k], v [d_a]."""

    W: Float[Tensor, "d_a d_k"]
    U: Float[Tensor, "d_a d_k"]
    v: Float[Tensor, " d_a"]


def random_additive(d_k: int, seed: int) -> Additive:
    """Random parameters, d_a = d_k, all N(0, 1 / d_k): no model learnt them."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(d_k, 2 * d_k + 1, generator=generator, dtype=torch.float64) * d_k**-0.5
    return Additive(draw[:, :d_k], draw[:, d_k : 2 * d_k], draw[:, -1])


def additive(single: AttentionRecord, parameters: Additive, rows: slice = slice(None)) -> Tensor:
    """Weights [rows, k] of the scores vᵀ tanh(W q_i + U k_j) under the head's own mask (Bahdanau et al. 2015, A.1.2)."""
    queries, keys = (
        single.head("q", 0, torch.float64)[rows] @ parameters.W.T,
        single.head("k", 0, torch.float64) @ parameters.U.T,
    )
    scores = torch.stack(
        [torch.tanh(query + keys) @ parameters.v for query in queries]
    )  # a row at a time: q · k · d_a is much
    return softmax(scores.masked_fill(~single.allowed(rows), -torch.inf))[0]


def compare(before: AttentionRecord, after: AttentionRecord | Tensor, rows: slice = slice(None)) -> Comparison:
    """The weights of two one-head records for the same rows; `after` may be weights that are made already."""
    dead = ~before.allowed(rows)
    weights = before.weights(0, rows, dtype=torch.float64)
    if isinstance(after, Tensor):
        return Comparison(weights, after, dead, dead)
    return Comparison(weights, after.weights(0, rows, dtype=torch.float64), dead, ~after.allowed(rows))


@dataclass(frozen=True, eq=False)
class Saturation:
    """Random q and k of dimension `d_k`, with and without 1 / √d_k: means over many rows, and the weights of one row.

    variance: of q · k over all pairs. largest, entropy (nats), row [keys]: unscaled first, then scaled.
    """

    d_k: int
    variance: float
    largest: tuple[float, float]
    entropy: tuple[float, float]
    rows: tuple[Tensor, Tensor]


def random_pairs(seed: int, rows: int = 256, keys: int = 16) -> tuple[Tensor, Tensor]:
    """q [rows, 512] and for each its own keys k [rows, keys, 512], independent N(0, 1), float64."""
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(rows, _WIDEST, generator=generator, dtype=torch.float64)
    return q, torch.randn(rows, keys, _WIDEST, generator=generator, dtype=torch.float64)


def saturation(sizes: Sequence[int], seed: int = 0) -> list[Saturation]:
    """What the first d_k of the random dimensions give, for each d_k in `sizes` (at most 512).

    q · k is a sum of d_k products of mean 0 and variance 1, so its variance is d_k; over √d_k it is 1 for every d_k
    (Vaswani et al. 2017, section 3.2.1, footnote 4).
    """
    q, k = random_pairs(seed)
    found = []
    for d_k in sizes:
        if not 1 <= d_k <= _WIDEST:
            raise ValueError(f"d_k = {d_k} is not between 1 and {_WIDEST}")
        products = (k[..., :d_k] @ q[:, :d_k, None])[..., 0]
        both = [softmax(products)[0], softmax(products * d_k**-0.5)[0]]
        largest = tuple(weights.amax(-1).mean().item() for weights in both)
        spread = tuple(entropy(weights).mean().item() for weights in both)
        variance = products.var(correction=0).item()
        found.append(Saturation(d_k, variance, largest, spread, (both[0][0], both[1][0])))
    return found
