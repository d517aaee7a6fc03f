"""Masks applied to recorded scores, and the errors of masking at the wrong axis, with the wrong value or after softmax.

The masks are `model.transformer.masks`' own, on a copy of one recorded head (`AttentionRecord.select`): its weights are
made by the code that makes the recorded ones. Vaswani et al. 2017, section 3.2.3: "masking out (setting to −∞) all
values in the input of the softmax which correspond to illegal connections".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from model.attention.variants import windowed
from model.errors import OutOfRange
from model.trace.attention_record import AttentionRecord
from model.transformer.attention import softmax
from model.transformer.masks import DenseMask, IntervalMask, RuleMask

KINDS = ("recorded", "none", "padding", "causal", "both", "window")
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def kinds(record: AttentionRecord) -> tuple[str, ...]:
    """The masks that mean something here: causal ones and windows need queries and keys of one sequence."""
    if record.site.kind == "cross" or record.queries != record.keys:
        return KINDS[:3]
    return KINDS


def real_keys(keys: int, real: int) -> Bool[Tensor, " k"]:
    """Which of `keys` places hold a token where the first `real` do and padding follows. Raises OutOfRange."""
    return torch.arange(keys) < OutOfRange.check("Number of real keys", real, keys)


def mask_of(record: AttentionRecord, kind: str, real: int, width: int) -> RuleMask | IntervalMask | DenseMask:
    """The mask `kind` of `KINDS`: `real` tokens before the padding, windows of `width` tokens."""
    if kind == "recorded":
        return record.mask
    if (
        kind == "window"
    ):  # of a causal head it looks back only, as Mistral's does; of another to both sides (Longformer)
        return windowed(replace(record, mask=RuleMask(causal=is_causal(record))), width).mask
    causal = kind in ("causal", "both")
    return RuleMask(causal, real_keys(record.keys, real) if kind in ("padding", "both") else None)


def is_causal(record: AttentionRecord) -> bool:
    """Whether the recorded mask lets no query see a later key."""
    if isinstance(record.mask, RuleMask):
        return record.mask.causal
    return record.queries == record.keys and not bool(record.allowed().triu(1).any())


def with_mask(single: AttentionRecord, mask: RuleMask | IntervalMask | DenseMask) -> AttentionRecord:
    """The same head under another mask."""
    return replace(single, mask=mask)


@dataclass(frozen=True, eq=False)
class Masked:
    """Some rows of one head without and with a mask: float64 [r, k].

    scores: without the mask; allowed: which cells it leaves; open: softmax(scores); weights: softmax(scores + mask).
    """

    scores: Float[Tensor, "r k"]
    allowed: Bool[Tensor, "r k"]
    open: Float[Tensor, "r k"]
    weights: Float[Tensor, "r k"]

    @property
    def masked_mass(self) -> Float[Tensor, " r"]:
        """Attention mass of the masked keys of each row, without the mask: [r]."""
        return self.open.masked_fill(self.allowed, 0.0).sum(-1)

    @property
    def allowed_mass(self) -> Float[Tensor, " r"]:
        """Attention mass of the allowed keys, added up by itself: where it is small, 1 − masked_mass has lost its digits."""
        return after_softmax(self).sum(-1)


def masked(single: AttentionRecord, mask: RuleMask | IntervalMask | DenseMask, rows: slice = slice(None)) -> Masked:
    """`single` is one head (`AttentionRecord.select`). Without a sink, weights = open / allowed_mass where allowed."""
    free, under = with_mask(single, RuleMask()), with_mask(single, mask)
    dtype = torch.float64
    return Masked(
        free.scores(0, rows, dtype=dtype), under.allowed(rows), free.weights(0, rows, dtype=dtype),
        under.weights(0, rows, dtype=dtype),
    )  # fmt: skip


# ---- mistakes: each is the mistake itself, computed


def on_queries(
    single: AttentionRecord, real: int, rows: slice = slice(None)
) -> tuple[Float[Tensor, "r k"], Float[Tensor, "r d_v"]]:
    """(weights, context) where a padding mask is laid on the query axis: rows of −∞ only, whose softmax is NaN.

    It comes beside the record's own mask. Rows from `real` on are those of padding. The plain `torch.softmax`, not ours,
    which gives such a row zeros.
    """
    scores = single.scores(0, rows, dtype=torch.float64)
    padding = torch.arange(single.queries)[rows] >= real
    weights = torch.softmax(scores.masked_fill(padding[:, None], -torch.inf), -1)
    return weights, weights @ single.head("v", 0, torch.float64)


def fused_row(single: AttentionRecord) -> Tensor:
    """What torch's fused attention gives for a query none of whose keys is allowed: [d_v]."""
    q, k, v = (single.head(part, 0, torch.float32)[None, None] for part in "qkv")
    none = torch.zeros(1, 1, 1, single.keys, dtype=torch.bool)
    return functional.scaled_dot_product_attention(q[:, :, :1], k, v, attn_mask=none, scale=single.scale)[0, 0, 0]


def counted_from_zero(tokens: Sequence[str]) -> list[int]:
    """The ids of a vocabulary made of these tokens in order of their first appearance, with no place kept for padding."""
    seen: dict[str, int] = {}
    return [seen.setdefault(token, len(seen)) for token in tokens]


def with_keys_masked(single: AttentionRecord, masked_keys: Bool[Tensor, " k"], rows: slice = slice(None)) -> Masked:
    """What these rows lose where the keys `masked_keys` are masked beside the record's own mask; `open` is under that alone."""
    scores, allowed = single.scores(0, rows, dtype=torch.float64), single.allowed(rows) & ~masked_keys
    sink = single.sink(0, torch.float64)
    open_, under = (softmax(part, sink)[0] for part in (scores, scores.masked_fill(masked_keys, -torch.inf)))
    return Masked(scores, allowed, open_, under)


def after_softmax(masked: Masked) -> Float[Tensor, "r k"]:
    """softmax(scores) with the forbidden cells set to 0 afterwards: rows that sum to less than 1."""
    return masked.open.masked_fill(~masked.allowed, 0.0)


@dataclass(frozen=True)
class Fill:
    """What a number in the place of −∞ does in one dtype.

    name: "-inf", "-1e9" or "min" (the dtype's least number). leak: the largest weight of a forbidden key in a row that
    has allowed ones. dead: the weights of a row that has none, as (least, largest); NaN for NaN.
    """

    dtype: str
    name: str
    leak: float
    dead: tuple[float, float]


def fills(scores: Float[Tensor, " k"], allowed: Bool[Tensor, " k"]) -> list[Fill]:
    """One row's scores [k] under its mask, and under one that allows nothing, in four dtypes with three fillings."""
    found = []
    for dtype_name, dtype in DTYPES.items():
        row = scores.to(dtype)
        numbers = {"-inf": -torch.inf, "-1e9": -1e9, "min": torch.finfo(dtype).min}
        for name, number in numbers.items():
            added = torch.tensor(number, dtype=torch.float64).to(dtype)  # −1e9 is beyond float16: it becomes −∞
            weights = torch.softmax(row + torch.where(allowed, torch.zeros((), dtype=dtype), added), -1).double()
            dead = torch.softmax(row + added, -1).double()
            leak = weights[~allowed].max().item() if bool((~allowed).any()) else 0.0
            found.append(Fill(dtype_name, name, leak, (dead.min().item(), dead.max().item())))
    return found


def hidden(ids: Sequence[int], pad_id: int = 0) -> Bool[Tensor, " k"]:
    """The keys that `ids != pad_id` takes for padding."""
    return torch.tensor(list(ids)) == pad_id
