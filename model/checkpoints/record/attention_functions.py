"""Attention as the library computes it, for the functions that its registry calls: fused, eager, or in blocks of rows."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.instrumentation.operators.fused_kernels import log_sum_exp_of
from model.instrumentation.operators.recorder import Operation, OperatorRecorder
from model.transformer.attention import softmax

_BLOCK = 256


@dataclass(frozen=True)
class AttentionInput:
    """What the library hands to an attention function: query [b, h, q, d_k], key [b, h_kv, k, d_k], value [b, h_kv, k, d_v]."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scaling: float | None
    dropout: float
    options: dict[str, Any]

    @property
    def softcap(self) -> float | None:
        return self.options.get("softcap")

    @property
    def sinks(self) -> Tensor | None:
        return self.options.get("s_aux", self.options.get("sinks"))

    @property
    def bias(self) -> Tensor | None:
        """What is added to the scores [b or 1, h, q, k]."""
        return self.options.get("position_bias")

    @property
    def scale(self) -> float:
        return float(self.query.shape[-1] ** -0.5 if self.scaling is None else self.scaling)


def _keep_log_sum_exp(operation: Operation, sums: list[Tensor]) -> None:
    if operation.is_kernel:
        sums.append(log_sum_exp_of(operation))


def fused(module: nn.Module, given: AttentionInput, with_lse: bool) -> tuple[Tensor, Tensor | None]:
    """The library's scaled-dot-product attention; with_lse: also the log-sum-exp that its kernel returns anyway."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    def run() -> Tensor:
        return sdpa_attention_forward(
            module, given.query, given.key, given.value, given.mask, dropout=given.dropout, scaling=given.scaling,
            **given.options,
        )[0]  # fmt: skip

    if not with_lse:
        return run(), None
    sums: list[Tensor] = []
    operators = OperatorRecorder()
    operators.followers.append(lambda operation: _keep_log_sum_exp(operation, sums))
    with operators:
        context = run()
    return context, sums[-1] if sums else None


def eager(module: nn.Module, given: AttentionInput, with_lse: bool) -> tuple[Tensor, Tensor | None]:
    """The eager attention of the file that the module's class stands in; it tells no log-sum-exp."""
    own = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    if own is None:
        return blocked(given, causal=False)
    context = own(
        module, given.query, given.key, given.value, given.mask, scaling=given.scaling, dropout=given.dropout,
        **given.options,
    )[0]  # fmt: skip
    return context, None


def blocked(given: AttentionInput, causal: bool) -> tuple[Tensor, Tensor]:
    """Attention in blocks of rows for what the fused kernel lacks -> (context [b, q, h, d_v], lse [b, h, q])."""
    q, k, v, softcap, sinks, mask = given.query, given.key, given.value, given.softcap, given.sinks, given.mask
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    contexts, sums = [], []
    for start in range(0, q.shape[2], _BLOCK):
        rows = slice(start, min(start + _BLOCK, q.shape[2]))
        scores = (q[:, :, rows] @ k.transpose(-1, -2)) * given.scale
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if given.bias is not None:
            scores = scores + given.bias[:, :, rows]
        if mask is not None:
            tile = mask[:, :, rows, : k.shape[2]]
            scores = scores.masked_fill(~tile, -torch.inf) if tile.dtype == torch.bool else scores + tile
        elif causal:
            i = torch.arange(rows.start, rows.stop, device=q.device)[:, None]
            scores = scores.masked_fill(torch.arange(k.shape[2], device=q.device)[None] > i, -torch.inf)
        # Half-precision scores are summed in float32, as the fused kernels do; wider ones keep their width.
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        weights, lse = softmax(scores, None if sinks is None else sinks.to(scores.dtype).reshape(1, -1, 1, 1))
        contexts.append(weights.to(q.dtype) @ v)
        sums.append(lse)
    return torch.cat(contexts, 2).transpose(1, 2).contiguous(), torch.cat(sums, 2)
