"""Following q · kᵀ from the product to W_O, operation by operation, for models that multiply it out themselves.

Every tensor on the way carries a note of what it is: scores (with the scale, and everything added or masked so far),
weights, context, output. A note ends with its tensor, so nothing q × k outlives the operation that the model used it in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.checkpoints.record.score_notes import HALF, Attended, Context, Output, Scaled, Scores, Weights, flat, number
from model.trace.mask_and_bias import is_masked

_VIEWS = {
    "view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "permute", "transpose", "t", "unsqueeze", "squeeze",
    "clone", "contiguous", "alias", "detach", "_to_copy", "slice", "select", "lift_fresh",
}  # fmt: skip
_REORDER = {"permute", "transpose", "t"}
_FUSED = {
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
}  # fmt: skip


@dataclass(eq=False)
class Chain:
    """`see` every operation; `attended(scores, tensor, weights, lse)` is called for each softmax over scores.

    tensor and weights [h, q, k] are what the softmax reads and gives, None in a fused kernel, which gives its lse
    instead. It returns what to keep of the call, None where the scores are not what the note says.
    """

    attended: Callable[[Scores, Tensor | None, Tensor | None, Tensor | None], Any]
    owner: Callable[[], Any] = lambda: None
    calls: list[Attended] = field(default_factory=list)
    lost: int = 0  # softmaxes that mixed something, but whose scores or weights could not be followed
    notes: WeakTensorKeyDictionary = field(default_factory=WeakTensorKeyDictionary)

    def note(self, tensor: object) -> Any:
        return self.notes.get(tensor) if isinstance(tensor, Tensor) else None

    def see(self, func: Any, args: tuple, kwargs: dict, result: Any) -> None:
        handler = _handler(func)
        if handler is not None:
            found = handler(self, func, args, kwargs, result)
            if found is not None:
                self.notes[result[0] if isinstance(result, tuple) else result] = found
                return
        if func._schema.is_mutable and self.note(args[0]) is not None:
            del self.notes[args[0]]  # changed in place in a way that is not followed


@cache
def _handler(func: Any) -> Callable | None:
    name = func.name().removeprefix("aten::").split(".")[0]
    name = name[:-1] if name.endswith("_") else name
    if name in _FUSED:
        return _fused
    return _view if name in _VIEWS else _HANDLERS.get(name)


def _view(chain: Chain, func, args, kwargs, result):
    note = chain.note(args[0])
    if isinstance(note, Scaled):
        return Scaled(func(note.source, *args[1:], **kwargs), note.factor)
    if isinstance(note, Scores):
        real = [size for size in result.shape if size != 1]
        if real != [size for size in note.shape if size != 1]:
            return None
        if func.name().removeprefix("aten::").split(".")[0] in _REORDER:
            # Strides tell the order of the axes that count: they must still fall from h to k.
            marked = func(torch.empty(args[0].shape, device="meta"), *args[1:], **kwargs)
            strides = [s for s, size in zip(marked.stride(), marked.shape, strict=True) if size != 1]
            if strides != sorted(strides, reverse=True):
                return None
        return replace(note, rounded=note.rounded or result.dtype in HALF)
    whole = note is not None and result.numel() == args[0].numel()
    return note if whole else None


def _scaled(chain: Chain, func, args, kwargs, result):
    note, factor = chain.note(args[0]), number(args[1])
    inverse = "div" in func.name()
    if factor is None:
        other = chain.note(args[1])
        if inverse or not isinstance(note or other, Scores):
            return None
        note, cells = (note, args[1]) if isinstance(note, Scores) else (other, args[0])
        cells = flat(cells)
        binary = cells is not None and bool(((cells == 0) | (cells == 1)).all())
        return replace(note, erased=(*note.erased, cells == 0)) if binary and not note.terms else None
    factor = 1 / factor if inverse and factor else factor
    if isinstance(note, Scores):
        return note.times(factor)
    if note is None and isinstance(args[0], Tensor) and args[0].dim() >= 3 and args[0].is_floating_point():
        return None if func._schema.is_mutable else Scaled(args[0], factor)
    return None


def _added(chain: Chain, func, args, kwargs, result):
    first, second = chain.note(args[0]), chain.note(args[1])
    sign = (-1.0 if "sub" in func.name() else 1.0) * float(kwargs.get("alpha", 1))
    if isinstance(first, Output) and isinstance(args[1], Tensor) and args[1].dim() == 1 and first.call.b_o is None:
        first.call.b_o, first.call.output = args[1], result.reshape(first.call.output.shape)
        return None
    if isinstance(first, Scores):
        return _with_term(first, args[1], sign)
    return _with_term(second, args[0], 1.0) if isinstance(second, Scores) and sign == 1 else None


def _with_term(scores: Scores, term: object, weight: float) -> Scores | None:
    if not isinstance(term, Tensor):
        if term == 0:
            return scores
        term = torch.tensor(float(term), dtype=scores.q.dtype)
    cells = flat(term)
    return None if cells is None else replace(scores, terms=(*scores.terms, (cells, weight)))


def _filled(chain: Chain, func, args, kwargs, result):
    scores, value = chain.note(args[0]), number(args[2])
    cells = flat(args[1])
    if not isinstance(scores, Scores) or value is None or not is_masked(value) or cells is None:
        return None
    return replace(scores, dropped=(*scores.dropped, cells))


def _where(chain: Chain, func, args, kwargs, result):
    if len(args) < 3:
        return None
    cells = flat(args[0])
    for scores, other, dropped in ((chain.note(args[1]), args[2], True), (chain.note(args[2]), args[1], False)):
        value = number(other)
        if isinstance(scores, Scores) and value is not None and is_masked(value) and cells is not None:
            return replace(scores, dropped=(*scores.dropped, ~cells if dropped else cells))
    return None


def _floor(chain: Chain, func, args, kwargs, result):
    scores, least = chain.note(args[0]), number(args[1])
    above = len(args) < 3 or args[2] is None
    return scores if isinstance(scores, Scores) and least is not None and is_masked(least) and above else None


def _product(chain: Chain, func, args, kwargs, result):
    added, a, b = args if len(args) == 3 else (None, *args)
    left, right = chain.note(a), chain.note(b)
    if isinstance(left, Weights):
        return _mixed(chain, left, a, b, result)
    if isinstance(left, Context):
        return _projected(left.call, a[0], b[0], None, result[0]) if a.shape[0] == 1 else None
    (q, by_q), (k, by_k) = (
        (n.source, n.factor) if isinstance(n, Scaled) else (t, 1.0) for n, t in ((left, a), (right, b))
    )
    scores = Scores(
        q, k.transpose(1, 2), by_q * by_k * float(kwargs.get("alpha", 1)), result.dtype in HALF, chain.owner()
    )
    beta = float(kwargs.get("beta", 1))
    return scores if added is None or beta == 0 else _with_term(scores, added, beta)


def _softmax(chain: Chain, func, args, kwargs, result):
    scores = chain.note(args[0])
    if args[1] not in (-1, args[0].dim() - 1) or args[0].dim() < 3:
        return None
    if not isinstance(scores, Scores):
        return Weights(None, None)
    tensor, weights = args[0].reshape(scores.shape), result.reshape(scores.shape)
    value = chain.attended(scores, tensor, weights, None)
    # A note must not hold the very tensor that it is the note of: neither would ever be let go.
    return None if value is None else Weights(Attended(scores.bare(), value), result.detach())


def _mixed(chain: Chain, note: Weights, weights: Tensor, v: Tensor, result: Tensor) -> Context | None:
    call = note.call
    followed = call is not None and tuple(weights.shape) == call.scores.shape and call.context is None
    if not followed or not _same(weights, note.tensor):
        chain.lost += 1
        return None
    call.v, call.context = v, result
    chain.calls.append(call)
    return Context(call)


def _same(weights: Tensor, made: Tensor) -> bool:
    """Whether these are the weights as the softmax made them, no axis moved about: by their memory or their numbers."""
    whole = weights.is_contiguous() and made.is_contiguous() and weights.dtype == made.dtype
    if whole and weights.data_ptr() == made.data_ptr():
        return True
    return torch.equal(weights, made.reshape(weights.shape).to(weights.dtype))


def _fused(chain: Chain, func, args, kwargs, result):
    names = [argument.name for argument in func._schema.arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    q, k, v = (given[name][0] for name in ("query", "key", "value"))
    scale, mask = given.get("scale"), given.get("attn_mask", given.get("attn_bias"))
    scores = Scores(q, k, q.shape[-1] ** -0.5 if scale is None else float(scale), False, chain.owner())
    if given.get("is_causal"):
        i, j = torch.arange(q.shape[1])[:, None], torch.arange(k.shape[1])[None]
        scores = replace(scores, dropped=((j > i)[None],))
    if mask is not None:
        cells = flat(mask)
        scores = (
            replace(scores, dropped=(~cells,)) if mask.dtype == torch.bool else replace(scores, terms=((cells, 1.0),))
        )
    value = chain.attended(scores, None, None, result[1][0, : q.shape[0], : q.shape[1]])
    if value is None:
        return None
    chain.calls.append(Attended(scores.bare(), value, v, result[0][0]))
    return Context(chain.calls[-1])


def _linear(chain: Chain, func, args, kwargs, result):
    bias, x, weight = args if len(args) == 3 else (None, *args)
    note = chain.note(x)
    return _projected(note.call, x, weight, bias, result) if isinstance(note, Context) else None


def _projected(call: Attended, x: Tensor, weight: Tensor, bias: Tensor | None, result: Tensor) -> Output | None:
    """x [q, h · d_v] is the context in some order of its axes: the rows of W_O are put in the order head, then d_v."""
    h, q, d_v = call.context.shape
    if call.w_o is not None or x.numel() != call.context.numel() or x.shape[0] != q:
        return None
    context = call.context.to(x.dtype)
    if torch.equal(x, context.transpose(0, 1).reshape(q, -1)):
        call.w_o = weight
    elif torch.equal(x, context.permute(1, 2, 0).reshape(q, -1)):
        call.w_o = weight.reshape(d_v, h, -1).transpose(0, 1).flatten(0, 1)
    else:
        return None
    call.b_o, call.output = bias, result
    return Output(call)


_HANDLERS = {
    "mul": _scaled, "div": _scaled, "add": _added, "sub": _added, "masked_fill": _filled, "where": _where,
    "clamp": _floor, "clamp_min": _floor, "maximum": _floor, "bmm": _product, "baddbmm": _product,
    "_softmax": _softmax, "_safe_softmax": _softmax, "mm": _linear, "addmm": _linear,
}  # fmt: skip
