"""The arithmetic of library models from the sub-layer's input on: a contract over every family that the hook records."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

from model import Trace  # noqa: E402
from model.checkpoints.disk.families import FAMILIES, Family, entry, small_inputs, small_model  # noqa: E402
from model.checkpoints.record import forward  # noqa: E402
from model.errors import OutOfRange  # noqa: E402
from model.steps.head import STEPS, Step, head_steps  # noqa: E402
from model.steps.weight import weight_derivation  # noqa: E402
from model.trace.trace import Side, TraceKey  # noqa: E402
from tests import bounds  # noqa: E402
from tests.model.test_families import NoCast, eager_experts  # noqa: E402
from viz.steps import equation, latex  # noqa: E402

pytestmark = pytest.mark.float32

HOOKED = [family for family in FAMILIES if family.route == "hook"]
ROTATED = {family.model_type for family in HOOKED if family.positions == "rotary"} - {"moonshine"}
NORMED = {family.model_type for family in HOOKED if family.qk_norm}
SCALED = {"opt", "whisper"}
# Every one of them begins at X; whoever adds a family that does not says so here.
FROM_Q = {"moonshine"}  # turns every other number of a head


def known(name: str) -> Family:
    return entry(name)


def small(family: Family, dtype: torch.dtype = torch.float32, **changes: object) -> torch.nn.Module:
    """Attention that is not flat; norms and biases, which begin as ones and zeros, made to matter."""
    family = Family(**(vars(family) | {"small": family.small | changes}))
    model = small_model(family, sharpen=min(3.0, family.sharpen))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return forward.prepare(eager_experts(model.to(dtype)))


def given(model: torch.nn.Module, **lengths: int) -> dict[str, torch.Tensor]:
    found = small_inputs(known(model.config.model_type), model.config.is_encoder_decoder, **lengths)
    return {name: value.to(model.dtype) if value.is_floating_point() else value for name, value in found.items()}


def traced(model: torch.nn.Module, **lengths: int) -> Trace:
    with torch.no_grad(), NoCast():
        recorded = forward.record(model, given(model, **lengths))
    sides = {}
    for site, record in recorded.attention.items():
        for side, length in ((site.query_side, record.queries), (site.key_side, record.keys)):
            tokens = tuple(f"t{i}" for i in range(length))
            sides[side] = Side(tokens, tuple(range(length)), (False,) * length)
    return Trace(TraceKey(model.config.model_type, "0", "text"), sides, recorded.attention, recorded.store)


def expected(name: str) -> list[str]:
    return [
        "input", "q", "k", "v", *(["q_norm", "k_norm"] if name in NORMED else []),
        *(["rotate_q", "rotate_k"] if name in ROTATED else []), "products",
    ]  # fmt: skip


@pytest.fixture(scope="module", params=HOOKED, ids=lambda family: family.model_type)
def run(request: pytest.FixtureRequest) -> tuple[str, Trace]:
    return request.param.model_type, traced(small(request.param))


def test_every_family_is_complete_or_says_that_it_is_not(run):
    name, trace = run
    for site in trace.sites:
        for head in range(trace.record(site).heads):
            steps = head_steps(trace, site, head, 0)
            keys = [step.key for step in steps]
            if name in FROM_Q and site.kind == "self":
                assert keys[:4] == ["q", "k", "v", "products"]
                continue
            assert keys[: keys.index("products") + 1] == expected(name)
            assert keys[-1] == "project"
            assert len(set(keys)) == len(keys)
            for step in steps:
                assert step.error is None or step.error <= min(step.limit, bounds.off(step.result.values, 1024)), (
                    step.key
                )
                assert step.result.values.dtype == torch.float64
            ends = {step.result.symbol: step for step in steps}
            assert all(ends[symbol].error is not None for symbol in "qkv")


@pytest.mark.parametrize("name", sorted(ROTATED | SCALED | {"bert", "gpt2", "bart"}))
def test_in_double_precision_they_agree_to_the_last_digits(name: str):
    trace = traced(small(known(name), torch.float64))
    for site in trace.sites:
        found = {step.result.symbol: step for step in head_steps(trace, site, 1, 0)}
        assert "X" in found
        for symbol in "qkv":
            assert found[symbol].error <= bounds.off(found[symbol].result.values, 1024, torch.float64)


def test_what_is_drawn_can_be_checked_by_hand(run):
    """Operands and operators in reading order give the result; the page's lines and frames can be made of each step."""
    _, trace = run
    site = trace.sites[-1]
    found = weight_derivation(trace, site, 0, 3, 2)
    axes = {"query": site.query_side, "key": site.key_side}
    steps = head_steps(trace, site, 0, 3)
    for step in steps[1 : [step.key for step in steps].index("products")]:
        np.testing.assert_allclose(calculated(step), step.result.values.numpy(), atol=1e-9)
        line = latex.with_numbers(step, 3, 2, found)
        assert line.count("{") == line.count("}")
        at = 2 if step.result.rows == "key" else 3
        assert line.removesuffix(r"\end{aligned}").endswith(latex.tex(float(step.result.values[at, 0])))
        assert equation.step_frame(trace, step, axes, 3, 2, {})


def calculated(step: Step) -> np.ndarray:
    """The line of the figure, read from left to right: brackets and ⊙ bind as they are written."""
    names = [f"m{i}" for i, operand in enumerate(step.operands) if not isinstance(operand, str)]
    values = [operand.values.numpy() for operand in step.operands if not isinstance(operand, str)]
    signs = str.maketrans({"×": "@", "⊙": "*", "÷": "/", "−": "-"})
    matrices = iter(names)
    parts = [operand.translate(signs) if isinstance(operand, str) else next(matrices) for operand in step.operands]
    text = re.sub(r"√(\d+)", r"\1**0.5", " ".join(parts))
    return eval(text, dict(zip(names, values, strict=True)))


def test_a_linked_product_is_the_product_of_its_operands(run):
    _, trace = run
    for site in trace.sites:
        for step in head_steps(trace, site, 0, 0):
            matrices = {m.symbol: m.values for m in step.operands if not isinstance(m, str)}
            if step.product is not None:
                bias = sum(values for symbol, values in matrices.items() if symbol.startswith("b_"))
                whole = matrices[step.product[0]] @ matrices[step.product[1]] + bias
                bounds.close(whole, step.result.values, 1024)


@pytest.mark.parametrize("name", ["gpt_neox", "qwen3", "olmo2", "opt", "t5", "phi3", "gpt_oss"])
def test_a_saved_trace_gives_the_same_steps(name: str, tmp_path: Path):
    trace = traced(small(known(name)))
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    assert set(trace.store.names()) <= set(opened.store.names())
    for site in trace.sites:
        for was, now in zip(head_steps(trace, site, 1, 2), head_steps(opened, site, 1, 2), strict=True):
            assert (was.key, was.latex) == (now.key, now.latex)
            torch.testing.assert_close(now.result.values, was.result.values, atol=1e-12, rtol=0)


@pytest.mark.parametrize("spoilt", ["decoder.0.self.input", "parameters/decoder.0.self.W_K", "decoder.rotary.0.cos"])
def test_what_gives_other_numbers_is_not_shown(spoilt: str):
    trace = traced(small(known("llama")))
    trace.store.add(spoilt, trace.store[spoilt] * 1.001)
    steps = head_steps(trace, "decoder.0.self", 0, 0)
    assert [step.key for step in steps[:4]] == ["q", "k", "v", "products"]
    for step in steps[:3]:
        assert len(step.operands) == 1
        assert torch.equal(step.result.values.float(), trace.record("decoder.0.self").head(step.key, 0))
    assert steps[-1].key == "project"
    if "rotary" not in spoilt:
        assert head_steps(trace, "decoder.1.self", 0, 0)[0].key == "input"


def test_a_model_that_adds_to_its_projection_falls_back():
    """An adapter beside a projection (LoRA) makes another q than X · W_Q + b_Q."""
    model = small(known("bert"))
    query = model.bert.encoder.layer[1].attention.self.query
    query.register_forward_hook(lambda module, inputs, output: output + 0.1 * inputs[0])
    trace = traced(model)
    assert head_steps(trace, "encoder.0.self", 0, 0)[0].key == "input"
    assert head_steps(trace, "encoder.1.self", 0, 0)[0].key == "q"


def test_a_model_that_is_watched_begins_at_q():
    trace = traced(small(known("gptj")))
    assert [step.key for step in head_steps(trace, "decoder.0.self", 0, 0)][:4] == ["q", "k", "v", "products"]


def test_one_token_and_wrong_questions():
    trace = traced(small(known("qwen3")), n=1)
    site = trace.sites[0]
    steps = {step.key: step for step in head_steps(trace, site, 3, 0)}
    assert steps["softmax"].result.values.tolist() == [[1.0]]
    assert steps["rotate_q"].error < 1e-5
    for head, row in ((4, 0), (-1, 0), (0, 1)):
        with pytest.raises(OutOfRange):
            head_steps(trace, site, head, row)


def test_our_own_steps_are_as_they_were(make_model):
    trace = make_model().trace("the cat", "猫")
    assert tuple(step.key for step in head_steps(trace, "encoder.0.self", 0, 0)) == STEPS
