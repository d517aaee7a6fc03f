"""The arithmetic of one head as data: every step from the sub-layer's input to its normalised output.

Each step is recomputed in float64 from the recorded input and the model's own parameters, and compared with what was
recorded, so that the numbers on screen are the model's and say how well they agree. Symbols are the paper's (Vaswani et
al. 2017, section 3.2): X holds the queries' stream, Y the keys' (Y = X in self-attention).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention import softmax
from model.errors import OutOfRange
from model.positions import Rotary, alibi_bias, offsets
from model.record import AttentionRecord
from model.sites import Site
from model.trace import Trace

STEPS = (
    "input", "q", "k", "v", "products", "scaled", "mask", "softmax", "weighted", "sum", "concat", "project",
    "residual", "norm",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Matrix:
    """float64 [rows, columns] with what its axes are: "query", "key", "dim" or None; `masked` marks dead cells."""

    symbol: str
    values: Tensor
    rows: str | None = None
    columns: str | None = None
    masked: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """`operands` are matrices and operators in reading order; `error` is max |recomputed − recorded|, where recorded."""

    key: str
    latex: str
    operands: tuple[Matrix | str, ...]
    result: Matrix
    error: float | None = None
    product: tuple[str, str] | None = None  # symbols of the two operands whose matrix product `result` is


@dataclass(frozen=True)
class Cell:
    """One weight, written out: Σ terms = product; product · scale (+ bias) = score; exp(score − lse) = weight."""

    terms: tuple[tuple[float, float], ...]
    product: float
    scale: float
    bias: float
    score: float
    allowed: bool
    row_scores: tuple[float, ...]
    row_sum: float
    row_max: float
    weight: float


def stream_before(trace: Trace, site: Site) -> str:
    """Name of the residual stream that enters the sub-layer at `site`."""
    after = "norm" if trace.facts.get("norm", "post") == "post" else "residual"
    if site.kind == "cross":
        return f"decoder.{site.layer}.self.{after}"
    return f"{site.stack}.input" if site.layer == 0 else f"{site.stack}.{site.layer - 1}.ffn.{after}"


def inputs(trace: Trace, site: Site) -> tuple[str, str]:
    """Names of (X, Y): what the queries and what the keys and values are made from."""
    queries = stream_before(trace, site) if trace.facts.get("norm", "post") == "post" else f"{site}.norm"
    return queries, "encoder.output" if site.kind == "cross" else queries


def _difference(got: Tensor, recorded: Tensor) -> float:
    return (got - recorded.double()).abs().max().item()


class _Parameters:
    """One head's slice of W_Q, W_K, W_V, and the whole W_O, in float64."""

    def __init__(self, trace: Trace, site: Site, record: AttentionRecord, head: int):
        self.trace, self.site, self.d_k = trace, site, record.d_k
        self.start, self.kv = head * record.d_k, head // record.groups * record.d_k

    def whole(self, name: str) -> Tensor:
        found = self.trace.parameter(self.site, name)
        if found is None:
            raise ValueError(f"the record of {self.site} has no {name}")
        return found.double()

    def slice(self, letter: str) -> tuple[Tensor, Tensor]:
        start = self.start if letter == "Q" else self.kv
        span = slice(start, start + self.d_k)
        return self.whole(f"W_{letter}")[:, span], self.whole(f"b_{letter}")[span]


def head_steps(trace: Trace, site: Site | str, head: int, row: int) -> list[Step]:
    """All steps of `STEPS` for one head; "weighted" is written for the query `row`. Needs the recorded parameters."""
    site = Site.parse(site)
    record = trace.record(site)
    record.check_head(head)
    if not 0 <= row < record.queries:
        raise OutOfRange(what="Query", got=row, last=record.queries - 1)
    parameters = _Parameters(trace, site, record, head)
    name_x, name_y = inputs(trace, site)
    X = Matrix("X", trace.activation(name_x).double(), "query", "dim")
    Y = X if name_x == name_y else Matrix("Y", trace.activation(name_y).double(), "key", "dim")
    projections = [_projection(letter, X if letter == "Q" else Y, record, parameters, head) for letter in "QKV"]
    q, k, v = (step.result for step in projections)
    return [
        _input(trace, site, X, name_x),
        *projections,
        *_weights(record, head, q, k),
        *_mixing(trace, site, record, parameters, head, row, v),
    ]


def _input(trace: Trace, site: Site, X: Matrix, name: str) -> Step:
    """Where X comes from: the embedding and its position at the bottom, the sub-layer below anywhere else."""
    embedding, positions = f"{site.stack}.embedding", f"{site.stack}.positions"
    if name != f"{site.stack}.input" or positions not in trace.store:
        return Step("input", _named(name, "encoder.output" if site.kind == "cross" else None), (X,), X)
    E = Matrix("E", trace.activation(embedding).double(), "query", "dim")
    PE = Matrix("PE", trace.activation(positions).double(), "query", "dim")
    total = Matrix("X", E.values + PE.values, "query", "dim")
    latex = r"X = \sqrt{d_{model}}\,E[\mathrm{id}] + PE"
    return Step("input", latex, (E, "+", PE), total, _difference(total.values, X.values))


def _named(queries: str, keys: str | None) -> str:
    """`X = decoder.1.self.norm`: the name under which the record holds the stream."""
    names = {"X": queries} | ({"Y": keys} if keys else {})
    return r",\quad ".join(rf"{symbol} = \texttt{{{name}}}" for symbol, name in names.items())


def _projection(letter: str, stream: Matrix, record: AttentionRecord, parameters: _Parameters, head: int) -> Step:
    W, b = parameters.slice(letter)
    small, axis = letter.lower(), "query" if letter == "Q" else "key"
    values = stream.values @ W + b
    latex = rf"{small} = {stream.symbol}\,W_{letter} + b_{letter}"
    if parameters.trace.facts.get("positions") == "rotary" and letter in "QK" and record.site.kind == "self":
        values = Rotary(record.d_k)(values[None, None])[0, 0]
        latex = rf"{small} = R_{{\Theta}}({stream.symbol}\,W_{letter} + b_{letter})"
    result = Matrix(small, values, axis, "dim")
    operands = (stream, "×", Matrix(f"W_{letter}", W), "+", Matrix(f"b_{letter}", b[None]))
    error = _difference(values, record.head(small, head))
    return Step(small, latex, operands, result, error, (stream.symbol, f"W_{letter}"))


def _weights(record: AttentionRecord, head: int, q: Matrix, k: Matrix) -> list[Step]:
    """q kᵀ, · 1/√d_k, mask, softmax; the products are those of the recorded q and k."""
    products = record.products(head, dtype=torch.float64)
    s = Matrix("S", products, "query", "key")
    relative = record.distance is not None
    latex = r"S = q\,(k + a^K)^{\top}" if relative else r"S = q\,k^{\top}"
    scaled_values = products * record.scale
    scaled_latex = r"S' = S / \sqrt{d_k}"
    if record.slopes is not None:
        slope = record.slopes[head : head + 1].double()
        scaled_values = scaled_values + alibi_bias(slope, record.queries, record.keys)[0]
        scaled_latex += r" - m_h\,|i - j|"
    scaled = Matrix("S'", scaled_values, "query", "key")
    dead = ~record.allowed()
    masked = Matrix("S''", scaled_values.masked_fill(dead, -torch.inf), "query", "key", dead)
    A = Matrix("A", softmax(masked.values)[0], "query", "key", dead)
    recorded = record.weights(head)
    k_t = Matrix("kT", k.values.T, "dim", "key")
    divisor = f"÷ √{record.d_k}"
    return [
        Step("products", latex, (q, "×", k_t), s, _difference(q.values @ k.values.T, products) if not relative else None,
             None if relative else ("q", "kT")),
        Step("scaled", scaled_latex, (s, divisor), scaled),
        Step("mask", r"S'' = S' + M,\quad M_{ij} \in \{0, -\infty\}", (scaled, "+ M"), masked),
        Step("softmax", r"A_{ij} = \frac{e^{S''_{ij}}}{\sum_{j'} e^{S''_{ij'}}}", (masked, "softmax"), A,
             _difference(A.values, recorded)),
    ]  # fmt: skip


def _mixing(
    trace: Trace, site: Site, record: AttentionRecord, parameters: _Parameters, head: int, row: int, v: Matrix
) -> list[Step]:
    """A · v, concat, W_O, then the residual and the norm in the order of the model (post or pre)."""
    weights = record.weights(head, dtype=torch.float64)
    A = Matrix("A", weights, "query", "key", ~record.allowed())
    a_row = Matrix("A_iT", weights[row][:, None], "key", None)
    shares = Matrix("A_ij·v_j", weights[row][:, None] * v.values, "key", "dim")
    o = Matrix("o", record.mixed(head, dtype=torch.float64), "query", "dim")
    relative = record.distance is not None
    each = [record.mixed(h, dtype=torch.float64) for h in range(record.heads)]
    heads = torch.cat(each, dim=-1)
    concat = Matrix("C", heads, "query", "dim")
    W_O, b_O = Matrix("W_O", parameters.whole("W_O")), parameters.whole("b_O")
    output = Matrix("O", heads @ W_O.values + b_O, "query", "dim")
    x = Matrix("x", trace.activation(stream_before(trace, site)).double(), "query", "dim")
    total = Matrix("r", x.values + output.values, "query", "dim")
    steps = [
        Step("weighted", r"A_{ij}\,v_j", (a_row, "⊙", v), shares),
        Step("sum", r"o_i = \sum_j A_{ij}\,v_j" if not relative else r"o_i = \sum_j A_{ij}\,(v_j + a^V_{j-i})",
             (A, "×", v), o, _difference(o.values, record.head("context", head)), None if relative else ("A", "v")),
        Step("concat", r"C = [\,o^{(0)};\ldots;o^{(h-1)}\,]", _side_by_side(each, head), concat),
        Step("project", r"O = C\,W_O + b_O", (concat, "×", W_O, "+", Matrix("b_O", b_O[None])), output,
             _difference(output.values, record.output), ("C", "W_O")),
        Step("residual", r"r = x + O", (x, "+", output), total, _difference(total.values, trace.activation(f"{site}.residual"))),
    ]  # fmt: skip
    return [*steps, _norm(trace, site, parameters, total)]


def _side_by_side(each: list[Tensor], head: int) -> tuple[Matrix | str, ...]:
    """Every head's output with `;` between; beyond eight only this one, since the others would be too small to see."""
    if len(each) > 8:
        return Matrix(f"o_{head}", each[head], "query", "dim"), "; …"
    operands: list[Matrix | str] = []
    for h, values in enumerate(each):
        operands += [";"] if h else []
        operands.append(Matrix(f"o_{h}", values, "query", "dim"))
    return tuple(operands)


def _norm(trace: Trace, site: Site, parameters: _Parameters, total: Matrix) -> Step:
    """LayerNorm after the residual (post-LN); in pre-LN the norm that made X is shown, of the stream before."""
    before = trace.facts.get("norm", "post") == "pre"
    r = total if not before else Matrix("x", trace.activation(stream_before(trace, site)).double(), "query", "dim")
    gamma, beta = parameters.whole("gamma"), parameters.whole("beta")
    mean, variance = r.values.mean(-1, keepdim=True), r.values.var(-1, keepdim=True, unbiased=False)
    values = (r.values - mean) / (variance + 1e-5).sqrt() * gamma + beta
    symbol = "X" if before else "y"
    latex = rf"{symbol} = \gamma\,\frac{{{r.symbol} - \mu}}{{\sqrt{{\sigma^2 + \varepsilon}}}} + \beta"
    result = Matrix(symbol, values, "query", "dim")
    return Step("norm", latex, (r, "LayerNorm"), result, _difference(values, trace.activation(f"{site}.norm")))


def cell(trace: Trace, site: Site | str, head: int, row: int, column: int) -> Cell:
    """The weight of (row, column), written out from the recorded q and k in float64."""
    record = trace.record(site)
    record.check_head(head)
    for what, got, count in (("Query", row, record.queries), ("Key", column, record.keys)):
        if not 0 <= got < count:
            raise OutOfRange(what=what, got=got, last=count - 1)
    rows = slice(row, row + 1)
    q, k = record.head("q", head, torch.float64)[row], record.head("k", head, torch.float64)[column]
    if record.distance is not None:  # Shaw's key is k + a^K, and the terms must sum to the product
        at = offsets(record.queries, record.keys, record.distance, rows)[0, column]
        k = k + record.store[f"{record.site}.relative_keys"][at].double()
    product = record.products(head, rows, dtype=torch.float64)[0, column].item()
    scores = record.scores(head, rows, dtype=torch.float64)[0]
    allowed = bool(record.allowed(rows)[0, column])
    top = scores[~scores.isneginf()].max().item() if not bool(scores.isneginf().all()) else 0.0
    bias = 0.0
    if record.slopes is not None:
        bias = -float(record.slopes[head]) * abs(row - column)
    return Cell(
        terms=tuple(zip(q.tolist(), k.tolist(), strict=True)),
        product=product,
        scale=record.scale,
        bias=bias,
        score=product * record.scale + bias,
        allowed=allowed,
        row_scores=tuple(scores.tolist()),
        row_sum=(scores - top).exp().sum().item(),
        row_max=top,
        weight=softmax(scores[None])[0][0, column].item(),
    )
