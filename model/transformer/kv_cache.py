"""Decoding with a cache of keys and values: each step computes the new position only."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.transformer.attention import attend
from model.transformer.encoder_decoder import Transformer
from model.transformer.masks import RuleMask, padding
from model.transformer.positions import alibi_bias


class CachedDecoder:
    """Our own decoder with a cache of keys and values: one row a step, everything older is looked up.

    `step(id)` gives the logits [V] after that token; `cache` holds k and v [1, h, n, d_k] of each layer's self-attention,
    `memory` those of its cross-attention, made once, [] of a decoder alone, whose source is None. Not for relative
    positions (Shaw et al.), whose kernel takes whole matrices: `possible` says so.
    """

    def __init__(self, module: Transformer, source: Int[Tensor, n] | None):  # noqa: F821
        self.module, self.cache = module, [(None, None)] * len(module.decoder)
        self.position, self.memory = 0, []
        if source is None:
            return
        self.mask = padding(source[None].to(module.device), module.config.pad_id)
        with torch.no_grad():
            memory = module.encode(source[None])
            crosses = [layer.cross_attention for layer in module.decoder]
            self.memory = [(a.split(a.W_K(memory)), a.split(a.W_V(memory))) for a in crosses]

    @staticmethod
    def possible(module: Transformer) -> bool:
        return module.config.positions != "relative"

    @torch.no_grad()
    def step(self, token: int) -> Float[Tensor, V]:  # noqa: F821
        x = self._embed(token)
        for i, layer in enumerate(self.module.decoder):
            x = layer.self_add(x, lambda y, i=i, layer=layer: self._own(i, layer.self_attention, y))
            if layer.cross_attention is not None:
                x = layer.cross_add(x, lambda y, i=i, layer=layer: self._cross(i, layer.cross_attention, y))
            x = x if layer.ffn is None else layer.ffn_add(x, layer.ffn)
        self.position += 1
        return self.module.project(self.module.decoder_norm(x))[0, 0]

    def _embed(self, token: int) -> Tensor:
        target = self.module.target
        x = target.tokens(torch.tensor([[token]], device=self.module.device)) * target.factor
        if target.positions is not None:
            x = x + target.positions.encoding(self.position + 1)[None, -1:]
        return x

    def _own(self, i: int, attention, x: Tensor) -> Tensor:
        q, k, v = (attention.split(linear(x)) for linear in (attention.W_Q, attention.W_K, attention.W_V))
        if attention.rotary is not None:
            q, k = (self._rotated(attention.rotary, part) for part in (q, k))
        keys, values = self.cache[i]
        k, v = (k, v) if keys is None else (torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2))
        self.cache[i], n, bias = (k, v), k.shape[2], None
        if attention.slopes is not None:
            bias = alibi_bias(attention.slopes.to(q), n, n, slice(n - 1, n))
        context, _ = attend(q, k, v, attention.scale, RuleMask(), bias)
        return attention.W_O(context.transpose(-2, -3).flatten(-2))

    def _rotated(self, rotary, part: Tensor) -> Tensor:
        """One row rotated as position `position`, which the rule knows by the rows before it."""
        rows = part.new_zeros(*part.shape[:2], self.position + 1, part.shape[3])
        rows[:, :, -1:] = part
        return rotary(rows)[:, :, -1:]

    def _cross(self, i: int, attention, x: Tensor) -> Tensor:
        context, _ = attend(attention.split(attention.W_Q(x)), *self.memory[i], attention.scale, self.mask)
        return attention.W_O(context.transpose(-2, -3).flatten(-2))
