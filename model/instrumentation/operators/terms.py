"""Additive terms of the scores scale · q · kᵀ, split into the mask and the position bias (per offset, or dense).

A mask may come as booleans or as large negative numbers; a position bias may come alone or in the same tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.instrumentation.operators.notes import HALF, Scores
from model.trace.mask_and_bias import is_masked, per_offset


@dataclass(frozen=True, eq=False)
class ScoreTerms:
    """`allowed` bool [q, k]; `bias` by its kind: "" (none), "bias_offsets" [h, q + k − 1] or "bias" [h, q, k].

    masked: bool [h or 1, q or 1, k or 1], head by head. shift [h, q]: what was taken from every score of a row to write a
    bias of the key as one of the offset. `dense` says that "bias" holds h · q · k numbers of its own.
    """

    allowed: Tensor
    masked: Tensor
    kind: str = ""
    bias: Tensor | None = None
    shift: Tensor | None = None
    dense: bool = False


def split_terms(
    shape: tuple[int, int, int], terms: list[Tensor], dropped: list[Tensor], even_rows: bool = False
) -> ScoreTerms:
    """Tell apart the additive `terms` and the `dropped` cells (bool), each [h or 1, q or 1, k or 1], of h, q, k scores.

    even_rows: a row in which one term is low, yet finite, at every key is not masked: its weights are even, not 0.
    """
    _, q, k = shape
    device = next((part.device for part in [*terms, *dropped]), None)
    masked = torch.zeros(1, 1, 1, dtype=torch.bool, device=device)
    for cells in dropped:
        masked = masked | cells
    rest = []
    for term in terms:
        low = is_masked(term)
        if even_rows:
            low = low & (term.isneginf() | ~low.all(-1, keepdim=True))
        if bool(low.any()):
            masked = masked | low
            term = term.masked_fill(low, 0)
        if bool(term.any()):
            rest.append(term)
    common = masked.all(0)
    if masked.shape[0] > 1 and not torch.equal(common.expand_as(masked), masked):
        # The record has one mask for all heads: what only some heads mask is a bias of −∞ there.
        rest.append(torch.zeros(masked.shape, device=device).masked_fill(masked & ~common, -torch.inf))
    allowed = ~common.expand(q, k)
    if not rest:
        return ScoreTerms(allowed, masked)
    return _bias(shape, sum(rest[1:], rest[0]), allowed, masked)


def weighted(scores: Scores) -> list[Tensor]:
    """The additive terms of followed scores, at least in float32."""
    wide = [(term.float() if term.dtype in HALF else term, weight) for term, weight in scores.terms]
    return [term if isinstance(weight, float) and weight == 1 else term * weight for term, weight in wide]


def terms_of(scores: Scores, even_rows: bool = False) -> ScoreTerms | None:
    """The terms of followed scores; None where they passed what is neither scale, soft cap, mask nor bias."""
    found = split_terms(scores.shape, weighted(scores), list(scores.dropped), even_rows)
    erased = any(bool((cells & found.allowed).any()) for cells in scores.erased)
    return None if erased or scores.opaque else found


def _bias(shape: tuple[int, int, int], total: Tensor, allowed: Tensor, masked: Tensor) -> ScoreTerms:
    h, q, k = shape
    if total.shape[1] > 1 or total.shape[2] == 1:
        found = per_offset(total.expand(-1, q, k), allowed)
        if found is not None:
            return ScoreTerms(allowed, masked, "bias_offsets", found.expand(h, -1).contiguous())
    keys = _per_key(total.expand(-1, -1, k), allowed)
    if keys is None:
        return ScoreTerms(allowed, masked, "bias", total.expand(h, q, k), dense=True)
    keys = keys.expand(h, k)
    line = _line(keys, allowed.any(0))
    if line is None:
        return ScoreTerms(allowed, masked, "bias", keys[:, None].expand(h, q, k))
    slope, start = line
    # slope · j + start = slope · (j − i) + (slope · i + start): a softmax does not see what its whole row has in common.
    offsets = slope * torch.arange(1 - q, k, dtype=torch.float64, device=keys.device)
    shift = slope * torch.arange(q, dtype=torch.float64, device=keys.device) + start
    return ScoreTerms(allowed, masked, "bias_offsets", offsets.to(keys.dtype), shift.to(keys.dtype))


def with_nan_rows(terms: ScoreTerms, shape: tuple[int, int, int], lost: Tensor) -> ScoreTerms:
    """The terms where the softmax of some rows, `lost` bool [h, q, 1], gave NaN (all of −∞, say): a bias of NaN there.

    The record has one mask for all heads, so what it masked of these rows in the other heads is a bias of −∞.
    """
    h, q, k = shape
    if terms.kind == "bias_offsets":
        i, j = (torch.arange(n, device=lost.device) for n in (q, k))
        bias = terms.bias[:, j[None] - i[:, None] + q - 1]
    else:
        bias = torch.zeros(h, q, k, device=lost.device) if terms.bias is None else terms.bias.expand(h, q, k).clone()
    rows = lost.any(0)  # [q, 1]
    bias = bias.masked_fill(rows & ~terms.allowed, -torch.inf).masked_fill(lost, torch.nan)
    return ScoreTerms(terms.allowed | rows, terms.masked, "bias", bias, terms.shift, dense=True)


def _per_key(bias: Tensor, allowed: Tensor) -> Tensor | None:
    """[h, q or 1, k] -> [h, k] where the allowed cells depend on the key alone; keys never allowed are 0."""
    if bias.shape[1] == 1:
        return bias[:, 0]
    keys = torch.arange(bias.shape[2], device=bias.device)
    values = bias[:, allowed.to(torch.uint8).argmax(0), keys].masked_fill(~allowed.any(0), 0)
    for head, row in zip(bias, values, strict=True):
        if not bool(((row == head) | ~allowed).all()):
            return None
    return values


def _line(keys: Tensor, seen: Tensor) -> tuple[Tensor, Tensor] | None:
    """keys [h, k] -> float64 (slope [h, 1], start [h, 1]) where the seen keys lie on a line up to rounding (ALiBi)."""
    j = torch.arange(keys.shape[1], device=keys.device)[seen]
    values = keys[:, seen].double()
    if j.numel() < 3 or not bool(values.isfinite().all()):
        return None
    slope = (values[:, -1:] - values[:, :1]) / (j[-1] - j[0])
    start = values[:, :1] - slope * j[0]
    error = (slope * j + start - values).abs().max()
    return (slope, start) if error <= torch.finfo(keys.dtype).eps * values.abs().max() else None


def reproduces(scores: Scores, terms: ScoreTerms, weights: Tensor) -> bool:
    """Whether what was followed gives the weights [h, q, k] that the model really had: checked on four rows of every head."""
    rows = torch.linspace(0, weights.shape[1] - 1, 4).long().unique().to(weights.device)
    wide = torch.promote_types(scores.q.dtype, torch.float32)
    q, k = scores.q[:, rows].to(wide), scores.k.to(wide)
    again = scores.scale * (q @ k.transpose(1, 2))
    if scores.softcap is not None:
        again = scores.softcap * torch.tanh(again / scores.softcap)
    if terms.kind == "bias_offsets":
        offsets = torch.arange(weights.shape[2], device=rows.device)[None] - rows[:, None] + weights.shape[1] - 1
        again = again + terms.bias[:, offsets]
    elif terms.kind:
        again = again + terms.bias[:, rows]
    allowed = terms.allowed[rows]
    again = again.masked_fill(~allowed, -torch.inf).softmax(-1)
    real = allowed.any(-1)
    error = (again[:, real].nan_to_num() - weights[:, rows][:, real].to(wide).nan_to_num()).abs()
    # A score is a sum of d_k products, rounded in the module's own precision: large ones leave the weights fewer digits.
    size = q.norm(dim=-1).amax() * k.norm(dim=-1).amax() * abs(scores.scale)
    halves = [part.dtype for part in (scores.q, weights) if part.dtype in HALF] or (HALF if scores.rounded else [])
    # Scores made in float32 stay so when a float64 mask is added to them.
    eps = max(torch.finfo(part.dtype).eps for part in (scores.q, scores.k, weights))
    bound = 16 * eps * (10 + size)
    if (
        halves
    ):  # a weight moves by at most a quarter of what its score does, which was rounded when made and when scaled
        bound = max(torch.finfo(dtype).eps for dtype in halves) * (2 + size / 2)
    return not error.numel() or bool((error <= bound).all())


def log_sum_exp(scores: Scores, terms: ScoreTerms, tensor: Tensor | None, weights: Tensor | None, lse: Tensor | None
) -> Tensor | None:  # fmt: skip
    """The log-sum-exp [h, q] of the scores as the record has them: of a kernel's `lse`, or of the scores and weights.

    0 for a row with no key: its weights are then exp(−∞ − 0) = 0. None where half precision has rounded the scores.
    """
    if lse is None and (scores.rounded or (weights is not None and weights.dtype in HALF)):
        return None
    if lse is None:  # of each row's largest cell: log w = s − lse, without a second pass of exponentials
        lse = (tensor.amax(-1) - weights.amax(-1).log()).to(weights.dtype)  # no better than what it is made of
    lse = lse if terms.shift is None else lse - terms.shift
    return lse.masked_fill(~(terms.allowed.any(-1) & lse.isfinite()), 0)
