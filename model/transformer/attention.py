"""Multi-head attention (Vaswani et al. 2017, section 3.2), with a hook point at every quantity of the formula.

    q = x W_Q    k = y W_K    v = y W_V                       [b, ·, d] -> [b, h, ·, d_k]
    scores  = q kᵀ · scale + mask                             [b, h, q, k],  scale = 1 / √d_k
    weights = softmax(scores) over the keys                   [b, h, q, k]
    heads   = weights · v                                     [b, h, q, d_v]
    output  = concat(heads) W_O                               [b, q, d]

Self-attention has y = x; cross-attention takes y from the encoder.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from model.transformer.hook_points import HookPoint
from model.transformer.masks import RuleMask
from model.transformer.positions import Relative, Rotary, alibi_bias, alibi_slopes, offsets

_ROWS = 256  # of scores that are held at once where no kernel does it
_FUSED = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)


def attend(
    q: Float[Tensor, "b h q d_k"],
    k: Float[Tensor, "b h k d_k"],
    v: Float[Tensor, "b h k d_v"],
    scale: float,
    mask: RuleMask,
    bias: Float[Tensor, "h q k"] | None = None,
    dropout: float = 0.0,
) -> tuple[Float[Tensor, "b h q d_v"], Float[Tensor, "b h q"] | None]:
    """Fused attention -> (heads, log-sum-exp of each row of scores).

    On the CPU and without gradients this is the very kernel that scaled_dot_product_attention runs, called by name
    because it also hands out the log-sum-exp, which makes any later cell exact without its row. On another device it is
    made beside the kernel, in blocks of rows; while training the second value is None. A row with no allowed key gives
    heads 0.
    """
    allowed, causal = mask.kernel(q.shape[2], k.shape[2], q.device)
    added = bias
    if bias is not None and causal:
        allowed, causal = mask.allowed(q.shape[2], k.shape[2]).to(q.device), False
    if allowed is not None:
        added = (q.new_zeros(()) if bias is None else bias).masked_fill(~allowed, -torch.inf)
    if added is not None and added.dim() == 3:
        added = added[None]
    plain = dropout == 0 and not (torch.is_grad_enabled() and q.requires_grad)
    if _FUSED is not None and plain and q.device.type == "cpu" and q.shape[-1] == v.shape[-1]:
        return _FUSED(q, k, v, 0.0, causal, attn_mask=added, scale=scale)
    heads = F.scaled_dot_product_attention(q, k, v, attn_mask=added, dropout_p=dropout, is_causal=causal, scale=scale)
    return heads, log_sum_exp_in_blocks(q, k, scale, added, causal) if plain else None


def attend_relative(
    q: Tensor, k: Tensor, v: Tensor, scale: float, mask: RuleMask, relative: Relative, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Shaw et al.: the same, with a^K added to the keys and a^V to the values of each pair; no fused kernel has it."""
    table = offsets(q.shape[2], k.shape[2], relative.distance).to(q.device)
    scores = (q @ k.transpose(-1, -2) + torch.einsum("bhqd,qkd->bhqk", q, relative.keys[table])) * scale
    scores = scores.masked_fill(~mask.allowed(q.shape[2], k.shape[2]).to(q.device), -torch.inf)
    weights, lse = softmax(scores)
    dropped = F.dropout(weights, dropout) if dropout else weights
    return dropped @ v + torch.einsum("bhqk,qkd->bhqd", dropped, relative.values[table]), lse


def softmax(scores: Tensor, sink: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Softmax over the last axis -> (weights, log-sum-exp); a row of −∞ only gives weights 0 and log-sum-exp 0.

    sink: one more score a row (broadcast to [..., 1]) whose weight is dropped, so that rows sum to less than 1.
    """
    wide = scores if sink is None else torch.cat([scores, sink.expand(*scores.shape[:-1], 1)], dim=-1)
    lse = torch.logsumexp(wide, dim=-1)
    lse = torch.where(torch.isneginf(lse), torch.zeros_like(lse), lse)
    return (scores - lse[..., None]).exp(), lse


def log_sum_exp_in_blocks(q: Tensor, k: Tensor, scale: float, mask: Tensor | None, causal: bool) -> Tensor:
    """ln Σ_j exp(scale · q_i · k_j + mask_ij) [b, h, q] of q [b, h, q, d_k] and k [b, h or h_kv, k, d_k], never n × n at once."""
    wide = torch.promote_types(q.dtype, torch.float32)
    q, k = q.to(wide), k.repeat_interleave(q.shape[1] // k.shape[1], 1).to(wide)
    j, found = torch.arange(k.shape[2], device=q.device), []
    for start in range(0, q.shape[2], _ROWS):
        rows = slice(start, min(start + _ROWS, q.shape[2]))
        scores = (q[:, :, rows] @ k.mT) * scale
        if causal:
            scores = scores.masked_fill(j > torch.arange(rows.start, rows.stop, device=q.device)[:, None], -torch.inf)
        if mask is not None:
            tile = mask[..., rows, :] if mask.shape[-2] > 1 else mask
            tile = tile[..., : k.shape[2]]
            scores = scores.masked_fill(~tile, -torch.inf) if tile.dtype == torch.bool else scores + tile
        found.append(softmax(scores)[1])
    return torch.cat(found, 2)


class MultiHeadAttention(nn.Module):
    """x [b, q, d], y [b, k, d] -> [b, q, d]; `positions` is "relative", "rotary", "alibi" or anything else for none."""

    def __init__(self, d_model: int, heads: int, dropout: float = 0.0, positions: str = "none", distance: int = 16):
        super().__init__()
        self.heads, self.d_k, self.dropout = heads, d_model // heads, dropout
        self.scale = self.d_k**-0.5
        self.W_Q, self.W_K, self.W_V, self.W_O = (nn.Linear(d_model, d_model) for _ in range(4))
        self.relative = Relative(distance, self.d_k) if positions == "relative" else None
        self.rotary = Rotary(self.d_k) if positions == "rotary" else None
        self.register_buffer("slopes", alibi_slopes(heads) if positions == "alibi" else None, persistent=False)
        self.q, self.k, self.v, self.lse, self.context, self.output = (HookPoint() for _ in range(6))

    def split(self, x: Tensor) -> Tensor:
        """[b, n, h·d_k] -> [b, h, n, d_k]."""
        return x.view(*x.shape[:-1], self.heads, self.d_k).transpose(-2, -3)

    def forward(self, x: Tensor, y: Tensor, mask: RuleMask) -> Tensor:
        q, k, v = self.split(self.W_Q(x)), self.split(self.W_K(y)), self.split(self.W_V(y))
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        q, k, v = self.q(q), self.k(k), self.v(v)
        dropout = self.dropout if self.training else 0.0
        if self.relative is not None:
            context, lse = attend_relative(q, k, v, self.scale, mask, self.relative, dropout)
        else:
            context, lse = attend(q, k, v, self.scale, mask, self.bias(q, k), dropout)
        context = self.context(context)
        if lse is not None:
            self.lse(lse)
        return self.output(self.W_O(context.transpose(-2, -3).flatten(-2)))

    def bias(self, q: Tensor, k: Tensor) -> Tensor | None:
        """ALiBi's addition to the scores, [h, q, k], or None."""
        return None if self.slopes is None else alibi_bias(self.slopes.to(q), q.shape[2], k.shape[2])


def entropy(weights: Float[Tensor, "*r k"]) -> Float[Tensor, "*r"]:
    """−Σ_j A_ij ln A_ij of each row, nats: ln k where a row is even, 0 where it is one key."""
    return torch.special.entr(weights).sum(-1)
