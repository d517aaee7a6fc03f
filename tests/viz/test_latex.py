"""The numbers inside the formulas: each side of an equals sign is read back and worked out."""

from __future__ import annotations

import ast
import math
import operator
import re
from dataclasses import replace

import pytest

from model import Trace
from model.steps.head import STEPS, head_steps
from model.steps.weight import weight_derivation
from viz.steps import latex

pytestmark = pytest.mark.float32

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
             ast.Pow: operator.pow, ast.USub: operator.neg}  # fmt: skip
CELLS = [("encoder.0.self", 0, 1, 2), ("decoder.1.self", 2, 3, 1), ("decoder.0.cross", 3, 0, 5)]


def worth(text: str) -> float:
    """The value of a line such as `0.31\\cdot(-1.2) + 2 \\,/\\, \\frac{3}{\\sqrt{4}}`."""
    text = text.replace(r"\cdot", "*").replace("·", "*").replace("−", "-").replace(r"\,", "")
    while r"\sqrt" in text or r"\frac" in text:
        text = re.sub(r"\\sqrt\{([^{}]*)\}", r"((\1)**0.5)", text)
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
    text = re.sub(r"10\^\{(-?\d+)\}", r"10.0**(\1)", text)

    def of(node: ast.AST) -> float:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp):
            return OPERATORS[type(node.op)](of(node.operand))
        return OPERATORS[type(node.op)](of(node.left), of(node.right))

    return of(ast.parse(text.strip(), mode="eval").body)


def sides(line: str) -> list[str]:
    line = re.sub(r"\\(begin|end)\{aligned\}", "", line).replace(r"\\ &=", "=").replace("&=", "=")
    return [side.strip() for side in line.split(" = ")] if " = " in line else line.split("=")


def near(text: str, want: float) -> None:
    """Three significant digits (two where a power of ten is written) of what stands there."""
    assert abs(worth(text) - want) <= 0.006 * abs(want) + 1e-12 or (
        r"10^" in text and abs(worth(text) - want) <= 0.051 * abs(want)
    ), (text, want)


@pytest.fixture(params=["trace", "pre_trace"])
def run(request: pytest.FixtureRequest) -> Trace:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("at", CELLS, ids=lambda at: at[0])
def test_every_step_has_its_line(run: Trace, at: tuple):
    site, head, row, column = at
    found = weight_derivation(run, site, head, row, column)
    for step in head_steps(run, site, head, row):
        line = latex.with_numbers(step, row, column, found)
        assert line.count("{") == line.count("}")
        assert line.count(r"\begin") == line.count(r"\end")
        assert "nan" not in line.lower()
        assert "tensor" not in line
        for name in re.findall(r"_\{([\d,]+)\}", line):
            assert {int(i) for i in name.split(",")} <= {row, column, 0}


@pytest.mark.parametrize("at", CELLS, ids=lambda at: at[0])
def test_the_lines_of_one_cell_work_out(run: Trace, at: tuple):
    site, head, row, column = at
    found = weight_derivation(run, site, head, row, column)
    assert found.allowed
    steps = dict(zip(STEPS, head_steps(run, site, head, row), strict=True))
    lines = {key: sides(latex.with_numbers(steps[key], row, column, found)) for key in STEPS}
    near(lines["products"][-1], found.product)
    near(lines["scaled"][-1], found.score)
    largest = abs(found.product * found.scale) + abs(found.bias)
    assert worth(lines["scaled"][1]) == pytest.approx(found.score, abs=0.02 * largest)
    near(lines["mask"][-1], found.score)
    near(lines["mask"][1], found.score)
    near(lines["softmax"][-1], found.weight)
    assert worth(lines["softmax"][-2]) == pytest.approx(found.weight, rel=0.02)
    for key in ("q", "v", "sum", "project"):
        near(lines[key][-1], float(steps[key].result.values[column if key == "v" else row, 0]))
    near(lines["k"][-1], float(steps["k"].result.values[column, 0]))


def test_a_sum_of_two_products_is_complete(trace: Trace):
    assert worth(latex.products([0.5, -2.0], [3.0, -0.25])) == pytest.approx(2.0)
    assert worth(latex.products([0.5, 1.0], [-3.0, 0.25])) == pytest.approx(-1.25)
    assert latex.products([1.0] * 3, [1.0] * 3).endswith(r"+ \cdots")
    assert latex.vector([1.0, -0.5]) == r"(1,\; -0.500)"
    assert r"\ldots" in latex.vector([1.0, 2.0, 3.0])


@pytest.mark.parametrize("at", CELLS, ids=lambda at: at[0])
def test_written_out_is_for_a_calculator(run: Trace, at: tuple):
    found = weight_derivation(run, *at)
    text, total = latex.written_out(found)
    assert worth(text) == pytest.approx(total, abs=1e-12)
    size = sum(abs(a) + abs(b) for a, b in found.terms)
    assert abs(total - found.product) <= 0.5e-4 * size + 1e-7
    assert text.count("*") == len(found.terms) and text.isascii()


def test_a_factor_that_rounds_to_nothing_has_no_sign(run: Trace):
    cell = replace(weight_derivation(run, *CELLS[0]), terms=((-0.00001, 1.0), (0.5, -0.00004), (-0.25, 2.0)))
    assert latex.written_out(cell)[0] == "0.0000 * 1.0000 + 0.5000 * 0.0000 + (-0.2500) * 2.0000"


@pytest.mark.parametrize("at", CELLS, ids=lambda at: at[0])
def test_the_chain_names_product_score_and_weight(run: Trace, at: tuple):
    found = weight_derivation(run, *at)
    line = latex.chain(found, 4).replace(r"\xrightarrow{\;\mathrm{softmax}\;}", r"\longrightarrow").replace(r"\;", "")
    first, second, last = line.split(r"\longrightarrow")
    near(first.split("=")[1], found.product)
    root, score = second.split("=")
    near(score, found.score)
    assert worth(root) == pytest.approx(found.score, abs=2e-3 * (abs(found.product) + abs(found.bias)))
    near(last, found.weight)


def test_a_masked_cell_says_so(trace: Trace):
    found = weight_derivation(trace, "decoder.0.self", 0, 1, 3)
    assert not found.allowed
    steps = dict(zip(STEPS, head_steps(trace, "decoder.0.self", 0, 1), strict=True))
    assert latex.with_numbers(steps["mask"], 1, 3, found).endswith(r"= -\infty")
    assert latex.with_numbers(steps["softmax"], 1, 3, found).endswith("= 0")
    assert r"{-\infty}" in latex.chain(found, 4)
    assert math.isfinite(latex.written_out(found)[1])
