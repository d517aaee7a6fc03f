"""Contributions of heads to a sub-layer's output: the sum over heads of z_h · W_O, one share a head.

MultiHead(Q, K, V) = Concat(head_0, …, head_{h−1}) W_O (Vaswani et al. 2017, section 3.2.2). W_O [h · d_v, d] is h blocks
of d_v rows, and row i of the output is what the blocks make of their own heads, added up:

    O_i = Σ_h z_{h,i} · W_O^{(h)} + b_O

so what a head writes is known exactly, before any later layer reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.trace.attention_record import AttentionRecord
from model.trace.difference import max_difference
from model.trace.fidelity import dtype_of
from model.trace.rounding import allowed_product
from model.trace.site import Site
from model.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class HeadContributions:
    """One row of a sub-layer's output as a sum of head contributions: float64.

    heads [h, d]: z_h · W_O^{(h)}; bias [d]: b_O, or None; output [d] as recorded; error: how far the sum of the parts lies
    from it at most; allowed [d]: how far it may.
    """

    heads: Tensor
    bias: Tensor | None
    output: Tensor
    error: float
    allowed: Tensor

    @property
    def limit(self) -> float:
        """How large `error` may be."""
        return self.allowed.max().item()

    @property
    def signed_limit(self) -> float:
        """How far the sum of `signed` may lie from 1."""
        return (self.allowed @ self.output.abs() / (self.output @ self.output)).item()

    @property
    def parts(self) -> Tensor:
        """[h + 1, d]: the heads' shares, then b_O; [h, d] without one."""
        return self.heads if self.bias is None else torch.cat([self.heads, self.bias[None]])

    @property
    def lengths(self) -> Tensor:
        """‖·‖ of every part: [h + 1] or [h]."""
        return self.parts.norm(dim=-1)

    @property
    def signed(self) -> Tensor:
        """How far each part goes along the output: (part · O) / ‖O‖², [h + 1] or [h]; they add up to 1.

        Negative where a head writes against what comes out. NaN where nothing comes out.
        """
        return self.parts @ self.output / (self.output @ self.output)


def blocks(record: AttentionRecord, W_O: Tensor) -> Tensor:
    """W_O [h · d_v, d] as the part that each head passes through: float64 [h, d_v, d]."""
    return W_O.double().reshape(record.heads, -1, W_O.shape[1])


def projected(trace: Trace, site: Site) -> bool:
    """Whether the record knows the W_O that this sub-layer's heads pass through."""
    return trace.parameter(site, "W_O") is not None


def contexts(record: AttentionRecord, head: int, rows: slice = slice(None)) -> Tensor:
    """z of one head as recorded: float64 [rows, d_v]."""
    return record.head("context", head, torch.float64)[rows]


def contributions(trace: Trace, site: Site, row: int) -> HeadContributions:
    """The output of query `row` as a sum of head contributions, from the recorded contexts and the model's W_O and b_O."""
    record, W_O, b_O = trace.record(site), trace.parameter(site, "W_O"), trace.parameter(site, "b_O")
    rows = slice(row, row + 1)
    z = torch.cat([contexts(record, head, rows) for head in range(record.heads)])
    heads = torch.einsum("hv,hvd->hd", z, blocks(record, W_O))
    bias, output = None if b_O is None else b_O.double(), record.output[row].double()
    total = heads.sum(0) if bias is None else heads.sum(0) + bias
    limits = allowed_product(z.reshape(1, -1), W_O, b_O, dtype_of(record))[0]
    return HeadContributions(heads, bias, output, max_difference(total, output), limits)


def lengths(trace: Trace, site: Site, rows: slice = slice(None)) -> Tensor:
    """‖z_{h,i} · W_O^{(h)}‖ of every head for the queries `rows`: float64 [h, rows]."""
    record = trace.record(site)
    each = blocks(record, trace.parameter(site, "W_O"))
    return torch.stack([(contexts(record, h, rows) @ each[h]).norm(dim=-1) for h in range(record.heads)])


def head_rows(record: AttentionRecord, row: int, columns: slice = slice(None)) -> Tensor:
    """The weights of one query in every head: float64 [h, columns]."""
    rows = slice(row, row + 1)
    return torch.cat([record.weights(h, rows, dtype=torch.float64) for h in range(record.heads)])[:, columns]


def overlap(weights: Tensor) -> Tensor:
    """What two heads' rows have in common, Σ_j min(a_j, b_j): weights [h, k] -> [h, h]; 1 for the same row, 0 for disjoint ones.

    It is 1 minus the total variation distance (Levin & Peres 2017, Markov Chains and Mixing Times, section 4.1).
    """
    return torch.stack([torch.minimum(weights, one).sum(-1) for one in weights])


def strongest(weights: Tensor) -> Sequence[tuple[int, float]]:
    """(key, weight) of each head's largest weight: weights [h, k]."""
    best = weights.max(dim=-1)
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
