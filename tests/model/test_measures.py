"""The table of heads against its own sentences, computed anew in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model import Trace
from model.measures.definitions.effective_rank import effective_rank
from model.measures.head_statistics import trace_statistics
from model.measures.registry import ROLES, TABLE
from model.measures.table import COLUMNS, LEAST, role, table
from tests import bounds
from tests.model import tiny

pytestmark = pytest.mark.float32


@pytest.fixture(scope="module")
def trace(translator) -> Trace:
    return translator.trace("she gave him a red apple", language="fr")


def of_head(measures, site: object, head: int) -> dict[str, float]:
    (row,) = measures[(measures["site"] == str(site)) & (measures["head"] == head)][list(COLUMNS)].to_dict("records")
    return row


def test_one_row_a_head_in_order(trace: Trace) -> None:
    found = trace.statistics()
    assert list(found.columns) == ["site", "head", *COLUMNS]
    assert list(zip(found["site"], found["head"], strict=True)) == [
        (str(site), head) for site in trace.sites for head in range(trace.record(site).heads)
    ]
    assert {"entropy", "mean_distance", "previous", "first", "diagonal", "induction"} <= set(found.columns)


def test_the_numbers_are_those_of_the_whole_weights(trace: Trace) -> None:
    found = table(trace)
    for site in trace.sites:
        for head in range(trace.record(site).heads):
            A = trace.record(site).weights(head, dtype=torch.float64).numpy()
            row = of_head(found, site, head)
            assert row["entropy"] == bounds.near(
                -(A * np.log(np.where(A > 0, A, 1))).sum(1).mean(), 64, size=math.log(A.shape[1]) + 1
            )
            assert row["first"] == pytest.approx(A[:, 0].mean(), abs=bounds.WEIGHT)
            assert row["largest"] == pytest.approx(A.max(1).mean(), abs=bounds.WEIGHT)
            if site.kind == "cross":
                assert math.isnan(row["previous"]) and math.isnan(row["positional_share"])
                continue
            n = len(A)
            i, j = np.indices(A.shape)
            assert row["previous"] == pytest.approx(A[np.arange(1, n), np.arange(n - 1)].mean(), abs=bounds.WEIGHT)
            assert row["diagonal"] == pytest.approx(np.diag(A).mean(), abs=bounds.WEIGHT)
            assert row["mean_distance"] == bounds.near((A * (i - j)).sum() / A.sum(), 64, size=n)
            assert row["local"] == pytest.approx((A * (abs(i - j) <= 4)).sum(1).mean(), abs=bounds.WEIGHT)


def test_every_field_is_the_measured_one(trace: Trace) -> None:
    found, measured = table(trace), trace_statistics(trace, costly=True)
    for site, each in measured.items():
        for measure in TABLE:
            values = getattr(each, measure.name)
            told = found[found["site"] == str(site)][measure.column].to_numpy()
            np.testing.assert_array_equal(
                told, np.full(len(told), np.nan) if values is None else values.double().numpy()
            )


@pytest.mark.parametrize(("q", "d"), [(1, 4), (3, 8), (40, 8)])
def test_the_effective_rank_is_roys(q: int, d: int) -> None:
    z = torch.randn(3, q, d, generator=torch.Generator().manual_seed(q), dtype=torch.float64)
    got = effective_rank(z)
    for head in range(3):
        sigma = np.linalg.svd(z[head].numpy(), compute_uv=False)
        p = sigma / sigma.sum()
        assert got[head].item() == pytest.approx(math.exp(-(p * np.log(p)).sum()), abs=1e-9)
    assert got.min() >= 1 - 1e-9 and got.max() <= min(q, d) + 1e-9


def test_ranks_that_are_known() -> None:
    flat = torch.ones(1, 7, 5)
    assert effective_rank(flat).item() == bounds.near(1, 64)
    assert effective_rank(torch.eye(6)[None]).item() == pytest.approx(6, abs=1e-9)
    assert effective_rank(torch.zeros(1, 4, 3)).isnan().all()


def test_a_role_needs_the_number_that_justifies_it() -> None:
    nothing = dict.fromkeys(ROLES, 0.1)
    assert role(nothing) is None
    assert role(nothing | {"first": LEAST}) == ("first", LEAST)
    assert role(nothing | {"first": 0.6, "special": 0.8}) == ("special", 0.8)
    assert role(nothing | {"induction": math.nan, "previous": 0.9}) == ("previous", 0.9)


def test_a_library_model_has_the_same_columns(make_model) -> None:
    trace = make_model(positions="rotary").trace(tiny.TEXT, tiny.WRITTEN)
    assert list(table(trace).columns) == ["site", "head", *COLUMNS]
