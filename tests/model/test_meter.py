"""The meter of trust and the heads that matter, against runs that are made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model import open_model
from model.attribution import heads_off, meter
from model.attribution.metric import metric_of
from model.errors import Stopped
from model.jobs.progress import ProgressListener, report_to
from tests.model import tiny
from tests.model.test_edits import brute, without

pytestmark = pytest.mark.float32
TIRED = "the animal didn't cross the street because it was too tired"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    model = open_model(tiny.write_checkpoint(tmp_path_factory.mktemp("meter") / "tiny"))
    trace = model.trace(tiny.TEXT, tiny.WRITTEN)
    return model, trace, metric_of(trace)


def number(got: dict, metric) -> float:
    row = got["logits"][metric.position]
    return float(row[metric.token] - row[metric.against])


def test_the_true_changes_are_those_of_runs_by_hand(run) -> None:
    model, trace, metric = run
    found = meter.measured(model, trace, metric, ["knockout"], count=20)
    plain = number(brute(model, trace), metric)
    assert len(found.edges) == 20 == len(set(found.edges))
    for edge, change in zip(found.edges, found.changes, strict=True):
        weights = {(str(edge.site), edge.head): without(edge.key, edge.query)}
        assert change == pytest.approx(number(brute(model, trace, weights), metric) - plain, abs=1e-4)
        assert meter.LOWEST < edge.weight < meter.HIGHEST
        assert edge.weight == pytest.approx(float(trace.weights(edge.site, edge.head)[edge.query, edge.key]), abs=1e-6)
    names = [reading.name for reading in found.readings]
    assert names == ["weight", "knockout"]


def test_edges_are_of_the_whole_range(run) -> None:
    _, trace, _ = run
    weights = np.array([edge.weight for edge in meter.draw(trace, 50)])
    every = np.array([edge.weight for edge in meter.draw(trace, 10**6)])
    for tenth in np.array_split(np.sort(every), 10):
        inside = (weights >= tenth[0]) & (weights <= tenth[-1])
        assert 4 <= inside.sum() <= 7
    assert meter.draw(trace, 50) == meter.draw(trace, 50) != meter.draw(trace, 50, seed=1)


def test_the_correlation_is_spearmans() -> None:
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    for _ in range(20):
        one, other = random.integers(0, 9, 30), random.normal(size=30)
        other += 0.3 * one
        assert meter.correlation(one, other) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)
    assert np.isnan(meter.correlation(np.zeros(5), np.arange(5)))
    told = meter.reading("x", np.arange(40.0), np.arange(40.0))
    assert told.correlation == pytest.approx(1) and told.low == pytest.approx(1) and told.high == pytest.approx(1)
    noise = meter.reading("x", np.arange(40.0), random.permutation(40).astype(float))
    assert noise.low < noise.correlation < noise.high and noise.high - noise.low > 0.2


def test_every_head_off_one_at_a_time(run) -> None:
    model, trace, metric = run
    found = {(str(site), head): effect for site, head, effect in heads_off.effects(model, trace, metric)}
    assert len(found) == 4 * len(trace.sites)
    plain = number(brute(model, trace), metric)
    for (site, head), effect in found.items():
        off = brute(model, trace, None, {(site, head): lambda z: 0 * z})
        assert effect == pytest.approx(number(off, metric) - plain, abs=1e-4)


def test_it_can_be_stopped(run) -> None:
    model, trace, metric = run
    heard: list[float | None] = []

    def stop() -> bool:
        return len(heard) > 3

    with report_to(ProgressListener(lambda what, fraction: heard.append(fraction), stop)), pytest.raises(Stopped):
        meter.measured(model, trace, metric)
    assert 3 < len(heard) < 8


def test_too_few_edges_are_said(run, monkeypatch: pytest.MonkeyPatch) -> None:
    model, trace, metric = run
    monkeypatch.setattr(meter, "LEAST", 10**6)
    with pytest.raises(ValueError, match="edges"):
        meter.measured(model, trace, metric)


def test_the_translator_knows_who_is_tired() -> None:
    """encoder.1.self, head 2 tells *il* from *elle*: off, the number falls by more than any other head's; and the knock-out ranks
    edges as real runs do, which their weights do not."""
    model = open_model("translate")
    trace = model.trace(TIRED, language="fr")
    metric = metric_of(trace, position=trace.written().index("il"))
    assert metric.texts == ("il", "elle")
    effects = sorted((effect, str(site), head) for site, head, effect in heads_off.effects(model, trace, metric))
    assert effects[0][1:] == ("encoder.1.self", 2) and effects[0][0] < 1.5 * effects[1][0] < 0
    found = {reading.name: reading for reading in meter.measured(model, trace, metric).readings}
    assert found["knockout"].low > 0.9 and found["gradient_attention"].correlation > 0.8
    assert found["weight"].high < 0.6 and found["value_norm"].high < 0.6
