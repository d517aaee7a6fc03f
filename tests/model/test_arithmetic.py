"""The arithmetic of a head, step by step, against `naive` and against the trace."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model import Trace
from model.checkpoints.own import OwnModel
from model.errors import OutOfRange, UnknownSite
from model.steps.head import STEPS, Step, head_steps
from model.steps.weight import weight_derivation
from model.transformer.config import NORMS, POSITIONS
from tests import bounds
from tests.model import naive, tiny

pytestmark = pytest.mark.float32

SITES = ["encoder.0.self", "encoder.1.self", "decoder.0.self", "decoder.0.cross", "decoder.1.self", "decoder.1.cross"]
KINDS = [(positions, norm) for positions in POSITIONS for norm in NORMS]

TERMS = 1024  # numbers that are added up on the way through both stacks, layer after layer


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def run(request: pytest.FixtureRequest, make_model) -> tuple[OwnModel, Trace, dict[str, np.ndarray]]:
    positions, norm = request.param
    model = make_model(positions=positions, norm=norm)
    trace = model.trace(tiny.TEXT, tiny.WRITTEN, pad_to=8)
    ids = trace.token_ids("encoder"), trace.token_ids("decoder")
    return model, trace, naive.Run(model.module.state_dict(), model.config.to_dict(), *ids).got


def near(step: Step, want: np.ndarray) -> None:
    bounds.close(step.result.values, want, TERMS, what=step.key)


def before(model: OwnModel, site: str) -> str:
    """The name of the stream that the residual of `site` starts from."""
    stack, layer, kind = site.split(".")
    part = "norm" if model.config.norm == "post" else "residual"
    if kind == "cross":
        return f"decoder.{layer}.self.{part}"
    return f"{stack}.input" if layer == "0" else f"{stack}.{int(layer) - 1}.ffn.{part}"


@pytest.mark.parametrize("site", SITES)
def test_every_step_is_the_papers(run, site: str):
    model, trace, want = run
    head, row = 2, 1
    found = head_steps(trace, site, head, row)
    assert tuple(step.key for step in found) == STEPS
    steps = {step.key: step for step in found}
    q, k, v, weights = (want[f"{site}.{part}"][head] for part in ("q", "k", "v", "weights"))
    stream = want[before(model, site)]
    near(steps["input"], stream if model.config.norm == "post" else want[f"{site}.norm"])
    for name, value in (("q", q), ("k", k), ("v", v), ("softmax", weights)):
        near(steps[name], value)
    near(steps["mask"], want[f"{site}.scores"][head])
    dead = steps["mask"].result.masked.numpy()
    assert (dead == np.isneginf(want[f"{site}.scores"][head])).all()
    near(steps["scaled"], np.where(dead, steps["scaled"].result.values.numpy(), want[f"{site}.scores"][head]))
    if model.config.positions != "relative":
        near(steps["products"], np.einsum("id,jd->ij", q, k))
    near(steps["weighted"], np.einsum("j,jd->jd", weights[row], v))
    near(steps["sum"], want[f"{site}.context"][head])
    near(steps["concat"], np.concatenate(list(want[f"{site}.context"]), axis=-1))
    near(steps["project"], want[f"{site}.output"])
    near(steps["residual"], want[f"{site}.residual"])
    near(steps["norm"], want[f"{site}.norm"])


@pytest.mark.parametrize("site", SITES)
def test_every_step_checks_against_the_record(run, site: str):
    _, trace, _ = run
    for head in range(4):
        for step in head_steps(trace, site, head, 0):
            assert step.error is None or step.error <= min(step.limit, bounds.off(step.result.values, TERMS)), step.key
            assert step.result.values.dtype == torch.float64
            assert step.result.values.dim() == 2
    measured = {step.key for step in head_steps(trace, site, 0, 0) if step.error is not None}
    assert {"q", "k", "v", "softmax", "sum", "project", "residual", "norm"} <= measured


@pytest.mark.parametrize("site", SITES)
def test_a_product_step_is_the_product_of_its_operands(run, site: str):
    """What the page lets a reader check by hand: left × right (+ the bias) is the result, and shapes fit."""
    model, trace, _ = run
    for step in head_steps(trace, site, 1, 2):
        matrices = {operand.symbol: operand.values for operand in step.operands if not isinstance(operand, str)}
        assert step.latex
        for matrix in (*(m for m in step.operands if not isinstance(m, str)), step.result):
            lengths = {"query": trace.record(site).queries, "key": trace.record(site).keys}
            for axis, size in zip((matrix.rows, matrix.columns), matrix.values.shape, strict=True):
                assert size == lengths.get(axis, size), (step.key, matrix.symbol)
        if step.product is None or (model.config.positions == "rotary" and step.key in "qk" and "self" in site):
            continue
        product = matrices[step.product[0]] @ matrices[step.product[1]]
        bias = sum(value for symbol, value in matrices.items() if symbol.startswith("b_"))
        bounds.close(product + bias, step.result.values, TERMS)


@pytest.mark.parametrize("site", SITES)
def test_a_cell_is_a_sum_of_products(run, site: str):
    _, trace, want = run
    record = trace.record(site)
    for head, row, column in ((0, 0, 0), (1, 2, 1), (2, 1, 4), (3, record.queries - 1, record.keys - 1)):
        got = weight_derivation(trace, site, head, row, column)
        assert sum(a * b for a, b in got.terms) == pytest.approx(got.product, abs=1e-12)
        assert len(got.terms) == 4
        assert got.product * got.scale + got.bias == pytest.approx(got.score, abs=1e-12)
        assert got.allowed == bool(record.allowed()[row, column])
        finite = [score for score in got.row_scores if score > -math.inf]
        assert got.row_max == max(finite)
        assert got.row_sum == pytest.approx(sum(math.exp(score - max(finite)) for score in finite), abs=1e-12)
        by_hand = math.exp(got.row_scores[column] - got.row_max) / got.row_sum
        assert by_hand == pytest.approx(got.weight, abs=1e-12)
        assert got.weight == pytest.approx(trace.weights(site, head)[row, column].item(), abs=bounds.WEIGHT)
        assert got.weight == pytest.approx(want[f"{site}.weights"][head][row, column], abs=bounds.WEIGHT)
        if got.allowed:
            assert got.row_scores[column] == pytest.approx(got.score, abs=1e-12)
        else:
            assert (got.weight, got.row_scores[column]) == (0, -math.inf)


def test_a_cell_of_a_fully_masked_row_is_zero(make_model):
    import dataclasses

    from model.transformer.masks import RuleMask

    trace = make_model().trace("the cat", "猫")
    nothing = RuleMask(keys=torch.zeros(2, dtype=torch.bool))
    attention = {site: dataclasses.replace(record, mask=nothing) for site, record in trace.attention.items()}
    got = weight_derivation(dataclasses.replace(trace, attention=attention), "encoder.0.self", 0, 1, 1)
    assert (got.weight, got.allowed, got.row_max, got.row_sum) == (0, False, 0, 0)


def test_a_record_that_lies_shows_in_its_step(make_model):
    trace = make_model().trace(tiny.TEXT, tiny.WRITTEN)
    trace.store.add("encoder.0.self.q", trace.q("encoder.0.self") + 0.1)
    errors = {step.key: step.error for step in head_steps(trace, "encoder.0.self", 0, 0)}
    assert errors["q"] > 0.05
    assert errors["k"] <= bounds.off(trace.k("encoder.0.self"), TERMS)


def test_one_token(make_model):
    trace = make_model().trace("cat", " ")
    steps = head_steps(trace, "encoder.0.self", 0, 0)
    assert steps[STEPS.index("softmax")].result.values.tolist() == [[1.0]]
    assert weight_derivation(trace, "encoder.0.self", 0, 0, 0).weight == 1


def test_wrong_questions_are_answered_in_one_sentence(trace: Trace):
    for ask, said in (
        (lambda: head_steps(trace, "encoder.0.self", 4, 0), "Head 4 is out of range: choose 0 to 3"),
        (lambda: head_steps(trace, "encoder.0.self", 0, 6), "Query 6.*0 to 5"),
        (lambda: weight_derivation(trace, "decoder.0.cross", 0, 5, 0), "Query 5.*0 to 4"),
        (lambda: weight_derivation(trace, "decoder.0.cross", 0, 0, 6), "Key 6.*0 to 5"),
        (lambda: weight_derivation(trace, "decoder.0.cross", -1, 0, 0), "Head -1"),
        (lambda: weight_derivation(trace, "decoder.0.cross", 0, 0, -1), "Key -1"),
    ):
        with pytest.raises(OutOfRange, match=said):
            ask()
    with pytest.raises(UnknownSite):
        head_steps(trace, "encoder.9.self", 0, 0)
