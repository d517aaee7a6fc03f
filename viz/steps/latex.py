"""Formulas with their numbers: each step's LaTeX and the same line filled in for the selected query i and key j."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from viz.base import numbers
from viz.base.numbers import factor, tex

if TYPE_CHECKING:
    from model.steps.head import Matrix, Step, WeightDerivation

_SHOWN = 2


def vector(values: Sequence[float]) -> str:
    """The first entries of a row vector."""
    shown = [tex(float(value)) for value in values[:_SHOWN]]
    more = [r"\ldots"] if len(values) > _SHOWN else []
    return "(" + ",\\; ".join(shown + more) + ")"


def products(left: Sequence[float], right: Sequence[float]) -> str:
    """`0.31·1.20 - 0.40·0.70 + …`: the first products of a sum, and dots for the rest."""
    pairs = list(zip(left, right, strict=True))
    shown = plus([rf"{tex(float(a))}\cdot{factor(float(b))}" for a, b in pairs[:_SHOWN]])
    return shown + (r" + \cdots" if len(pairs) > _SHOWN else "")


def plus(terms: Sequence[str]) -> str:
    """Terms joined by their signs."""
    return terms[0] + "".join(f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in terms[1:])


def aligned(*parts: str) -> str:
    """`a = b = c` on lines of their own, the equals signs below each other."""
    first, second, *rest = parts
    lines = [rf"{first} &= {second}", *(rf"&= {part}" for part in rest)]
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"


def _name(symbol: str, *indices: int | str) -> str:
    base, _, under = symbol.partition("_")
    marks = ",".join([*([under] if under else []), *map(str, indices)])
    return rf"{base}_{{{marks}}}"


def with_numbers(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    """The step's formula for query `row` and key `column`, with the numbers of this run."""
    line = _LINES.get(step.key)
    return line(step, row, column, cell) if line else _first_entry(step, row, column)


def _matrices(step: Step) -> list[Matrix]:
    return [operand for operand in step.operands if not isinstance(operand, str)]


def _first_entry(step: Step, row: int, column: int) -> str:
    """Entry 0 of the selected row of a linear map: Σ_m left[i, m] · right[m, 0] (+ b[0])."""
    left, *others = _matrices(step)
    at = column if step.result.rows == "key" else row
    if not others:  # shown as it was recorded
        return rf"{_name(step.result.symbol, at)} = {vector(left.values[at])}"
    right, *rest = others
    inside = at if step.result.rows == "key" else at - step.start
    sum_ = products(left.values[inside], right.values[:, 0])
    total = [sum_ + r" \\ &\quad" + plus(["", tex(float(rest[0].values[0, 0]))])] if rest else [sum_]
    if isinstance(step.operands[-1], str):  # the sum in brackets, over √d_k (OPT, Whisper)
        total = [rf"({total[0]}) \,/\, \sqrt{{{step.result.values.shape[1]}}}"]
    name = _name(step.result.symbol, at, 0)
    value = tex(float(step.result.values[inside, 0]))
    return aligned(name, *total, value)


def _input(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    if len(step.operands) == 1:
        return rf"X_{{{row}}} = {vector(step.result.values[row])}"
    E, PE = (matrix.values[row] for matrix in _matrices(step))
    return aligned(rf"X_{{{row}}}", f"{vector(E)} + {vector(PE)}", vector(step.result.values[row]))


def _product(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    q, k = zip(*cell.terms, strict=True)
    named = rf"q_{{{row}}}\cdot k_{{{column}}}"
    return aligned(rf"S_{{{row},{column}}}", named, products(q, k), tex(cell.product))


def _scaled(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    bias = f" + {factor(cell.bias)}" if cell.bias else ""
    divisor = tex(1 / cell.scale, 4)
    return rf"S'_{{{row},{column}}} = {tex(cell.product)} \,/\, {divisor}{bias} = {tex(cell.scaled)}"


def _softcap(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    return rf"\hat S_{{{row},{column}}} = c\,\tanh({tex(cell.scaled)} / c) = {tex(cell.capped)}"


def _bias(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    before = cell.scaled if cell.capped is None else cell.capped
    return rf"\hat S_{{{row},{column}}} = {tex(before)} + {factor(cell.added)} = {tex(cell.score)}"


def _mask(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    added, value = ("0", tex(cell.score)) if cell.allowed else (r"(-\infty)", r"-\infty")
    return rf"S''_{{{row},{column}}} = {tex(cell.score)} + {added} = {value}"


def _softmax(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    if not cell.allowed:
        return rf"A_{{{row},{column}}} = e^{{-\infty}} / \ldots = 0"
    shown = rf"e^{{{tex(cell.score)} - {factor(cell.row_max)}}}"
    total = tex(cell.row_sum, 4)
    bottom = rf"\sum_{{j'}} e^{{S''_{{{row},j'}} - {factor(cell.row_max)}}}"
    if cell.sink is not None:
        bottom += rf" + e^{{{tex(cell.sink)} - {factor(cell.row_max)}}}"
    fraction = rf"\frac{{{shown}}}{{{bottom}}} = \frac{{{tex(cell.weight * cell.row_sum, 4)}}}{{{total}}}"
    return aligned(rf"A_{{{row},{column}}}", fraction, tex(cell.weight))


def _weighted(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    v = _matrices(step)[1].values[column]
    shares = step.result.values[column]
    return aligned(rf"A_{{{row},{column}}}\,v_{{{column}}}", rf"{tex(cell.weight)}\cdot{vector(v)}", vector(shares))


def _concat(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    return rf"C_{{{row}}} = {vector(step.result.values[row - step.start])} \in \mathbb{{R}}^{{{step.result.values.shape[1]}}}"


def _residual(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    x, output = _matrices(step)
    addition = f"{vector(x.values[row])} + {vector(output.values[row])}"
    return aligned(rf"r_{{{row}}}", addition, vector(step.result.values[row]))


def _norm(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    from model.transformer.layer_norm import layer_norm

    found = layer_norm(_matrices(step)[0].values[row])
    mean, variance = tex(float(found.mean)), tex(float(found.variance))
    symbol = step.result.symbol
    result = rf"{symbol}_{{{row}}} &= {vector(step.result.values[row])}"
    return rf"\begin{{aligned}}\mu &= {mean},\quad \sigma^2 = {variance} \\ {result}\end{{aligned}}"


def _qk_norm(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    at = column if step.result.rows == "key" else row
    entry = {matrix.symbol: float(matrix.values[at if matrix.rows else 0, 0]) for matrix in _matrices(step)}
    x, *_ = entry.values()
    top = plus([tex(x), tex(-entry["μ"])]) if "μ" in entry else tex(x)
    scaled = rf"\frac{{{top}}}{{{tex(entry['σ'])}}}\cdot {factor(entry['γ'])}"
    sum_ = plus([scaled, tex(entry["β"])]) if "β" in entry else scaled
    return aligned(_name(_hatted(step.result.symbol), at, 0), sum_, tex(float(step.result.values[at, 0])))


def _rotation(step: Step, row: int, column: int, cell: WeightDerivation) -> str:
    at = column if step.result.rows == "key" else row
    x, cos, other, sin = (float(matrix.values[at, 0]) for matrix in _matrices(step))
    turned = plus([rf"{tex(x)}\cdot {factor(cos)}", rf"{tex(other)}\cdot {factor(sin)}"])
    return aligned(_name(step.result.symbol, at, 0), turned, tex(float(step.result.values[at, 0])))


def _hatted(symbol: str) -> str:
    """A letter under its own hat as LaTeX writes it."""
    return rf"\hat {symbol[0]}" if symbol.endswith("\u0302") else symbol


_LINES = {
    "input": _input,
    "products": _product,
    "scaled": _scaled,
    "softcap": _softcap,
    "bias": _bias,
    "mask": _mask,
    "softmax": _softmax,
    "weighted": _weighted,
    "concat": _concat,
    "residual": _residual,
    "norm": _norm,
    "q_norm": _qk_norm,
    "k_norm": _qk_norm,
    "rotate_q": _rotation,
    "rotate_k": _rotation,
}


def chain(cell: WeightDerivation, d_k: int) -> str:
    """The whole cell in one line: q·k, ÷ √d_k (or the model's own scale), cap, bias, softmax."""
    first = rf"q\cdot k = {tex(cell.product, 4)}"
    product = tex(cell.product, 4)
    by_root = abs(cell.scale * d_k**0.5 - 1) < 1e-6
    root = rf"\frac{{{product}}}{{\sqrt{{{d_k}}}}}" if by_root else rf"{tex(cell.scale, 4)}\cdot {factor(cell.product)}"
    bias = f" + {factor(cell.bias)}" if cell.bias else ""
    second = rf"{root}{bias} = {tex(cell.scaled, 4)}"
    if cell.capped is not None:
        second += rf" \;\xrightarrow{{\;c\tanh\;}}\; {tex(cell.capped, 4)}"
    if cell.added:
        second += rf" \;\xrightarrow{{\;+\,{tex(cell.added, 4)}\;}}\; {tex(cell.score, 4)}"
    last = tex(cell.weight, 4) if cell.allowed else r"0 \;(+\,{-\infty})"
    arrow = r"\;\xrightarrow{\;\mathrm{softmax}\;}\;"
    return rf"{first} \;\longrightarrow\; {second} {arrow} {last}"


def _bracketed(value: float, decimals: int) -> str:
    text = numbers.decimals(value, decimals).replace("−", "-")
    return f"({text})" if text.startswith("-") else text


def written_out(cell: WeightDerivation, decimals: int = 4) -> tuple[str, float]:
    """Every product of q·k with `decimals` digits, as a calculator takes it, and the sum of what is printed."""
    pairs = [(round(a, decimals), round(b, decimals)) for a, b in cell.terms]
    text = " + ".join(f"{_bracketed(a, decimals)} * {_bracketed(b, decimals)}" for a, b in pairs)
    return text, sum(a * b for a, b in pairs)
