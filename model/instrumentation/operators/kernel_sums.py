"""The log-sum-exp of a fused attention kernel: what it gives beside its result, else made in blocks of rows.

The processor's kernel and flash attention on a graphics card give it anyway; the memory-efficient and the cuDNN one give an
empty tensor where no gradient is wanted.
"""

from __future__ import annotations

from torch import Tensor

from model.instrumentation.operators.recorder import Operation
from model.transformer.attention import log_sum_exp_in_blocks


def log_sum_exp_of(operation: Operation) -> Tensor:
    """[b, h, q], in float32 at least, of an operation that `is_kernel`; 0 for a row without a key."""
    given = operation.named()
    query, key = given["query"], given["key"]
    sums = operation.result[1]
    if sums.numel() >= query.shape[:3].numel():  # some kernels pad their rows
        return sums.reshape(*query.shape[:2], -1)[:, :, : query.shape[2]]
    scale = given.get("scale")
    scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
    mask = given.get("attn_mask", given.get("attn_bias"))
    return log_sum_exp_in_blocks(query, key, scale, mask, bool(given.get("is_causal")))
