"""Fidelity of a record: the largest difference from what the model computed, against bounds on rounding error.

Where one sum feeds the next (scores, softmax, context, W_O) each number carries the variance of its error along: to first
order d(A v) = Σ_j A_j (v_j − A v) ds_j, and the variance of x · W is that of x times W². What one sum may be off by is said
in `model.trace.rounding`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.trace.attention_record import AttentionRecord
from model.trace.difference import apart as differences
from model.trace.rounding import FEW, allowed, product, unit_roundoff
from model.transformer.attention import softmax

# Up to here every row is checked; of a longer input this many, evenly spaced, because one row costs O(h · n · d).
ALL_ROWS = 256
SOME_ROWS = 64
_STOPS = 16
_UNTOLD = 256  # terms of a sum of numbers about 1, where nothing tells how many there are


@dataclass(frozen=True)
class Fidelity:
    """Largest absolute differences, in the unit of the activations, and what the numbers allow.

    sites: per sub-layer, softmax(q kᵀ · scale + mask) · v · W_O, computed in float64 from the record, against the
    module's own output; where W_O is not one matrix that is known, without it, against the module's own context: `compared`
    says which, "output" or "context", or "lse" where the log-sum-exp is off. logits_error: the recorded run against the
    model as its own library or author runs it, untouched (None without logits). rows: how many query rows of each long
    sub-layer were checked, None where all were. limits: how large the difference may be where the numbers of a sub-layer
    allow most. relative: the largest difference as a part of what its own number allows, so that large numbers and small
    ones are judged alike; above 1 the record does not hold.
    """

    sites: dict[str, float] = field(default_factory=dict)
    logits_error: float | None = None
    rows: int | None = None
    limits: dict[str, float] = field(default_factory=dict)
    relative: dict[str, float] = field(default_factory=dict)
    logits_limit: float | None = None
    compared: dict[str, str] = field(default_factory=dict)

    @property
    def max_error(self) -> float:
        """NaN where any figure is, or where nothing was measured: neither may pass for a good figure."""
        return max(self.sites.values(), key=share_or_worst, default=math.nan)

    @property
    def holds(self) -> bool:
        """Whether every figure is as near as its arithmetic allows; NaN does not hold, nor does nothing measured."""
        return bool(self.sites) and all(map(self.holds_at, self.sites)) and self.logits_hold

    @property
    def told(self) -> str:
        """The result in words: "checks to …", "does not check: …" with the sub-layer that is furthest off, or "not checked"."""
        if not self.logits_hold:
            return f"does not check: logits {self.logits_error:.1e} off the untouched model’s"
        if not self.sites:
            return "not checked"
        logits = "" if self.logits_error is None else f", logits to {self.logits_error:.1e}"
        worst = self.worst(self.sites)
        if not self.holds_at(worst):
            what = self.compared.get(worst, "output").replace("lse", "log-sum-exp")
            return f"does not check: {worst} is {self.sites[worst]:.1e} off the module’s own {what}{logits}"
        kinds = " or ".join(sorted(set(self.compared.values()), reverse=True)) or "output"
        return f"checks to {self.max_error:.1e} of the modules’ own {kinds}{logits}"

    def worst(self, sites: Iterable[str]) -> str:
        """Of these the one that checks least well: where one fails, by what its numbers allow; "" where none was measured."""
        known = [site for site in sites if site in self.sites]
        figure = self.sites.get if all(map(self.holds_at, known)) else self.relative_at
        return max(known, key=lambda site: share_or_worst(figure(site)), default="")

    def holds_at(self, site: str) -> bool:
        """Whether one sub-layer's figure is within what is allowed; one that was not measured is not known to fail."""
        return site not in self.sites or self.relative_at(site) <= 1

    def relative_at(self, site: str) -> float:
        """One sub-layer's error as a part of what its numbers allow; of a figure without that, of numbers about 1."""
        known = self.relative.get(site)
        return self.sites[site] / self.limits.get(site, allowed(1.0, _UNTOLD)) if known is None else known

    @property
    def logits_hold(self) -> bool:
        """Whether the recorded run's logits are a plain run's; bit for bit is not asked of modules that are run anew."""
        limit = allowed(1.0, _UNTOLD) if self.logits_limit is None else self.logits_limit
        return self.logits_error is None or self.logits_error <= limit


@dataclass(frozen=True)
class Checked:
    """One sub-layer: max |implied − real|, the most that any of its numbers is allowed, the largest share of that, and what
    was compared: "output", "context" or, where it is off, "lse"."""

    error: float
    limit: float
    relative: float
    compared: str = "output"


def allowed_context(record: AttentionRecord, head: int, rows: slice | Tensor = slice(None)) -> Tensor:
    """How far each number of one head's softmax(q kᵀ · scale + mask) · v may be off: float64 [rows, d_v]."""
    return FEW * _context(record, head, rows)[1].sqrt()


def allowed_output(
    record: AttentionRecord, W_O: Tensor, b_O: Tensor | None, rows: slice | Tensor = slice(None)
) -> Tensor:
    """How far each number of the sub-layer's output may be off, by its scores, softmax, context and W_O: float64 [rows, d]."""
    implied = [_context(record, head, rows) for head in range(record.heads)]
    return FEW * _output(record, W_O, b_O, implied)[1].sqrt()


def share_or_worst(share: float) -> float:
    """An error as a part of what is allowed, to find the worst by: NaN is worse than any number."""
    return math.inf if math.isnan(share) else share


def rows_checked(queries: int) -> slice | Tensor:
    """Every row of a short input; of a long one `SOME_ROWS`, evenly spaced, the first and the last among them."""
    return slice(None) if queries <= ALL_ROWS else torch.linspace(0, queries - 1, SOME_ROWS).round().long()


def _rows_checked(record: AttentionRecord, part: str) -> slice | Tensor:
    """`rows_checked`, and of a long input the first rows in which the module's own numbers are NaN."""
    rows = rows_checked(record.queries)
    if isinstance(rows, slice) or not record.has(part):
        return rows
    own = record.output if part == "output" else record.context.transpose(0, 1).flatten(1)
    lost = (~own.isfinite().all(-1)).nonzero().flatten()[:SOME_ROWS]
    return torch.cat([rows, lost]).unique()


def check(record: AttentionRecord, W_O: Tensor | None, b_O: Tensor | None) -> Checked | None:
    """What the record implies against what the sub-layer computed, over the rows checked; NaN where any real row is.

    The output where W_O is known, unless a context or a log-sum-exp that was recorded beside it is off: pictures use them
    too, and what is compared with the output is made of neither. None where the record has neither an output with its W_O
    nor a context, or no number of it is finite: nothing can be checked. NaN is as right as any number where the module gave
    it too, and wrong where it did not.
    """
    known = W_O is not None and record.has("output")
    if not known and not record.has("context"):
        return None
    rows = _rows_checked(record, "output" if known else "context")
    implied = [_context(record, head, rows) for head in range(record.heads)]
    contexts = [
        _compared(*each, record.head("context", head, torch.float64)[rows], "context")
        for head, each in enumerate(implied if record.has("context") else ())
    ]
    sums = [_log_sums(record, head, rows) for head in range(record.heads if sums_are_used(record) else 0)]
    worst = _worst(contexts + sums)
    if worst is not None and not worst.relative <= 1:
        return worst
    if not known:
        return _worst(contexts)
    return _compared(*_output(record, W_O, b_O, implied), record.output[rows], "output")


def _worst(found: list[Checked | None]) -> Checked | None:
    return max(filter(None, found), key=lambda each: share_or_worst(each.relative), default=None)


def sums_are_used(record: AttentionRecord) -> bool:
    """Whether a tile is made with the recorded log-sum-exp: it is there, and q and k are not rounded to less than it was of."""
    exact = record.store.first(f"{record.site}.q", 0).dtype in (torch.float32, torch.float64)
    return exact and record.has("lse")


def _compared(implied: Tensor, variance: Tensor, real: Tensor, what: str) -> Checked | None:
    apart, limits = differences(implied, real), FEW * variance.sqrt().nan_to_num(0)
    if not bool(apart.any() | (implied.isfinite() & real.isfinite()).any()):
        return None
    relative = torch.where(apart == 0, apart, apart / limits)
    return Checked(apart.max().item(), limits.max().item(), relative.max().item(), what)


def dtype_of(record: AttentionRecord) -> torch.dtype:
    """What the sub-layer computed in: the coarsest of the dtypes of q, k, v and of the log-sum-exp, the softmax's own."""
    parts = [record.store.first(f"{record.site}.{part}", 0) for part in ("q", "k", "v", "lse") if record.has(part)]
    return max((part.dtype for part in parts), key=unit_roundoff)


def _context(record: AttentionRecord, head: int, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
    """One head's A · v as the record implies it and the variance of its error: float64 [rows, d_v] each."""
    u = unit_roundoff(dtype_of(record))
    q, k, v = (record.head(name, head, torch.float64) for name in "qkv")
    scores = record.scores(head, rows, dtype=torch.float64)
    # As `record.weights`, whose scores are needed too.
    weights, _ = softmax(scores, record.sink(head, torch.float64, rows))
    value = record.times_values(head, weights, rows)
    k_squares, v_squares = k.square(), v.square()
    # A vector of the offset is added to each key and value: the largest, dimension by dimension.
    if record.distance is not None:
        k_squares, v_squares = (
            2 * (squares + record.store[f"{record.site}.relative_{name}"].double().square().amax(0))
            for squares, name in ((k_squares, "keys"), (v_squares, "values"))
        )
    terms = record.scale**2 * (q[rows].square() @ k_squares.T)
    size = torch.maximum(scores.masked_fill(~scores.isfinite(), 0).square(), terms)
    moved = weights.square() * (record.d_k * u**2 * size)  # the variance of A_j ds_j
    spread = moved @ v_squares - 2 * value * (moved @ v) + value.square() * moved.sum(-1, keepdim=True)
    passed = torch.maximum(torch.maximum(_passed(weights, v), value.square()), weights.square() @ v_squares)
    own = record.keys * u**2 * passed
    # exp(s − lse) is off by u · |s| itself, alike in the whole row: of this check, and of keys that were read block by block.
    shared = (u * value).square() * size.amax(-1, keepdim=True)
    return _handed_on(record, head, rows, value, spread.clamp_min(0) + own + shared)


def _handed_on(
    record: AttentionRecord, head: int, rows: slice | Tensor, value: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """A context and its variance, with what an edit makes of them."""
    if record.edits is None:
        return value, variance
    given, u = record.edits.handed_on(value[None], [head], rows)[0], unit_roundoff(dtype_of(record))
    factor = record.edits.handed_on(torch.ones_like(value)[None], [head], rows, once=False)[0]
    return given, variance * factor.square() + (u * given).square()


def _passed(weights: Tensor, v: Tensor) -> Tensor:
    """The square of the largest sum that A · v passes through on its way over the keys, at `_STOPS` places: [rows, d_v].

    Values that change sign along the text (a sound and then silence) add up far and come back.
    """
    blocks = zip(weights.tensor_split(_STOPS, 1), v.tensor_split(_STOPS), strict=True)
    return torch.stack([part @ own for part, own in blocks]).cumsum(0).square().amax(0)


def _log_sums(record: AttentionRecord, head: int, rows: slice | Tensor) -> Checked | None:
    """One head's log Σ_j exp(score) against the recorded one, of the rows that have one: where a score is NaN so is the row."""
    some = torch.arange(record.queries)[rows]
    scores = record.scores(head, some, dtype=torch.float64)
    held = ~scores.isneginf().all(-1) & ~scores.isnan().any(-1)
    some, scores = some[held], scores[held]
    q, k = (record.head(name, head, torch.float64) for name in "qk")
    implied = softmax(scores, record.sink(head, torch.float64, some))[1]
    # A row's log-sum-exp moves by no more than the score that moves most, and is one sum more.
    size = (record.scale * (q[some].square() @ k.square().T).sqrt()).amax(-1)
    size = torch.maximum(size, scores.masked_fill(~scores.isfinite(), 0).abs().amax(-1))
    u = unit_roundoff(dtype_of(record))
    variance = u**2 * ((record.d_k + record.keys) * size.square() + implied.square())
    return _compared(implied, variance, record.head("lse", head, torch.float64)[some], "lse")


def _output(
    record: AttentionRecord, W_O: Tensor, b_O: Tensor | None, contexts: list[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """What the contexts of all heads, with their variances, put out by W_O [h · d_v, d], and its variance: float64 [rows, d]."""
    value, variance = (torch.cat(each, dim=-1) for each in zip(*contexts, strict=True))
    return product(value, W_O.double(), b_O, unit_roundoff(dtype_of(record), record.output.dtype), variance)
