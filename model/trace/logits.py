"""The logits of a run: kept whole while that costs little, else each row's likeliest tokens and its log-sum-exp.

A prompt of 2,000 tokens and a vocabulary of 50,000 have 100 million logits; what a page shows of a row are a few
probabilities, p_i = exp(logit_i − lse), and those are exact from the few numbers kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from model.trace import fidelity
from model.trace.attention_record import AttentionRecord
from model.trace.tensors import Store

WHOLE = 2**24  # logits (64 MiB in float32) that are kept as they are
LIKELIEST = 64
# Heads that name something: a class, a label or a "replaced?" a token. Kept whole, and no probabilities of tokens.
_NAMING = ("class_logits", "label_logits", "replaced_logits")


def parts(logits: Tensor) -> dict[str, Tensor]:
    """logits [n, V] -> {"logits"}, or {"likeliest.logits" [n, 64], "likeliest.ids" [n, 64], "likeliest.lse" [n],
    "likeliest.size" [1], which is V}."""
    if logits.numel() <= WHOLE:
        return {"logits": logits}
    # One block of rows at a time: the whole in float32 would double what the forward holds.
    blocks = [_thin(logits[start : start + 64].float()) for start in range(0, logits.shape[0], 64)]
    found = {f"likeliest.{name}": torch.cat([block[name] for block in blocks]) for name in blocks[0]}
    return found | {"likeliest.size": torch.tensor([logits.shape[-1]])}


def _thin(rows: Tensor) -> dict[str, Tensor]:
    best = rows.topk(min(LIKELIEST, rows.shape[-1]))
    return {"logits": best.values, "ids": best.indices, "lse": rows.logsumexp(-1)}


def has_logits(store: Store) -> bool:
    """Whether the run has logits of tokens, in either form."""
    return "logits" in store or "likeliest.logits" in store


def comparable(store: Store) -> bool:
    """Whether the run has anything that `difference` compares."""
    return has_logits(store) or any(name in store for name in _NAMING)


def most_probable(store: Store, position: int, top: int) -> list[tuple[int, float]]:
    """(id, probability) of the likeliest tokens at `position`, best first; at most `LIKELIEST` of a thinned row."""
    if "logits" in store:
        probabilities = store["logits"][position].double().softmax(-1)
        best = probabilities.topk(min(top, probabilities.shape[0]))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    if "likeliest.logits" not in store:
        return []
    row, lse = store["likeliest.logits"][position].double(), store["likeliest.lse"][position].double()
    ids = store["likeliest.ids"][position].tolist()
    return list(zip(ids[:top], (row - lse).exp().tolist()[:top], strict=True))


def limit(store: Store, records: Iterable[AttentionRecord]) -> float | None:
    """How far two runs' logits may lie apart: sums over d_k, keys and h · d_v numbers in every layer; None without logits.

    Most runs agree bit for bit; modules that take other kernels, or another length, when they run again do not.
    """
    name = next((name for name in ("logits", "likeliest.logits", *_NAMING) if name in store), None)
    if name is None:
        return None
    # The output is a sum over h · d_v numbers; a record without W_O has no output.
    parts = [(record.d_k + record.keys + record.heads * record.d_v, fidelity.dtype_of(record)) for record in records]
    if not parts:
        return None
    dtype = max((dtype for _, dtype in parts), key=fidelity.unit_roundoff)
    return fidelity.allowed(store[name], sum(terms for terms, _ in parts), dtype)


def max_difference(plain: Tensor, store: Store) -> float | None:
    """max |plain − recorded| over what is kept of the recorded logits; None where nothing is."""
    if not comparable(store):
        return None
    naming = {name: plain for name in _NAMING if name in store}
    own: Mapping[str, Tensor] = naming or parts(plain)
    names = [name for name in own if name in store and not name.endswith(("ids", "size"))]
    names = [name for name in names if tuple(own[name].shape) == store.shape(name)]
    if not names:  # the plain run has another shape than the recorded one
        return float("nan")
    return max((own[name].double() - store[name].double()).abs().max().item() for name in names)
