"""How small a fault the badges' rule sees: numbers that are off by 10⁻⁵ of themselves, in any of the seven that a record has."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch

from model import Trace, instrument
from model.trace.fidelity import Checked, Fidelity, check
from model.trace.logits import limit
from model.trace.rounding import allowed, unit_roundoff
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from tests import bounds
from tests.model import tiny

pytestmark = pytest.mark.float32

PARTS = ("q", "k", "v", "lse", "context", "output", "W_O")


@pytest.fixture(scope="module")
def trained(translator) -> Trace:
    return translator.trace("the animal didn't cross the street because it was too tired", language="fr")


def shaken(trace: Trace, site: Site, part: str, by: float) -> Checked:
    """How the sub-layer checks with every number of one tensor moved by `by` of itself, up or down at random."""
    record, W_O, b_O = trace.record(site), trace.parameter(site, "W_O"), trace.parameter(site, "b_O")
    old = W_O if part == "W_O" else record.store[f"{site}.{part}"]
    signs = torch.randint(0, 2, old.shape, generator=torch.Generator().manual_seed(1)).to(old) * 2 - 1
    new = old * (1 + by * signs)
    tensors = {f"{site}.{name}": record.store[f"{site}.{name}"] for name in _parts(record)} | {f"{site}.{part}": new}
    record = dataclasses.replace(record, store=MemoryStore(tensors))
    return check(record, new if part == "W_O" else W_O, b_O)


def _parts(record) -> list[str]:
    return [part for part in PARTS if record.has(part)]


def test_a_correct_run_is_well_inside(trained: Trace) -> None:
    found = trained.fidelity()
    assert found.holds and set(found.relative) == set(found.sites) == set(found.limits)
    # What is printed depends on the processor by a factor of two or so; a limit ten times as wide would see less.
    assert 0.05 < max(found.relative.values()) < 0.7


@pytest.mark.parametrize("by", [1e-5, 1e-4])
@pytest.mark.parametrize("part", PARTS)
def test_a_small_fault_is_seen_where_it_is(trained: Trace, part: str, by: float) -> None:
    """One part in 100,000, which 10⁻⁴ of the largest number let pass: u · √n is 7·10⁻⁷ for the 128 numbers of an output.

    What the rule cannot see is a fault below about 5·10⁻⁶ of each number, as large as the rounding itself, and one in the
    scores of a row that has a single key or gives one all its weight.
    """
    for site in trained.sites:
        assert shaken(trained, site, part, 0.0).relative < 0.7
        assert shaken(trained, site, part, by).relative > 1, str(site)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("part", PARTS)
def test_every_precision_has_the_same_rule(make_model, part: str, dtype: torch.dtype) -> None:
    """200 units in the last place are seen in either; in float64 that is 4·10⁻¹⁴."""
    model = make_model()
    model = dataclasses.replace(model, module=copy.deepcopy(model.module).to(dtype))
    trace = model.trace(tiny.TEXT, tiny.WRITTEN, pad_to=8)
    site = Site.parse("decoder.1.cross")
    assert trace.record(site).q.dtype == dtype and shaken(trace, site, part, 0.0).relative < 0.7
    assert shaken(trace, site, part, 400 * unit_roundoff(dtype)).relative > 1


def test_large_numbers_and_small_ones_are_judged_alike(trained: Trace) -> None:
    """Values and outputs a thousand times as large have errors a thousand times as large, and the same share of the limit."""
    record = trained.record("decoder.1.cross")
    W_O, b_O = (trained.parameter("decoder.1.cross", name) for name in ("W_O", "b_O"))
    plain = check(record, W_O, b_O)
    for power in (-10, 10):
        tensors = {name: record.store[name] for name in record.store.names()}
        tensors |= {
            f"{record.site}.{part}": tensors[f"{record.site}.{part}"] * 2.0**power
            for part in ("v", "context", "output")
        }
        found = check(dataclasses.replace(record, store=MemoryStore(tensors)), W_O, b_O * 2.0**power)
        assert found.error == plain.error * 2.0**power
        assert found.limit == pytest.approx(plain.limit * 2.0**power) and found.relative == pytest.approx(
            plain.relative
        )


def test_allowed_is_the_rule_written_out() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert unit_roundoff(dtype) == bounds.UNIT[str(dtype).removeprefix("torch.")]
        assert allowed(50.0, 9, dtype) == pytest.approx(bounds.off(50.0, 9, dtype))
    assert unit_roundoff(torch.float32, torch.bfloat16) == 2.0**-8
    assert allowed(torch.tensor([1.0, -3.0, -math.inf, math.nan])) == allowed(3.0)
    assert 0 < allowed(0.0) < 1e-40


def test_logits_are_judged_by_their_size(trained: Trace) -> None:
    own = limit(trained.store, trained.attention.values())
    assert trained.fidelity().logits_limit == own and 2e-6 < own / bounds.size_of(trained.logits) < 2e-5
    assert limit(MemoryStore({}), trained.attention.values()) is None
    assert Fidelity({"a": 1e-7}, own, logits_limit=own).holds
    assert not Fidelity({"a": 1e-7}, own * 1.01, logits_limit=own).holds


def test_the_result_in_words() -> None:
    """What the command line prints: never that it checks where it does not, or where nothing was held against anything."""
    assert Fidelity({}).told == "not checked"
    assert Fidelity({}, 0.0).told == "not checked"
    good = {"encoder.0.self": 2e-7, "decoder.0.cross": 3e-7}
    assert Fidelity(good, 0.0).told == "checks to 3.0e-07 of the modules’ own output, logits to 0.0e+00"
    context = Fidelity(good, compared={"encoder.0.self": "context", "decoder.0.cross": "output"})
    assert context.told == "checks to 3.0e-07 of the modules’ own output or context"
    bad = Fidelity(good | {"decoder.0.self": 0.2}, 0.0, compared={"decoder.0.self": "context"})
    assert bad.told == "does not check: decoder.0.self is 2.0e-01 off the module’s own context, logits to 0.0e+00"
    assert Fidelity(good | {"decoder.0.self": math.nan}).told.startswith("does not check: decoder.0.self is nan")
    assert Fidelity(good, 3.0).told == "does not check: logits 3.0e+00 off the untouched model’s"
    assert Fidelity({}, 3.0).told == "does not check: logits 3.0e+00 off the untouched model’s"


def test_the_worst_of_several_is_the_furthest_off_by_its_numbers_where_one_fails_else_the_largest_error() -> None:
    holding = Fidelity({"a": 1e-6, "b": 1e-7}, relative={"a": 0.1, "b": 0.9})
    assert holding.worst("ab") == "a" and holding.worst(["b", "unmeasured"]) == "b" and holding.worst(["c"]) == ""
    failing = Fidelity({"a": 1e-2, "b": 1e-5, "c": math.nan}, relative={"a": 0.5, "b": 8.0, "c": math.nan})
    assert failing.worst("ab") == "b" and failing.worst("abc") == "c" and failing.worst("a") == "a"


def test_a_share_decides_where_it_is_known() -> None:
    assert Fidelity({"a": 3e-2}, limits={"a": 1e-3}, relative={"a": 0.4}).holds
    assert not Fidelity({"a": 3e-7}, limits={"a": 1e-3}, relative={"a": 1.1}).holds
    assert not Fidelity({"a": 3e-7}, relative={"a": math.nan}).holds


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_module_without_w_o_is_checked_in_its_own_precision(dtype: torch.dtype) -> None:
    class Bare(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = (torch.nn.Linear(16, 16, dtype=dtype) for _ in range(3))

        def forward(self, x):
            parts = [made(x).unflatten(-1, (4, 4)).transpose(1, 2) for made in (self.q, self.k, self.v)]
            return torch.nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

    torch.manual_seed(0)
    found = instrument(Bare().eval()).trace(torch.randn(1, 5, 16, dtype=dtype)).fidelity()
    assert found.holds and found.compared["encoder.0.self"] == "context"
    assert found.max_error < 50 * torch.finfo(dtype).eps


def test_a_sum_that_goes_far_and_comes_back_is_as_far_off_as_what_it_passed_through() -> None:
    """A sound and then silence: values of one sign, then of the other, whose weighted sum is near 0."""

    class Bare(torch.nn.Module):
        def forward(self, x, v):
            parts = [t.unflatten(-1, (2, 8)).transpose(1, 2) for t in (x, x, v)]
            return torch.nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

    torch.manual_seed(0)
    n = 4096
    v = torch.where(torch.arange(n) < n // 2, 1.0, -1.0)[:, None] * (1 + 1e-3 * torch.randn(n, 16))
    found = instrument(Bare().eval()).trace(1e-3 * torch.randn(1, n, 16), v[None]).fidelity()
    assert found.holds and found.compared["encoder.0.self"] == "context"
