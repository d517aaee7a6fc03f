"""Attention as other people write it: what the tests of `instrument` record."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn


def textbook(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The annotated Transformer's attention: a mask is written as −1e9."""
    scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(query.size(-1))
    if mask is not None:
        scores = scores.masked_fill(mask == 0, -1e9)
    weights = scores.softmax(dim=-1)
    return torch.matmul(weights, value), weights


class MultiHeadedAttention(nn.Module):
    def __init__(self, heads: int, d: int):
        super().__init__()
        self.d_k, self.h = d // heads, heads
        self.linears = nn.ModuleList([copy.deepcopy(nn.Linear(d, d)) for _ in range(4)])
        self.attn: Tensor | None = None
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        mask = None if mask is None else mask.unsqueeze(1)
        parts = [
            linear(x).view(1, -1, self.h, self.d_k).transpose(1, 2)
            for linear, x in zip(self.linears, (query, key, value), strict=False)
        ]
        x, self.attn = textbook(*parts, mask)
        return self.linears[-1](self.dropout(x.transpose(1, 2).contiguous().view(1, -1, self.h * self.d_k)))


class Layer(nn.Module):
    def __init__(self, d: int, heads: int, cross: bool):
        super().__init__()
        self.self_attn = MultiHeadedAttention(heads, d)
        self.src_attn = MultiHeadedAttention(heads, d) if cross else None
        self.norms = nn.ModuleList([nn.LayerNorm(d) for _ in range(3)])

    def forward(self, x: Tensor, memory: Tensor | None, source_mask: Tensor | None, mask: Tensor | None) -> Tensor:
        y = self.norms[0](x)
        x = x + self.self_attn(y, y, y, mask)
        if self.src_attn is not None:
            x = x + self.src_attn(self.norms[1](x), memory, memory, source_mask)
        return x + torch.tanh(self.norms[2](x))


class Stack(nn.Module):
    """Layers, some of which are None (a layer taken out, as pruning does)."""

    def __init__(self, d: int, heads: list[int | None], cross: bool):
        super().__init__()
        self.layers = nn.ModuleList([None if h is None else Layer(d, h, cross) for h in heads])

    def forward(self, x: Tensor, *rest: Tensor | None) -> Tensor:
        for layer in self.layers:
            x = x if layer is None else layer(x, *rest)
        return x


class EncoderDecoder(nn.Module):
    def __init__(self, d: int = 16, source: int = 11, target: int = 13):
        super().__init__()
        self.source_embed, self.target_embed = nn.Embedding(source, d), nn.Embedding(target, d)
        self.encoder, self.decoder = Stack(d, [2, None, 4], False), Stack(d, [4, 1, None, 8], True)
        self.generator = nn.Linear(d, target)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        source_mask = (source != 0).unsqueeze(-2)
        mask = (target != 0).unsqueeze(-2) & torch.ones(1, target.size(1), target.size(1)).tril().bool()
        memory = self.encoder(self.source_embed(source), None, source_mask, source_mask)
        return self.generator(self.decoder(self.target_embed(target), memory, source_mask, mask))


class Einsum(nn.Module):
    """q, k, v [b, n, h, d] throughout; `order` swaps what is multiplied with what."""

    def __init__(self, d: int = 12, heads: int = 3, order: str = "qk"):
        super().__init__()
        self.heads, self.order = heads, order
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.weights: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)) for f in (self.q, self.k, self.v))
        swapped = self.order == "kq"
        scores = torch.einsum("bkhd,bqhd->bhqk", k, q) if swapped else torch.einsum("bqhd,bkhd->bhqk", q, k)
        self.weights = (scores * 0.5).softmax(-1)
        both = (v, self.weights) if swapped else (self.weights, v)
        mixed = torch.einsum("bkhd,bhqk->bqhd" if swapped else "bhqk,bkhd->bqhd", *both)
        return self.o(mixed.flatten(2))


class Grouped(nn.Module):
    """Two key/value heads for six query heads, repeated by expand; by products of hand or by the fused function."""

    def __init__(self, fused: bool, d: int = 24):
        super().__init__()
        self.fused = fused
        self.q, self.kv, self.o = nn.Linear(d, 24, bias=False), nn.Linear(d, 16, bias=False), nn.Linear(24, d)
        self.weights: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[1]
        q = self.q(x).view(1, n, 6, 4).transpose(1, 2)
        k, v = self.kv(x).view(1, n, 2, 2, 4).permute(2, 0, 3, 1, 4)
        k, v = (t[:, :, None].expand(1, 2, 3, n, 4).reshape(1, 6, n, 4) for t in (k, v))
        if self.fused:
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = (q @ k.transpose(-1, -2)) / 2
            self.weights = scores.masked_fill(~torch.ones(n, n).tril().bool(), -torch.inf).softmax(-1)
            mixed = self.weights @ v
        return self.o(mixed.transpose(1, 2).reshape(1, n, -1))


class Biased(nn.Module):
    """T5's additive bias an offset, scale 1, added in place; or one that is no function of the offset."""

    def __init__(self, toeplitz: bool, d: int = 8, heads: int = 2):
        super().__init__()
        self.toeplitz, self.heads = toeplitz, heads
        self.table = nn.Embedding(64, heads)
        self.qkv, self.o = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.weights: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[1]
        q, k, v = self.qkv(x).view(1, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        i, j = torch.arange(n)[:, None], torch.arange(n)[None]
        bias = self.table(j - i + n if self.toeplitz else (i * j) % 64).permute(2, 0, 1)[None]
        scores = torch.matmul(q, k.transpose(3, 2))
        scores += bias
        self.weights = scores.float().softmax(-1).type_as(scores) if x.dtype == torch.float32 else scores.softmax(-1)
        return self.o((self.weights @ v).transpose(1, 2).contiguous().view(1, n, -1))


class Head(nn.Module):
    def __init__(self, d: int, width: int):
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(d, width, bias=False) for _ in range(3))
        self.weights: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).transpose(-2, -1) * self.key.out_features**-0.5
        n = x.shape[1]
        self.weights = scores.masked_fill(torch.tril(torch.ones(n, n)) == 0, float("-inf")).softmax(-1)
        return self.weights @ self.value(x)


class HeadByHead(nn.Module):
    """Each head a module of its own, concatenated: minGPT's first lesson."""

    def __init__(self, d: int = 12, heads: int = 3):
        super().__init__()
        self.heads, self.proj = nn.ModuleList([Head(d, d // heads) for _ in range(heads)]), nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))


class Gated(nn.Module):
    """Scores pass an operator that is neither scale nor mask nor bias; and a soft cap (Gemma 2)."""

    def __init__(self, how: str, d: int = 8):
        super().__init__()
        self.how, self.qkv, self.o = how, nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.temperature = nn.Parameter(torch.tensor([0.5, 3.0]).view(2, 1, 1))
        self.weights: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[1]
        q, k, v = self.qkv(x).view(1, n, 3, 2, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * 0.7
        if self.how == "cap":
            scores = torch.tanh(scores / 1.5) * 1.5
        elif self.how == "temperature":
            scores = scores * self.temperature
        else:
            scores = scores.relu() ** 2
        scores = scores.masked_fill(~torch.ones(n, n).tril().bool(), torch.finfo(scores.dtype).min)
        self.weights = scores.softmax(-1)
        return self.o((self.weights @ v).transpose(1, 2).reshape(1, n, -1))
