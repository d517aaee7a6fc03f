"""Effective rank of a head's output (Roy & Vetterli 2007): how many directions it uses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from model.measures.measure import Measure, Need, Place, RecordValue

if TYPE_CHECKING:
    from torch import Tensor


def effective_rank(context: Tensor) -> Tensor:
    """exp(−Σ p ln p) with p the singular values of a head's context A·V [h, q, d_v] over their sum: float64 [h], 1 to d_v.

    Roy & Vetterli 2007, The effective rank, definition 1. Of the context and not of A: it is recorded, it is what the
    head hands on, and its Gram matrix is d_v × d_v at any length. NaN where the context is all zero or
    not all finite.
    """
    import torch

    finite = context.isfinite().all(-1).all(-1)
    z = context.double().masked_fill(~finite[:, None, None], 0)
    z = z / z.abs().amax((1, 2), keepdim=True).clamp(min=torch.finfo(z.dtype).tiny)  # the square of 1e160 is no number
    gram = z.transpose(1, 2) @ z if z.shape[1] > z.shape[2] else z @ z.transpose(1, 2)
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    # Below the rounding of the product a singular value is noise, of which many would add up.
    values = values.masked_fill(values < 1e-7 * values.amax(-1, keepdim=True), 0)
    p = values / values.sum(-1, keepdim=True)
    return (-torch.xlogy(p, p).sum(-1)).exp()


EFFECTIVE_RANK = Measure(
    "effective_rank",
    r"\exp\Big(-\sum_k p_k \ln p_k\Big),\quad p_k = \frac{\sigma_k(A V)}{\sum_l \sigma_l(A V)}",
    RecordValue(lambda record: effective_rank(record.context)),
    bounds=(1.0, math.inf),
    needs=(Need.CONTEXT,),
    costly=True,
    place=Place(screen=15, table=15),
)
