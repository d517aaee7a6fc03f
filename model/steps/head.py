"""The arithmetic of one head as data: every step from the sub-layer's input to its normalised output.

Each step is recomputed in float64 from the recorded input and the model's own parameters, and compared with what was
recorded, so that the numbers on screen are the model's and say how well they agree. Symbols are the paper's (Vaswani et
al. 2017, section 3.2): X holds the queries' stream, Y the keys' (Y = X in self-attention).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from model.steps.projections import BETWEEN, from_input
from model.steps.scores import score_steps
from model.steps.step import WHOLE, Matrix, Step, verbatim, window
from model.trace.attention_record import AttentionRecord
from model.trace.difference import max_difference
from model.trace.fidelity import allowed_context, allowed_output
from model.trace.record_own import entering
from model.trace.rounding import allowed, allowed_product, check_norm
from model.trace.site import Site
from model.trace.trace import Trace
from model.transformer.positions import Rotary

STEPS = (
    "input", "q", "k", "v", "products", "scaled", "mask", "softmax", "weighted", "sum", "concat", "project",
    "residual", "norm",
)  # fmt: skip
# Between "scaled" and "mask", where a model has them: soft-capped scores (Gemma 2), a position bias (T5); between "v"
# and "products": norms of q and k (Qwen 3), and their rotation (Llama).
SPECIAL = ("softcap", "bias", *BETWEEN)


def stream_before(trace: Trace, site: Site) -> str:
    """Name of the residual stream that enters the sub-layer at `site`."""
    return entering(trace.store, str(site), str(trace.facts.get("norm", "post")))


def inputs(trace: Trace, site: Site) -> tuple[str, str]:
    """Names of (X, Y): what the queries and what the keys and values are made from."""
    queries = stream_before(trace, site) if trace.facts.get("norm", "post") == "post" else f"{site}.norm"
    return queries, "encoder.output" if site.kind == "cross" else queries


class _Parameters:
    """One head's slice of W_Q, W_K, W_V, and the whole W_O, in float64."""

    def __init__(self, trace: Trace, site: Site, record: AttentionRecord, head: int):
        self.trace, self.site, self.d_k, self.head = trace, site, record.d_k, head
        self.start, self.kv = head * record.d_k, head // record.groups * record.d_k

    @property
    def complete(self) -> bool:
        """Whether the record knows how q, k and v were made and what the block did with the output."""
        names = ("W_Q", "W_K", "W_V", "W_O", "gamma")
        return all(self.trace.parameter(self.site, name) is not None for name in names)

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
    """All steps of one head that its record holds; "weighted" is written for the query `row`.

    From our own models all of `STEPS`; from others those up to W_O, with `SPECIAL` ones where they occur. "input" is
    missing, and q, k and v are as they were recorded, where how they were made is not known or gives other numbers.
    Of more than `WHOLE` queries the steps after q, k and v hold a window around `row`; `Step.start` says where it begins.
    """
    record = trace.record(site)
    site = record.site
    record.check_head(head)
    record.check_query(row)
    parameters = _Parameters(trace, site, record, head)
    if parameters.complete:
        before, (q, k, v) = _projected(trace, site, record, parameters)
    else:
        before, (q, k, v) = from_input(trace, site, record, head) or _recorded(record, head)
    rows = slice(0, record.queries) if record.queries <= WHOLE else window(record.queries, row)
    after = [*score_steps(record, head, q, k, rows), *_mixing(trace, site, record, parameters, head, row, v, rows)]
    return [*before, *(replace(step, start=rows.start) for step in after)]


def _projected(
    trace: Trace, site: Site, record: AttentionRecord, parameters: _Parameters
) -> tuple[list[Step], tuple[Matrix, ...]]:
    """The input and its three projections."""
    name_x, name_y = inputs(trace, site)
    X = Matrix("X", trace.activation(name_x).double(), "query", "dim")
    Y = X if name_x == name_y else Matrix("Y", trace.activation(name_y).double(), "key", "dim")
    head = parameters.head
    projections = [_projection(letter, X if letter == "Q" else Y, record, parameters, head) for letter in "QKV"]
    return [_input(trace, site, X, name_x), *projections], tuple(step.result for step in projections)


def _recorded(record: AttentionRecord, head: int) -> tuple[list[Step], tuple[Matrix, ...]]:
    """q, k and v as the model multiplied them, where how it made them was not recorded."""
    steps = []
    for small, axis in (("q", "query"), ("k", "key"), ("v", "key")):
        values = Matrix(small, record.head(small, head, torch.float64), axis, "dim")
        steps.append(Step(small, rf"\texttt{{{verbatim(record.site)}.{small}}}", (values,), values))
    return steps, tuple(step.result for step in steps)


def _input(trace: Trace, site: Site, X: Matrix, name: str) -> Step:
    """Where X comes from: the embedding and its position at the bottom, the sub-layer below anywhere else."""
    embedding, positions = f"{site.stack}.embedding", f"{site.stack}.positions"
    if name != f"{site.stack}.input" or positions not in trace.store:
        return Step("input", _named(name, "encoder.output" if site.kind == "cross" else None), (X,), X)
    E = Matrix("E", trace.activation(embedding).double(), "query", "dim")
    PE = Matrix("PE", trace.activation(positions).double(), "query", "dim")
    total = Matrix("X", E.values + PE.values, "query", "dim")
    latex = r"X = E + PE,\qquad E = \sqrt{d_{model}}\,W_E[\mathrm{id}]"
    limit = allowed(total.values, dtype=trace.activation(name).dtype)
    return Step("input", latex, (E, "+", PE), total, max_difference(total.values, X.values), limit=limit)


def _named(queries: str, keys: str | None) -> str:
    """`X = decoder.1.self.norm`: the name under which the record holds the stream."""
    names = {"X": queries} | ({"Y": keys} if keys else {})
    return r",\quad ".join(rf"{symbol} = \texttt{{{verbatim(name)}}}" for symbol, name in names.items())


def _projection(letter: str, stream: Matrix, record: AttentionRecord, parameters: _Parameters, head: int) -> Step:
    W, b = parameters.slice(letter)
    small, axis = letter.lower(), "query" if letter == "Q" else "key"
    values = stream.values @ W + b
    limit = allowed_product(stream.values, W, b, record.q.dtype).max().item()
    latex = rf"{small} = {stream.symbol}\,W_{letter} + b_{letter}"
    if parameters.trace.facts.get("positions") == "rotary" and letter in "QK" and record.site.kind == "self":
        values = Rotary(record.d_k)(values[None, None])[0, 0]
        limit += allowed(values, 2, record.q.dtype)
        latex = rf"{small} = R_{{\Theta}}({stream.symbol}\,W_{letter} + b_{letter})"
    result = Matrix(small, values, axis, "dim")
    operands = (stream, "×", Matrix(f"W_{letter}", W), "+", Matrix(f"b_{letter}", b[None]))
    error = max_difference(values, record.head(small, head))
    return Step(small, latex, operands, result, error, (stream.symbol, f"W_{letter}"), limit=limit)


def _mixing(
    trace: Trace, site: Site, record: AttentionRecord, parameters: _Parameters, head: int,
    row: int, v: Matrix, rows: slice,
) -> list[Step]:  # fmt: skip
    """A · v, concat, W_O, then the residual and the norm in the order of the model (post or pre)."""
    weights = record.weights(head, rows, dtype=torch.float64)
    A = Matrix("A", weights, "query", "key", ~record.allowed(rows))
    chosen = weights[row - rows.start][:, None]
    a_row = Matrix("A_iT", chosen, "key", None)
    shares = Matrix("A_ij·v_j", chosen * v.values, "key", "dim")
    o = Matrix("o", record.head_output(head, rows, dtype=torch.float64), "query", "dim")
    relative = record.distance is not None
    each = [record.head_output(h, rows, dtype=torch.float64) for h in range(record.heads)]
    heads = torch.cat(each, dim=-1)
    concat = Matrix("C", heads, "query", "dim")
    steps = [
        Step("weighted", r"A_{ij}\,v_j", (a_row, "⊙", v), shares),
        Step("sum", r"o_i = \sum_j A_{ij}\,v_j" if not relative else r"o_i = \sum_j A_{ij}\,(v_j + a^V_{j-i})",
             (A, "×", v), o, max_difference(o.values, record.head("context", head)[rows]), None if relative else ("A", "v"),
             limit=allowed_context(record, head, rows).max().item()),
        Step("concat", r"C = [\,o^{(0)};\ldots;o^{(h-1)}\,]", _side_by_side(each, head), concat),
    ]  # fmt: skip
    return [*steps, *_block(trace, site, record, parameters, concat, rows)]


def _block(
    trace: Trace, site: Site, record: AttentionRecord, parameters: _Parameters, concat: Matrix, rows: slice
) -> list[Step]:
    """W_O where it is known, then the residual and the norm where the record holds the stream."""
    if trace.parameter(site, "W_O") is None:
        return []
    W_O, b_O = Matrix("W_O", parameters.whole("W_O")), trace.parameter(site, "b_O")
    values = concat.values @ W_O.values
    operands: tuple[Matrix | str, ...] = (concat, "×", W_O)
    if b_O is not None:
        values, operands = values + b_O.double(), (*operands, "+", Matrix("b_O", b_O.double()[None]))
    output = Matrix("O", values, "query", "dim")
    latex = r"O = C\,W_O + b_O" if b_O is not None else r"O = C\,W_O"
    limit = allowed_output(record, W_O.values, b_O, rows).max().item()
    error = max_difference(values, record.output[rows])
    project = Step("project", latex, operands, output, error, ("C", "W_O"), limit=limit)
    if not parameters.complete:
        return [project]
    x = Matrix("x", trace.activation(stream_before(trace, site))[rows].double(), "query", "dim")
    total = Matrix("r", x.values + output.values, "query", "dim")
    error = max_difference(total.values, trace.activation(f"{site}.residual")[rows])
    limit += allowed(total.values, dtype=record.q.dtype)
    residual = Step("residual", r"r = x + O", (x, "+", output), total, error, limit=limit)
    return [project, residual, _norm(trace, site, parameters, residual, rows)]


def _side_by_side(each: list[Tensor], head: int) -> tuple[Matrix | str, ...]:
    """Every head's output with `;` between; beyond eight only this one, since the others would be too small to see."""
    if len(each) > 8:
        return Matrix(f"o_{head}", each[head], "query", "dim"), "; …"
    operands: list[Matrix | str] = []
    for h, values in enumerate(each):
        operands += [";"] if h else []
        operands.append(Matrix(f"o_{h}", values, "query", "dim"))
    return tuple(operands)


def _norm(trace: Trace, site: Site, parameters: _Parameters, residual: Step, rows: slice) -> Step:
    """LayerNorm after the residual (post-LN); in pre-LN the norm that made X is shown, of the stream before."""
    before = trace.facts.get("norm", "post") == "pre"
    stream = trace.activation(stream_before(trace, site))[rows].double()
    r, off = (residual.result, residual.limit) if not before else (Matrix("x", stream, "query", "dim"), 0.0)
    gamma, beta = parameters.whole("gamma"), parameters.whole("beta")
    found, error, limit = check_norm(r.values, gamma, beta, trace.activation(f"{site}.norm")[rows], off)
    symbol = "X" if before else "y"
    latex = rf"{symbol} = \gamma\,\frac{{{r.symbol} - \mu}}{{\sqrt{{\sigma^2 + \varepsilon}}}} + \beta"
    return Step("norm", latex, (r, "LayerNorm"), Matrix(symbol, found.y, "query", "dim"), error, limit=limit)
