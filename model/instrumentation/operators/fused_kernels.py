"""A fused attention kernel: its scores as they are followed elsewhere, and their log-sum-exp.

The log-sum-exp is what the kernel gives beside its result, else made in blocks of rows. The processor's kernel and flash
attention on a graphics card give it anyway; the memory-efficient and the cuDNN one give an empty tensor where no gradient is
wanted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.instrumentation.operators import layout
from model.instrumentation.operators.notes import Scores
from model.instrumentation.operators.recorder import Frame, Operation
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


def scores_of(operation: Operation, owner: Frame | None) -> Scores | None:
    """The scores that a kernel reads, one example's; None where its mask cannot be laid over them."""
    given = operation.named()
    query, key, mask = given["query"], given["key"], given.get("attn_mask", given.get("attn_bias"))
    q, k, scale = query[0], key[0], given.get("scale")
    shape = torch.Size((*query.shape[:3], key.shape[2]))
    scale = q.shape[-1] ** -0.5 if scale is None else float(scale)
    scores = Scores(q, k, (query, key), layout.contiguous(shape), scale, owner=owner, inner=(-1, -1))
    if given.get("is_causal"):
        i, j = (torch.arange(size, device=q.device) for size in shape[2:])
        scores = scores.without((j[None] > i[:, None])[None])
    if mask is None:
        return scores
    cells = scores.cells(mask, shape)
    if cells is None:
        return None
    return scores.without(~cells) if mask.dtype == torch.bool else scores.plus(cells)
