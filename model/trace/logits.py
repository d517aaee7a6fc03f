"""The logits of a run: kept whole while that costs little, else each row's likeliest tokens and its log-sum-exp.

A prompt of 2,000 tokens and a vocabulary of 50,000 have 100 million logits; what a page shows of a row are a few
probabilities, p_i = exp(logit_i − lse), and those are exact from the few numbers kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from model.trace import difference, fidelity
from model.trace.attention_record import AttentionRecord
from model.trace.tensors import Store

WHOLE = 2**24  # logits (64 MiB in float32) that are kept as they are
LIKELIEST = 64
# Heads that name something: a class, a label or a "replaced?" a token, where an answer starts and ends, whether a sentence
# follows, how well a choice fits. Kept whole, and no probabilities of tokens. "head_logits": of a head that is not read.
NAMED = (
    "class_logits", "label_logits", "replaced_logits", "start_logits", "end_logits", "next_sentence_logits",
    "sentence_order_logits", "choice_logits", "head_logits", "start_top_log_probs", "end_top_log_probs", "cls_logits",
)  # fmt: skip


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


def hold_nan(store: Store) -> bool:
    """Whether any of the logits that are kept, of tokens or of another head, is NaN."""
    names = ("logits", "likeliest.logits", *NAMED)
    return any(bool(store[name].isnan().any()) for name in names if name in store)


def has_logits(store: Store) -> bool:
    """Whether the run has logits of tokens, in either form."""
    return "logits" in store or "likeliest.logits" in store


def comparable(store: Store) -> bool:
    """Whether the run has anything that `differences` compares."""
    return has_logits(store) or any(name in store for name in NAMED)


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


def likeliest(store: Store) -> list[int]:
    """The id of the likeliest next token at every position; nothing of a run without logits."""
    if "logits" in store:
        return store["logits"].argmax(-1).tolist()
    return store["likeliest.ids"][:, 0].tolist() if "likeliest.logits" in store else []


def limit(store: Store, records: Iterable[AttentionRecord], name: str = "") -> float | None:
    """How far two runs' logits may lie apart: sums over d_k, keys and h · d_v numbers in every layer; None without logits.

    Most runs agree bit for bit; modules that take other kernels, or another length, when they run again do not. name: of
    one output of several.
    """
    name = name or next((name for name in ("logits", "likeliest.logits", *NAMED) if name in store), "")
    if not name:
        return None
    # The output is a sum over h · d_v numbers; a record without W_O has no output.
    parts = [(record.d_k + record.keys + record.heads * record.d_v, fidelity.dtype_of(record)) for record in records]
    if not parts:
        return None
    dtype = max((dtype for _, dtype in parts), key=fidelity.unit_roundoff)
    return fidelity.allowed(store[name], sum(terms for terms, _ in parts), dtype)


def differences(plain: Tensor | Mapping[str, Tensor], store: Store) -> dict[str, float]:
    """Name in the record -> max |plain − recorded| of each output that is kept, NaN where the plain run has none like it.

    plain: outputs by their names in the record, or logits [n, V] of tokens.
    """
    own = {"logits": plain} if isinstance(plain, Tensor) else dict(plain)
    if "likeliest.logits" in store and "logits" in own:
        own["likeliest.logits"] = own.pop("logits")
    kept = [name for name in ("logits", "likeliest.logits", *NAMED) if name in store]
    return {name: _apart(name, own[name], store) if name in own else float("nan") for name in kept}


def _apart(name: str, plain: Tensor, store: Store) -> float:
    own = parts(plain) if name in ("logits", "likeliest.logits") else {name: plain}
    names = [part for part in own if part in store and not part.endswith(("ids", "size"))]
    if not names or any(tuple(own[part].shape) != store.shape(part) for part in names):
        return float("nan")
    return _largest(difference.max_difference(own[part], store[part]) for part in names)


def max_difference(plain: Tensor | Mapping[str, Tensor], store: Store) -> float | None:
    """The largest of `differences`; None where nothing is compared."""
    found = differences(plain, store)
    return _largest(found.values()) if found else None


def furthest(
    plain: Tensor | Mapping[str, Tensor], store: Store, records: Iterable[AttentionRecord]
) -> tuple[float, float | None] | None:
    """(difference, `limit`) of the output that is furthest off by what its numbers allow; None where nothing is compared."""
    records = list(records)
    found = [(error, limit(store, records, name)) for name, error in differences(plain, store).items()]
    return max(found, key=lambda pair: fidelity.share_or_worst(pair[0] / (pair[1] or 1.0))) if found else None


def _largest(errors: Iterable[float]) -> float:
    """NaN where any is."""
    found = list(errors)
    return float("nan") if any(map(math.isnan, found)) else max(found)
