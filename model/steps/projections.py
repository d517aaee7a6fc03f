"""The Q, K and V projections of one head step by step: from X over projections, norms and rotation, in float64.

Which of these a model applies is not assumed: a chain is shown only where it ends in the q (k, v) that was recorded.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from model.steps.step import Matrix, Step, verbatim
from model.trace.attention_record import AttentionRecord
from model.trace.difference import max_difference
from model.trace.fidelity import dtype_of
from model.trace.rounding import allowed, allowed_norm, allowed_product
from model.trace.site import Site
from model.trace.trace import Trace
from model.transformer.layer_norm import layer_norm, rms_norm

# The keys of what may stand between the projection and the products.
BETWEEN = ("q_norm", "k_norm", "rotate_q", "rotate_k")


def from_input(
    trace: Trace, site: Site, record: AttentionRecord, head: int
) -> tuple[list[Step], tuple[Matrix, ...]] | None:
    """The steps from X to (q, k, v); None where the record does not say how they were made.

    None also where what it says gives other numbers than those recorded (beyond what `model.trace.fidelity` allows).
    """
    name_x, name_y = f"{site}.input", f"{site}.memory"
    if site.kind == "cross" and name_y not in trace.store:
        name_y = "encoder.output"
    wanted = (name_x, *(f"parameters/{site}.W_{letter}" for letter in "QKV"))
    if not all(name in trace.store for name in wanted):
        return None
    X = Matrix("X", trace.activation(name_x).double(), "query", "dim")
    crossed = name_y in trace.store
    Y = Matrix("Y", trace.activation(name_y).double(), "key", "dim") if crossed else X
    latex = rf"X = \texttt{{{verbatim(name_x)}}}" + (rf",\quad Y = \texttt{{{verbatim(name_y)}}}" if crossed else "")
    chains = [_Head(trace, site, record, head, name).steps(X if name == "q" else Y) for name in "qkv"]
    if not all(chains):
        return None
    steps = {step.key: step for chain in chains for step in chain}
    order = [key for key in ("q", "k", "v", *BETWEEN) if key in steps]
    first = Step("input", latex, (X,), X)
    return [first, *(steps[key] for key in order)], tuple(chain[-1].result for chain in chains)


class _Head:
    """One head's q, k or v (`name`) and the parameters that made it."""

    def __init__(self, trace: Trace, site: Site, record: AttentionRecord, head: int, name: str):
        self.trace, self.site, self.record, self.name = trace, site, record, name
        self.axis = "query" if name == "q" else "key"
        self.recorded, self.dtype = record.head(name, head, torch.float64), dtype_of(record)
        width = self.recorded.shape[1]
        start = (head if name == "q" else head // record.groups) * width
        self.span = slice(start, start + width)

    def steps(self, stream: Matrix) -> list[Step]:
        """The chain that ends in what was recorded, tried from the longest; empty where none does."""
        normed = [True, False] if self._parameter(f"gamma_{self.name}") is not None else [False]
        turned = [True, False] if self.name != "v" and f"{self.site}.rotary" in self.trace.store else [False]
        scaled = [False, True] if self.name == "q" and self.record.scale == 1 else [False]
        for norm, turn, scale in product(normed, turned, scaled):
            chain = [self._projection(stream, scale, last=not (norm or turn))]
            if norm:
                chain.append(self._norm(stream, chain[-1], last=not turn))
            if turn:
                rotated = self._rotation(chain[-1])
                chain = [*chain, rotated] if rotated is not None else []
            if chain and self._agrees(chain[-1]):
                return chain
        return []

    def _agrees(self, step: Step) -> bool:
        return step.error is not None and step.error <= step.limit

    def _parameter(self, name: str) -> Tensor | None:
        return self.trace.parameter(self.site, name)

    def _result(self, values: Tensor, symbol: str, last: bool) -> tuple[Matrix, float | None]:
        """The matrix, under its own name at the end of the chain; only there is something recorded to compare with."""
        result = Matrix(self.name if last else symbol, values, self.axis, "dim")
        fits = values.shape == self.recorded.shape
        return result, (max_difference(values, self.recorded) if fits else float("inf")) if last else None

    def _projection(self, stream: Matrix, scaled: bool, last: bool) -> Step:
        letter = self.name.upper()
        W = Matrix(f"W_{letter}", self._parameter(f"W_{letter}")[:, self.span].double())
        values = stream.values @ W.values
        limit = allowed_product(stream.values, W.values, dtype=self.dtype).max().item()
        operands: tuple[Matrix | str, ...] = (stream, "×", W)
        formula = rf"{stream.symbol}\,W_{letter}"
        if (b := self._parameter(f"b_{letter}")) is not None:
            bias = Matrix(f"b_{letter}", b[None, self.span].double())
            values, operands, formula = values + bias.values, (*operands, "+", bias), rf"{formula} + b_{letter}"
        limit += allowed(values, 2, self.dtype)
        if scaled:
            d_k = values.shape[1]
            values, operands, limit = values / d_k**0.5, ("(", *operands, f") ÷ √{d_k}"), limit / d_k**0.5
            formula = rf"({formula}) / \sqrt{{d_k}}"
        result, error = self._result(values, f"{self.name}'", last)
        link = None if scaled else (stream.symbol, W.symbol)
        return Step(self.name, f"{result.symbol} = {formula}", operands, result, error, link, limit=limit)

    def _norm(self, stream: Matrix, before: Step, last: bool) -> Step:
        """RMSNorm (or LayerNorm, where there is a β) over this head's numbers, or over those of all heads (OLMo 2)."""
        gain, shift = self._parameter(f"gamma_{self.name}").double(), self._parameter(f"beta_{self.name}")
        made = before.result
        whole, of, part = made.values, f"{{{made.symbol}}}", slice(None)
        if gain.shape[0] != whole.shape[1]:
            (whole, of), part = self._all_heads(stream), self.span
        epsilon = float(self._parameter(f"epsilon_{self.name}"))
        found = rms_norm(whole, gain, epsilon) if shift is None else layer_norm(whole, gain, shift.double(), epsilon)
        sigma, gamma, values = Matrix("σ", found.sigma, self.axis), Matrix("γ", gain[None, part]), found.y[:, part]
        operands: tuple[Matrix | str, ...] = (made, "÷", sigma, "⊙", gamma)
        formula = rf"\gamma \odot {made.symbol} / \sigma,\quad \sigma^2 = \overline{{{of}^2}} + \varepsilon"
        if shift is not None:
            beta, mu = Matrix("β", shift.double()[None, part]), Matrix("μ", found.mean, self.axis)
            operands = ("(", made, "−", mu, ") ÷", sigma, "⊙", gamma, "+", beta)
            formula = rf"\gamma \odot ({made.symbol} - \mu) / \sigma + \beta"
        limit = allowed_norm(made.values, found.mean, found.sigma, gain[part], self.dtype, before.limit)
        limit += 0.0 if shift is None else allowed(shift, dtype=self.dtype)
        result, error = self._result(values, f"{self.name}\u0302", last)
        symbol = self.name if last else rf"\hat {self.name}"
        return Step(f"{self.name}_norm", f"{symbol} = {formula}", operands, result, error, limit=limit)

    def _all_heads(self, stream: Matrix) -> tuple[Tensor, str]:
        """The projection of every head side by side, [n, h · d_k], and its formula."""
        letter = self.name.upper()
        whole, b = stream.values @ self._parameter(f"W_{letter}").double(), self._parameter(f"b_{letter}")
        formula = rf"{stream.symbol}\,W_{letter}"
        return (whole, f"({formula})") if b is None else (whole + b.double(), f"({formula} + b_{letter})")

    def _rotation(self, before: Step) -> Step | None:
        """x ⊙ cos + x⟂ ⊙ sin (Su et al. 2021, equation 34), where x⟂ swaps the halves of what is rotated: (−x₂, x₁).

        Beyond the rotated dimensions cos is 1 and sin is 0. None where the table does not fit.
        """
        made, number = before.result, int(self.trace.store[f"{self.site}.rotary"])
        table = f"{self.site.stack}.rotary.{number}"
        steps = []
        for columns in (1, 2):  # a table of the whole angles, or of one half (GPT-OSS)
            cos, sin = (self.trace.activation(f"{table}.{name}").double().repeat(1, columns) for name in ("cos", "sin"))
            if cos.shape[0] == made.values.shape[0] and cos.shape[1] <= made.values.shape[1] and not cos.shape[1] % 2:
                steps.append(self._rotated(made, cos, sin, before.limit))
        return min(steps, key=lambda step: step.error, default=None)

    def _rotated(self, made: Matrix, cos: Tensor, sin: Tensor, limit: float) -> Step:
        x, r = made.values, cos.shape[1]
        rest = x[:, r:]
        cos, sin = torch.cat([cos, torch.ones_like(rest)], 1), torch.cat([sin, torch.zeros_like(rest)], 1)
        swapped = torch.cat([-x[:, r // 2 : r], x[:, : r // 2], rest], 1)
        result, error = self._result(x * cos + swapped * sin, "", True)
        limit += allowed(x, 3, self.dtype)  # two products and a sum
        tables = [Matrix(name, values, self.axis, "dim") for name, values in (("cos", cos), ("sin", sin))]
        other = Matrix(f"{self.name}⟂", swapped, self.axis, "dim")
        name = made.symbol if made.symbol.endswith("'") else rf"\hat {self.name}"
        latex = rf"{self.name} = {name} \odot \cos\Theta + {self.name}^{{\perp}} \odot \sin\Theta"
        operands = (made, "⊙", tables[0], "+", other, "⊙", tables[1])
        return Step(f"rotate_{self.name}", latex, operands, result, error, limit=limit)
