"""From q and k to the weights: dot products, scale, what is added or capped, mask, softmax, in float64."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from model.steps.step import Matrix, Step
from model.trace.attention_record import AttentionRecord
from model.trace.difference import max_difference
from model.trace.fidelity import dtype_of
from model.trace.rounding import allowed, allowed_weights
from model.transformer.attention import softmax
from model.transformer.positions import alibi_bias


def score_steps(record: AttentionRecord, head: int, q: Matrix, k: Matrix, rows: slice) -> list[Step]:
    """q kᵀ, · scale, soft cap, bias, mask, softmax for the queries `rows`; the products are of the recorded q and k."""
    q = replace(q, values=q.values[rows])
    steps = [_products(record, head, q, k, rows)]
    steps.append(_scaled(record, head, steps[-1].result, rows))
    if record.softcap is not None:
        steps.append(_capped(record.softcap, steps[-1].result))
    bias = record.bias(head, rows, slice(None))
    if bias is not None:
        steps.append(_biased(Matrix("B", bias.double(), "query", "key"), steps[-1].result))
    dead = ~record.allowed(rows)
    scores = steps[-1].result
    masked = Matrix("S''", scores.values.masked_fill(dead, -torch.inf), "query", "key", dead)
    before = "S'" if scores.symbol == "S'" else r"\hat S"
    latex = rf"S'' = {before} + M,\quad M_{{ij}} \in \{{0, -\infty\}}"
    return [*steps, Step("mask", latex, (scores, "+ M"), masked), _softmaxed(record, head, masked, dead, rows)]


def _products(record: AttentionRecord, head: int, q: Matrix, k: Matrix, rows: slice) -> Step:
    products = record.products(head, rows, dtype=torch.float64)
    s = Matrix("S", products, "query", "key")
    k_t = Matrix("kT", k.values.T, "dim", "key")
    if record.distance is not None:
        return Step("products", r"S = q\,(k + a^K)^{\top}", (q, "×", k_t), s)
    error, limit = max_difference(q.values @ k.values.T, products), _limit(record, q.values, k.values)
    return Step("products", r"S = q\,k^{\top}", (q, "×", k_t), s, error, ("q", "kT"), limit=limit)


def _limit(record: AttentionRecord, q: torch.Tensor, k: torch.Tensor) -> float:
    """How far q · k may be off, where each number of q and k is a sum over the d numbers of a token's vector."""
    size = q.abs().max() * k.norm(dim=-1).max() + k.abs().max() * q.norm(dim=-1).max()
    return allowed(size, record.output.shape[1] + record.d_k, dtype_of(record))


def by_root(record: AttentionRecord) -> bool:
    """Whether the scale is the paper's 1/√d_k; T5 has 1, Gemma its own."""
    return math.isclose(record.scale, record.d_k**-0.5, rel_tol=1e-6)


def _scaled(record: AttentionRecord, head: int, s: Matrix, rows: slice) -> Step:
    values = s.values * record.scale
    root = by_root(record)
    latex = r"S' = S / \sqrt{d_k}" if root else rf"S' = {record.scale:.4g}\,S"
    if record.slopes is not None:
        slope = record.slopes[head : head + 1].double()
        values = values + alibi_bias(slope, record.queries, record.keys, rows)[0]
        latex += r" - m_h\,|i - j|"
    operator = f"÷ √{record.d_k}" if root else f"× {record.scale:.4g}"
    return Step("scaled", latex, (s, operator), Matrix("S'", values, "query", "key"))


def _capped(cap: float, scaled: Matrix) -> Step:
    values = cap * torch.tanh(scaled.values / cap)
    latex = rf"\hat S = c\,\tanh(S' / c),\quad c = {cap:g}"
    return Step("softcap", latex, (scaled, f"{cap:g}·tanh"), Matrix("Ŝ", values, "query", "key"))


def _biased(bias: Matrix, scores: Matrix) -> Step:
    latex = r"\hat S = S' + B"
    total = Matrix("Ŝ" if scores.symbol != "Ŝ" else "Ŝ+B", scores.values + bias.values, "query", "key")
    return Step("bias", latex, (scores, "+", bias), total)


def _softmaxed(record: AttentionRecord, head: int, masked: Matrix, dead: torch.Tensor, rows: slice) -> Step:
    sink = record.sink(head, torch.float64, rows)
    A = Matrix("A", softmax(masked.values, sink)[0], "query", "key", dead)
    extra = "" if sink is None else rf" + e^{{{sink.item():.3g}}}"
    latex = rf"A_{{ij}} = \frac{{e^{{S''_{{ij}}}}}}{{\sum_{{j'}} e^{{S''_{{ij'}}}}{extra}}}"
    error, limit = max_difference(A.values, record.weights(head, rows)), allowed_weights(masked.values, record.d_k)
    return Step("softmax", latex, (masked, "softmax"), A, error, limit=limit)
