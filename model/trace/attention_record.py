"""The record of one attention sub-layer: q, k, v, mask and bias as recorded, and scores, weights and outputs on demand.

A record keeps O(n · d) numbers. Scores, weights and contributions are functions of it, for one head and any range of
rows and columns; with the log-sum-exp of each row (free from the fused kernel) a tile is exact without its rows:

    weights[i, j] = exp(scale · q_i · k_j + bias_ij − lse_i)       (Dao et al. 2022, FlashAttention, section 3.1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from model.errors import OutOfRange
from model.trace.site import Site
from model.trace.tensors import MemoryStore, Store
from model.transformer.attention import softmax
from model.transformer.masks import DenseMask, IntervalMask, RuleMask
from model.transformer.positions import alibi_bias, offsets

if TYPE_CHECKING:
    from model.edits.site_edits import SiteEdits

# What a store may hold of a record that scores, and that values, are made of.
_SCORES = ("q", "k", "bias", "bias_offsets", "sinks", "relative_keys")
_VALUES = ("v", "relative_values")
Mask = RuleMask | IntervalMask | DenseMask
CELLS = 2**20  # scores or weights in float64 that are held at once: 8 MiB


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """Facts of the sub-layer at `site`; tensors are read from `store` under `{site}.{q, k, v, lse, context, output}`.

    q [h, q, d_k], k [h_kv, k, d_k], v [h_kv, k, d_v] exactly as multiplied (after any rotation); lse [h, q];
    context [h, q, d_v] = weights · v; output [q, d] after W_O. `slopes` are ALiBi's; `distance` is Shaw's clipping;
    `softcap` c turns a scaled score s into c · tanh(s / c) (Gemma 2). Where the store has `{site}.bias` [h, q, k] or
    `{site}.bias_offsets` [h, q + k − 1] (one number an offset j − i) it is added to the scores; `{site}.sinks` [h] is one
    more score a row whose weight is dropped. `edits`: what this run had changed here; scores, weights and contexts are as they
    ran, the edits in them.
    """

    site: Site
    scale: float
    mask: Mask
    store: Store
    slopes: Tensor | None = None
    distance: int | None = None
    softcap: float | None = None
    edits: SiteEdits | None = None

    def _name(self, part: str) -> str:
        return f"{self.site}.{part}"

    @property
    def q(self) -> Float[Tensor, "h q d_k"]:
        return self.store[self._name("q")]

    @property
    def k(self) -> Float[Tensor, "h_kv k d_k"]:
        return self.store[self._name("k")]

    @property
    def v(self) -> Float[Tensor, "h_kv k d_v"]:
        return self.store[self._name("v")]

    @property
    def context(self) -> Float[Tensor, "h q d_v"]:
        return self.store[self._name("context")]

    @property
    def output(self) -> Float[Tensor, "q d"]:
        return self.store[self._name("output")]

    heads = property(lambda self: self.store.shape(self._name("q"))[0])
    queries = property(lambda self: self.store.shape(self._name("q"))[1])
    keys = property(lambda self: self.store.shape(self._name("k"))[1])
    d_k = property(lambda self: self.store.shape(self._name("q"))[2])
    d_v = property(lambda self: self.store.shape(self._name("v"))[2])

    @property
    def groups(self) -> int:
        """Query heads to one key/value head: head h reads key/value head h // groups."""
        return self.heads // self.store.shape(self._name("k"))[0]

    def check_head(self, head: int) -> int:
        return OutOfRange.check("Head", head, self.heads - 1)

    def check_query(self, i: int) -> int:
        return OutOfRange.check("Query", i, self.queries - 1)

    def check_key(self, j: int) -> int:
        return OutOfRange.check("Key", j, self.keys - 1)

    def head(self, part: str, head: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """One head of q, k, v, lse or context, without reading the others."""
        index = head // self.groups if part in "kv" else head
        return self.store.first(self._name(part), index).to(dtype)

    def has(self, part: str) -> bool:
        """Whether the record holds this part of the sub-layer."""
        return self._name(part) in self.store

    @property
    def left_out(self) -> int | None:
        """A key that pictures of this record are without; see `model.attention.without_sink`."""
        return None

    @property
    def plain(self) -> bool:
        """Whether a score is scale · q · k and nothing else, the mask aside."""
        parts = ("bias", "bias_offsets", "relative_keys", "sinks")
        plain = self.softcap is None and self.slopes is None and not any(self._name(p) in self.store for p in parts)
        return plain and (self.edits is None or self.edits.scores is None)

    def select(self, heads: Sequence[int] | None = None, dtype: torch.dtype | None = None) -> AttentionRecord:
        """A record of these heads alone, in memory: what scores are made of, and the values where they are looked at.

        heads: each with keys and values of its own; None: all of them, sharing keys and values as they do here. dtype: else
        that of q, float32 at least. The log-sum-exp, the context and the output stay behind. Raises OutOfRange.
        """
        dtype = dtype or torch.promote_types(self.store.first(self._name("q"), 0).dtype, torch.float32)
        chosen = list(range(self.heads)) if heads is None else [self.check_head(head) for head in heads]

        def read(part: str) -> Tensor:
            if part.startswith("relative"):
                return self.store[self._name(part)].to(dtype)
            if part in "qkv" and heads is None:
                return self.store[self._name(part)].to(dtype)
            return torch.stack([self.head(part, head, dtype) for head in chosen])

        def shape(part: str) -> tuple[int, ...]:
            whole = self.store.shape(self._name(part))
            return whole if heads is None or part.startswith("relative") else (len(chosen), *whole[1:])

        known = [part for part in (*_SCORES, *_VALUES) if self._name(part) in self.store]
        store = MemoryStore({self._name(part): read(part) for part in known if part in _SCORES})
        for part in (part for part in known if part in _VALUES):
            store.add_lazy(self._name(part), shape(part), lambda part=part: read(part))
        slopes = None if self.slopes is None else self.slopes[chosen].to(dtype)
        edits = self.edits if self.edits is None or heads is None else self.edits.select(self, chosen)
        return replace(self, store=store, slopes=slopes, edits=edits)

    def allowed(self, rows: slice | Tensor = slice(None), columns: slice = slice(None)) -> Tensor:
        """bool [rows, columns]: which cells the mask leaves; `rows` is a slice or a tensor of indices, here and below."""
        return self.mask.allowed(self.queries, self.keys, rows, columns)

    def products(
        self,
        head: int,
        rows: slice | Tensor = slice(None),
        columns: slice = slice(None),
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """q · kᵀ before scaling: [rows, columns]; with Shaw's positions q · (k + a^K)."""
        q = self.head("q", self.check_head(head), dtype)[rows]
        products = q @ self.head("k", head, dtype)[columns].T
        if self.distance is not None:
            a_k = self.store[self._name("relative_keys")].to(dtype)
            table = offsets(self.queries, self.keys, self.distance, rows, columns)
            products = products + (q @ a_k.T).gather(1, table)
        return products

    def scores(
        self,
        head: int,
        rows: slice | Tensor = slice(None),
        columns: slice = slice(None),
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """q · kᵀ · scale + bias + mask, −∞ where masked: [rows, columns]."""
        if self.edits is None or not self.edits.scored(head):
            return self.unedited_scores(head, rows, columns, dtype)
        return self.edits.scores.edited(self, head, torch.arange(self.queries)[rows], dtype)[0][:, columns]

    def unedited_scores(
        self,
        head: int,
        rows: slice | Tensor = slice(None),
        columns: slice = slice(None),
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """The same as the model has them: [rows, columns]."""
        scores = self.products(head, rows, columns, dtype) * self.scale
        if self.slopes is not None:
            slope = self.slopes[head : head + 1].to(dtype)
            scores = scores + alibi_bias(slope, self.queries, self.keys, rows, columns)[0]
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        bias = self.bias(head, rows, columns)
        if bias is not None:
            scores = scores + bias.to(dtype)
        return scores.masked_fill(~self.allowed(rows, columns), -torch.inf)

    def bias(self, head: int, rows: slice | Tensor, columns: slice) -> Tensor | None:
        """The additive position bias of one head (T5): [rows, columns], or None."""
        if self._name("bias") in self.store:
            return self.store.first(self._name("bias"), head)[rows, columns]
        if self._name("bias_offsets") in self.store:
            i, j = torch.arange(self.queries)[rows, None], torch.arange(self.keys)[None, columns]
            return self.store.first(self._name("bias_offsets"), head)[j - i + self.queries - 1]
        return None

    def sink(self, head: int, dtype: torch.dtype, rows: slice | Tensor = slice(None)) -> Tensor | None:
        """The score of these rows whose weight is dropped (GPT-OSS): a number for all of them, one a row [rows, 1], or None."""
        if self.edits is None or not self.edits.scored(head):
            return self.unedited_sink(head, dtype)
        return self.edits.scores.edited(self, head, torch.arange(self.queries)[rows], dtype)[1][:, None]

    def unedited_sink(self, head: int, dtype: torch.dtype) -> Tensor | None:
        """The model's own, a number for all rows, or None."""
        return self.store.first(self._name("sinks"), head).to(dtype) if self._name("sinks") in self.store else None

    def weights(
        self,
        head: int,
        rows: slice | Tensor = slice(None),
        columns: slice = slice(None),
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """softmax(scores): [rows, columns]; rows sum to 1 over all columns, fully masked rows are all 0.

        Of some columns the whole rows are computed all the same, in float64 and a block at a time: the recorded log-sum-exp
        is rounded to float32, which moves a weight near 1 by up to 1.5·10⁻⁵. A column alone: see `model.attention.rows.column`.
        """
        if columns == slice(None):
            return softmax(self.scores(head, rows, dtype=dtype), self.sink(head, dtype, rows))[0]
        self.check_head(head)
        blocks = torch.arange(self.queries)[rows].split(max(1, CELLS // self.keys))
        parts = (self._rows(head, block)[:, columns] for block in blocks)
        return torch.cat([part.to(dtype) for part in parts])

    def _rows(self, head: int, rows: Tensor) -> Tensor:
        """Whole rows of weights in float64."""
        return softmax(self.scores(head, rows, dtype=torch.float64), self.sink(head, torch.float64, rows))[0]

    def head_output(self, head: int, rows: slice | Tensor = slice(None), dtype: torch.dtype = torch.float32) -> Tensor:
        """weights · v, as the record implies it: [rows, d_v]; with Shaw's positions the offsets' values are added."""
        context = self.times_values(head, self.weights(head, rows, dtype=dtype), rows)
        return context if self.edits is None else self.edits.handed_on(context[None], [head], rows)[0]

    def times_values(self, head: int, weights: Tensor, rows: slice | Tensor = slice(None)) -> Tensor:
        """Weights [rows, k] of one head times its values, and those of the offsets: [rows, d_v]."""
        context = weights @ self.head("v", head, weights.dtype)
        if self.distance is not None:
            table = offsets(self.queries, self.keys, self.distance, rows)
            a_v = self.store[self._name("relative_values")].to(weights.dtype)
            shares = weights.new_zeros(weights.shape[0], a_v.shape[0]).scatter_add(1, table, weights)
            context = context + shares @ a_v
        return context
