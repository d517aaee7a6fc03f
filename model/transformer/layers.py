"""The sub-layers around attention, and the two kinds of layer (Vaswani et al. 2017, sections 3.1 and 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.transformer.attention import MultiHeadAttention
from model.transformer.config import TransformerConfig
from model.transformer.hook_points import HookPoint
from model.transformer.layer_norm import EPSILON
from model.transformer.masks import RuleMask


class LayerNorm(nn.Module):
    """(x − mean) / √(variance + ε) · γ + β over the last axis (Ba, Kiros & Hinton 2016): [..., d] -> [..., d]."""

    def __init__(self, d: int, epsilon: float = EPSILON):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        # One fused kernel instead of the passes of `model.transformer.layer_norm`; tests/model holds it against the formula.
        return nn.functional.layer_norm(x, x.shape[-1:], self.gamma, self.beta, self.epsilon)


class FeedForward(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2 (equation 2), the same at every position: [b, n, d] -> [b, n, d]."""

    def __init__(self, d_model: int, d_ff: int, dropout: float):
        super().__init__()
        self.W_1, self.W_2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.dropout = nn.Dropout(dropout)
        self.pre, self.post, self.output = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.post(torch.relu(self.pre(self.W_1(x))))
        return self.output(self.W_2(self.dropout(hidden)))


class AddNorm(nn.Module):
    """The residual connection around a sub-layer, with its LayerNorm.

    post (the paper): norm(x + sublayer(x));  pre (Xiong et al. 2020): x + sublayer(norm(x)).
    """

    def __init__(self, d_model: int, dropout: float, norm: str):
        super().__init__()
        self.layer_norm, self.dropout, self.before = LayerNorm(d_model), nn.Dropout(dropout), norm == "pre"
        self.residual, self.norm = HookPoint(), HookPoint()

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.before:
            return self.residual(x + self.dropout(sublayer(self.norm(self.layer_norm(x)))))
        return self.norm(self.layer_norm(self.residual(x + self.dropout(sublayer(x)))))


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward where there is one: [b, n, d] -> [b, n, d]."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        c = config
        self.self_attention = MultiHeadAttention(c.d_model, c.heads, c.dropout, c.positions, c.relative_distance)
        self.self_add = AddNorm(c.d_model, c.dropout, c.norm)
        self.ffn = FeedForward(c.d_model, c.d_ff, c.dropout) if c.d_ff else None
        self.ffn_add = AddNorm(c.d_model, c.dropout, c.norm) if c.d_ff else None

    def forward(self, x: Tensor, mask: RuleMask) -> Tensor:
        x = self.self_add(x, lambda y: self.self_attention(y, y, mask))
        return x if self.ffn is None else self.ffn_add(x, self.ffn)


class DecoderLayer(nn.Module):
    """Masked self-attention, attention to the encoder's output and feed-forward, the last two where they are there:
    [b, m, d], [b, n, d] or None -> [b, m, d]."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        c, crosses = config, bool(config.encoder_layers)
        self.self_attention = MultiHeadAttention(c.d_model, c.heads, c.dropout, c.positions, c.relative_distance)
        self.self_add = AddNorm(c.d_model, c.dropout, c.norm)
        self.cross_attention = MultiHeadAttention(c.d_model, c.heads, c.dropout) if crosses else None
        self.cross_add = AddNorm(c.d_model, c.dropout, c.norm) if crosses else None
        self.ffn = FeedForward(c.d_model, c.d_ff, c.dropout) if c.d_ff else None
        self.ffn_add = AddNorm(c.d_model, c.dropout, c.norm) if c.d_ff else None

    def forward(self, x: Tensor, memory: Tensor | None, mask: RuleMask, memory_mask: RuleMask | None) -> Tensor:
        x = self.self_add(x, lambda y: self.self_attention(y, y, mask))
        if self.cross_attention is not None:
            x = self.cross_add(x, lambda y: self.cross_attention(y, memory, memory_mask))
        return x if self.ffn is None else self.ffn_add(x, self.ffn)
