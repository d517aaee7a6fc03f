"""One row a head: what every head of a run does, in numbers, and which of them earns it a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from model.measures.head_statistics import HeadStatistics, trace_statistics
from model.trace.site import Site

if TYPE_CHECKING:
    from pandas import DataFrame

    from model.trace.trace import Trace

# Columns of the table after `site` and `head`, and the field of `HeadStatistics` each is.
FIELDS = {
    "entropy": "entropy", "mean_distance": "distance", "rms_distance": "rms_distance", "largest": "largest",
    "previous": "previous", "diagonal": "diagonal", "next": "next", "first": "first", "special": "special",
    "punctuation": "punctuation", "induction": "induction", "duplicate": "duplicate", "local": "local",
    "positional_share": "positional_share",
}  # fmt: skip
COLUMNS = (*FIELDS, "effective_rank")
# Masses that are a share of the attention, 0 to 1, and can give a head a name.
ROLES = ("previous", "next", "diagonal", "first", "special", "punctuation", "induction", "duplicate")
LEAST = 0.5  # a role is named where at least this much of the attention goes to it


def table(trace: Trace, found: Mapping[Site, HeadStatistics] | None = None) -> DataFrame:
    """One row a head in the order of the computation; NaN where a measure does not apply. Ticks "measures".

    site, head; then as `HeadStatistics` defines them: entropy (nats, mean over queries), mean_distance
    (tokens; positive looks back) and rms_distance, largest (weight of a row, mean over queries), and shares of the
    attention: previous, diagonal, next, first, special, punctuation, induction, duplicate, local. positional_share: R² of
    the offset (`model.measures.diagonals`). effective_rank: of what the head puts out, see `effective_rank`.
    found: `trace_statistics` with offsets, where they are known already.
    """
    import pandas as pd

    found = trace_statistics(trace, offsets=True) if found is None else found
    parts = []
    for site, measured in found.items():
        record = trace.record(site)
        numbers = {column: _numbers(measured, field, record.heads) for column, field in FIELDS.items()}
        numbers["effective_rank"] = effective_rank(record.context).tolist()
        parts.append(pd.DataFrame({"site": str(site), "head": range(record.heads), **numbers}))
    return pd.concat(parts, ignore_index=True)


def _numbers(measured: HeadStatistics, field: str, heads: int) -> list[float]:
    values: Tensor | None = getattr(measured, field)
    return [float("nan")] * heads if values is None else values.tolist()


def effective_rank(context: Float[Tensor, "h q d_v"]) -> Float[Tensor, " h"]:
    """exp(−Σ p ln p) with p the singular values of a head's context A·V [q, d_v] over their sum: float64, 1 to d_v.

    Roy & Vetterli 2007, The effective rank, definition 1. Of the context and not of A: it is recorded, it is what the
    head hands on, and its Gram matrix is d_v × d_v at any length. NaN where the context is all zero.
    """
    z = context.double()
    gram = z.transpose(1, 2) @ z if z.shape[1] > z.shape[2] else z @ z.transpose(1, 2)
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    # Below the rounding of the product a singular value is noise, of which many would add up.
    values = values.masked_fill(values < 1e-7 * values.amax(-1, keepdim=True), 0)
    p = values / values.sum(-1, keepdim=True)
    return (-torch.xlogy(p, p).sum(-1)).exp()


def roles(found: HeadStatistics) -> list[tuple[str, float] | None]:
    """`role` of each head of a sub-layer."""
    known = {name: values.tolist() for name in ROLES if (values := getattr(found, name)) is not None}
    return [role({name: values[head] for name, values in known.items()}) for head in range(len(found.entropy))]


def role(row: dict[str, float]) -> tuple[str, float] | None:
    """(name, share) of the kind of key that most of a head's attention goes to, None below `LEAST`."""
    known = {name: row[name] for name in ROLES if row.get(name, float("nan")) >= LEAST}
    return max(known.items(), key=lambda item: item[1]) if known else None
