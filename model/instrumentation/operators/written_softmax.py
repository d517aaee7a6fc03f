"""A softmax that a module writes out: exp(s) over its sum, exp of a log-softmax, a softmax with a sink beside the scores.

No operator says that it is one. Where a tensor that was made of scores, by operators that are not read, multiplies values, it
is held against them: weights are a softmax if each row is exp(scores − one number), and adds up to no more than 1 (a sink has
the rest: Xiao et al. 2023, section 3.2; the library's GPT-OSS).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.instrumentation.operators.notes import HALF, Scores, Weights
from model.instrumentation.operators.recorder import COPIES, Operation
from model.instrumentation.operators.regroup import heads_apart
from model.instrumentation.operators.score_reader import ScoreReader


@dataclass(frozen=True, eq=False)
class Widened:
    """Scores with columns beside them that are no keys: `scores` are those from `start` on along `axis`, `size` of them; None
    where the others are scores too.
    """

    scores: Scores | None
    axis: int
    start: int
    size: int

    def normalised(self) -> Widened:
        """After a softmax."""
        return replace(self, scores=replace(self.scores, normalised=True))

    def after(self, operation: Operation) -> Widened | Scores | None:
        """What a view or an operator of one cell makes of them; the scores, not read, where the other columns are left out."""
        result, given = operation.result, next(arg for arg in operation.args if isinstance(arg, Tensor))
        if operation.name in COPIES or (operation.name != "slice" and result.shape == given.shape):
            return self
        named = operation.named()
        if operation.name != "slice" or named["dim"] % given.dim() != self.axis or named.get("step", 1) != 1:
            return None
        start, stop, _ = slice(named.get("start"), named.get("end")).indices(given.shape[self.axis])
        return self.scores if (start, stop) == (self.start, self.start + self.size) else None


def padded(operation: Operation, scores: Scores) -> Widened | None:
    """The note of scores with a column or more of one number beside them."""
    given, pad = operation.args[0], operation.named()["pad"]
    axes = [given.dim() - 1 - at // 2 for at, size in enumerate(pad) if size]
    if len(set(axes)) != 1 or min(pad) < 0:
        return None
    at = 2 * (given.dim() - 1 - axes[0])
    return Widened(scores.unknown(), axes[0], pad[at], given.shape[axes[0]])


def widened(operation: Operation, notes: list[object]) -> Widened | None:
    """The note of a concatenation of scores with something that is none: a learned sink, say."""
    parts, found = operation.args[0], [at for at, note in enumerate(notes) if isinstance(note, Scores)]
    if not found or len(parts) < 2:
        return None
    axis = operation.named().get("dim", 0) % operation.result.dim()
    if len(found) > 1:
        return Widened(None, axis, 0, 0)
    start = sum(part.shape[axis] for part in parts[: found[0]])
    return Widened(notes[found[0]].unknown(), axis, start, parts[found[0]].shape[axis])


def written_softmax(note: Scores, weights: Tensor, reader: ScoreReader) -> Weights | None:
    """The weights that a tensor is, made of the scores of `note` by operators that are not read; None where it is no softmax."""
    if note.known is None or not note.normalised:  # by a sum over the keys
        return None
    scores = replace(note.known, layout=note.layout).with_keys_on(weights.dim() - 1)
    scores = None if scores is None else heads_apart(scores, reader.projection(scores.factors[0]))
    cells = None if scores is None else scores.cells(weights, weights.shape)
    found = None if cells is None else _as_softmax(scores, cells)
    if found is None:
        return None
    call = reader.softmax(found[0], None, cells, found[1], weights.shape)
    return None if call is None else Weights(call, found[0].layout)


def _as_softmax(scores: Scores, weights: Tensor) -> tuple[Scores, Tensor] | None:
    """(scores, log-sum-exp [h, q]) of which `weights` [h, q, k] are exp(scores − log-sum-exp), cell by cell; None where not.

    A cell of weight 0 whose score says more was masked after the scores. What a row lacks to 1 is its sink's, which is one
    number a head.
    """
    scores, _ = scores.without_row_terms()
    made = scores.scale * (scores.q.double() @ scores.k.double().mT)
    if scores.softcap is not None:
        made = scores.softcap * torch.tanh(made / scores.softcap)
    for term, weight in scores.terms:
        made = made + term * weight
    for cells in (*scores.dropped, *scores.erased):
        made = made.masked_fill(cells, -torch.inf)
    given = weights.double()
    shares = given.sum(-1)
    keys = made.masked_fill(given == 0, -torch.inf).logsumexp(-1)
    again = (made - (keys - shares.log())[..., None]).exp().nan_to_num()
    masked = (given == 0) & (again > torch.finfo(torch.float32).eps)
    eps = _rounding(scores, weights)
    # An exponential is as far off, as a part of itself, as its exponent is.
    size = scores.q.norm(dim=-1).amax().double() * scores.k.norm(dim=-1).amax().double() * abs(scores.scale)
    part = eps * (2 + size / 2)
    off = (again.masked_fill(masked, 0) - given).abs() > part * given + torch.finfo(torch.float32).tiny
    if bool(off.any()) or bool((given < 0).any()) or bool((shares > 1 + part).any()):
        return None
    sinks = _sinks(keys, shares, eps, part)
    if sinks is None:
        return None
    dropped = (*scores.dropped, *scores.erased, *([masked] if bool(masked.any()) else []))
    scores = replace(
        scores, dropped=dropped, erased=(), sinks=None if sinks.isneginf().all() else sinks.to(scores.q.dtype)
    )
    return scores, torch.logaddexp(keys, sinks[:, None]).to(torch.promote_types(scores.q.dtype, torch.float32))


def _rounding(scores: Scores, weights: Tensor) -> float:
    """What one operator may be off by, as a part of its result; many that are rounded to float32 or finer count as 64."""
    known = [dtype for dtype in (scores.q.dtype, weights.dtype) if dtype in HALF]
    if known or scores.rounded:
        return max(torch.finfo(dtype).eps for dtype in known or HALF)
    return 64 * max(torch.finfo(dtype).eps for dtype in (scores.q.dtype, weights.dtype))


def _sinks(keys: Tensor, shares: Tensor, least: float, part: Tensor) -> Tensor | None:
    """The score [h] of each head's sink, −∞ for none: keys, shares [h, q] are the log-sum-exp and the weights of all keys.

    None where no one number a head leaves its rows what they lack to 1, up to `part`; what is under `least` is rounding.
    """
    real = keys.isfinite() & (shares > 0)  # a row without a key says nothing
    lacks = (1 - shares).clamp(min=0).masked_fill(~real, 0)
    # e^sink · shares_i · e^−keys_i = lacks_i, over all rows, so that their roundings even out.
    unit = (shares.log() - keys).masked_fill(~real, -torch.inf).logsumexp(-1)
    sinks = torch.where(lacks.amax(-1) > least, lacks.sum(-1).log() - unit, -torch.inf)
    left = torch.sigmoid(keys - sinks[:, None])
    return sinks if bool(((left - shares).abs() <= part)[real].all()) else None
