"""The output projection of an attention, found because it multiplies the very numbers of the context.

No name of a module is asked: W_O is the first matrix that reads the context, in some order of its axes, and b_O the
vector that is added to the product. Where a module of several matrices reads the context (LoRA: Hu et al. 2021, section 4.1),
its effective W_O is what it makes of the unit vectors, believed only if it makes the recorded output of the context.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import permutations

import torch
from torch import Tensor, nn

from model.instrumentation.operators.attention_call import AttentionCall, exchange_heads
from model.instrumentation.operators.notes import Context, Output
from model.instrumentation.operators.recorder import Frame, first_output
from model.jobs.device import device_of
from model.trace.rounding import allowed_product

_ATTENTION = re.compile("att|mha", re.IGNORECASE)


def project(call: AttentionCall, x: Tensor, weight: Tensor, bias: Tensor | None, result: Tensor) -> Output | None:
    """Note W_O, b_O and the output of `call` where x [q, h · d_v] is its context, in some order of its axes.

    W_O is kept with its rows head by head. Heads on several axes are put in the order in which W_O reads them.
    """
    heads, queries, width = call.context.shape
    fits = x.shape == (queries, heads * width) and weight.shape[0] == heads * width
    if call.projection is not None or not fits or (bias is not None and bias.dim() != 1):
        return None
    for order in list(permutations(range(len(call.head_sizes))))[1:7]:
        own = call.context.unflatten(0, call.head_sizes).permute(*order, -2, -1).flatten(0, -3)
        if call.make_bias is None and _equal(x, own.to(x.dtype).transpose(0, 1).reshape(queries, -1)):
            exchange_heads(call, order)
            break
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


def effective_matrix(module: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor] | None:
    """(W [m, d], b [d]) of a module that gave y [n, d] for x [n, m]; None where no matrix and vector give that.

    To be called when nothing is recorded: the module runs twice, where its own parameters lie.
    """
    there, here = device_of(module), x.device
    x, y = x.to(there), y.to(there)
    unit = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    try:
        with torch.no_grad():
            b = module(torch.zeros_like(unit[None, :1]))[0, 0]
            W = module(unit[None])[0] - b
    except (TypeError, IndexError, RuntimeError):  # it takes or gives something else
        return None
    if W.shape != (x.shape[1], y.shape[1]) or b.shape != y.shape[1:]:
        return None
    # Twice: W and b were computed as y was, each with roundings of its own.
    apart = (x.double() @ W.double() + b.double() - y.double()).abs()
    return (W.to(here), b.to(here)) if bool((apart <= 2 * allowed_product(x, W, b, y.dtype)).all()) else None


def given(
    calls: list[AttentionCall], read: object, frame: Frame, out: object, keep: Callable[[Tensor], Tensor]
) -> None:
    """A module gave `out`. read: the note of its only input. It was a projection of several matrices if that is a context; if
    it held all of the last attention its output is that of the sub-layer, whatever one matrix in it made, unless it is a
    whole block or model by its name.
    """
    first = first_output(out)
    if first is None or not calls:
        return
    if isinstance(read, Context) and read.call.output is not None and first.numel() % read.call.q.shape[1] == 0:
        call, made = read.call, first.detach().reshape(read.call.q.shape[1], -1)
        if made.shape != call.output.shape or not torch.equal(made, call.output):
            call.output, call.projector = keep(made), frame.module
    last = calls[-1]
    if last.output is None or not last.path or last.path[-1][0] != frame.name:
        return
    told = _ATTENTION.search(frame.name.rpartition(".")[2]) or _ATTENTION.search(type(frame.module).__name__)
    if told and differs(frame.module, (*frame.args, *frame.kwargs.values()), last.output, first):
        last.output = keep(first.detach().reshape(last.output.shape))
        last.projection, last.projection_bias, last.projector = None, None, None


def differs(module: nn.Module, inputs: tuple, output: Tensor, given: Tensor) -> bool:
    """Whether an attention module gave something else than its projection's `output`: as many numbers, but other ones.

    Modules that add the residual themselves (BLOOM), and normalise the sum (XLNet), give no other output.
    """
    if given.numel() != output.numel() or _equal(given.reshape(output.shape), output):
        return False
    streams = [a for a in inputs if isinstance(a, Tensor) and a.is_floating_point() and a.numel() == output.numel()]
    sums = [output + stream.reshape(output.shape) for stream in streams]
    norms = [part for part in module.children() if isinstance(part, nn.LayerNorm)]
    with torch.no_grad():
        found = [*sums, *(norm(each) for norm in norms for each in sums)]
    return not any(_equal(given.reshape(output.shape), each) for each in found)


def settle(call: AttentionCall) -> None:
    """Make W_O and b_O of `call.projector`, where a module of several matrices read the context; after the run."""
    if call.projector is None:
        return
    x = call.context.transpose(0, 1).reshape(call.context.shape[1], -1)
    found = effective_matrix(call.projector, x, call.output)
    call.projection, call.projection_bias = found or (None, None)
    call.projector = None
