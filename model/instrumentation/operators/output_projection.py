"""The output projection of an attention, found because it multiplies the very numbers of the context.

No name of a module is asked: W_O is the first matrix that reads the context, in some order of its axes, and b_O the
vector that is added to the product.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.notes import Output


def project(call: AttentionCall, x: Tensor, weight: Tensor, bias: Tensor | None, result: Tensor) -> Output | None:
    """Note W_O, b_O and the output of `call` where x [q, h · d_v] is its context, in some order of its axes.

    W_O is kept with its rows head by head.
    """
    heads, queries, width = call.context.shape
    fits = x.shape == (queries, heads * width) and weight.shape[0] == heads * width
    if call.projection is not None or not fits or (bias is not None and bias.dim() != 1):
        return None
    context = call.context.to(x.dtype)
    if _equal(x, context.transpose(0, 1).reshape(queries, -1)):
        call.projection = weight.detach()
    elif _equal(x, context.permute(1, 2, 0).reshape(queries, -1)):
        call.projection = weight.detach().reshape(width, heads, -1).transpose(0, 1).flatten(0, 1)
    else:
        return None
    call.projection_bias, call.output = bias, result
    return Output(call)


def _equal(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one, other) or torch.equal(one.nan_to_num(), other.nan_to_num())


def add_bias(call: AttentionCall, bias: Tensor, result: Tensor) -> None:
    """x W_O + b in two operators, where a linear layer reads memory that is not contiguous."""
    if bias.dim() == 1 and call.projection_bias is None:
        call.projection_bias, call.output = bias.detach(), result.reshape(call.output.shape)
