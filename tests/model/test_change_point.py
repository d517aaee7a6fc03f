"""The change point: found where it was put, with an interval that holds it as often as it says, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from model.forming.change_point import change_point
from model.training.train import snapshot_steps

STEPS = np.array(sorted(snapshot_steps(3000, 30)))
N = len(STEPS)


def noisy(curve: np.ndarray, seed: int, sigma: float) -> np.ndarray:
    return curve + np.random.default_rng(seed).normal(0, sigma, len(curve))


def level(place: int, before: float = 0.1, after: float = 0.8) -> np.ndarray:
    return np.where(np.arange(N) < place, before, after)


@pytest.mark.parametrize("place", [3, 10, N // 2, N - 3])
@pytest.mark.parametrize("turned", [1, -1])
def test_a_step_is_found_where_it_was_put(place: int, turned: int) -> None:
    found = change_point(STEPS, turned * noisy(level(place), place, 0.02))
    assert (found.last, found.first) == (STEPS[place - 1], STEPS[place])
    assert found.low <= found.last < found.first <= found.high
    assert found.before == pytest.approx(turned * 0.1, abs=0.03) and found.after == pytest.approx(
        turned * 0.8, abs=0.03
    )


def test_the_interval_holds_the_change_as_often_as_it_says_and_is_wider_where_there_is_more_noise() -> None:
    place, held, wide = N // 2, {}, {}
    for sigma in (0.05, 0.2):
        found = [change_point(STEPS, noisy(level(place), seed, sigma)) for seed in range(60)]
        found = [each for each in found if each is not None]
        assert len(found) > 40
        held[sigma] = np.mean([each.low <= STEPS[place - 1] and STEPS[place] <= each.high for each in found])
        wide[sigma] = np.mean([np.log1p(each.high) - np.log1p(each.low) for each in found])
    assert min(held.values()) > 0.9
    assert wide[0.2] > 1.2 * wide[0.05]


def test_a_steep_rise_over_several_snapshots_is_within_the_interval() -> None:
    rise = 0.1 + 0.7 / (1 + np.exp(-(np.arange(N) - 17) / 0.8))
    found = change_point(STEPS, rise)
    assert found.low <= STEPS[16] and STEPS[17] <= found.high and STEPS[12] <= found.low and found.high <= STEPS[22]
    ramp = np.interp(np.log1p(STEPS), np.log1p(STEPS[[14, 19]]), [0.1, 0.8])
    found = change_point(STEPS, noisy(ramp, 0, 0.01))
    assert (found.last, found.first) == (STEPS[14], STEPS[19])


@pytest.mark.parametrize("sigma", [0.0, 0.05])
@pytest.mark.parametrize(
    "curve",
    [
        np.full(N, 0.3),
        np.linspace(0.1, 0.8, N),
        np.log1p(STEPS) / 10,
        np.maximum(0.1, np.linspace(-0.8, 0.8, N)),
        np.interp(np.arange(N), [4, N - 5], [0.1, 0.8]),
    ],
    ids=["constant", "even rise", "logarithm", "flat and then rising", "a rise over most of the training"],
)
def test_no_change_is_said_of_what_has_none(curve: np.ndarray, sigma: float) -> None:
    found = [change_point(STEPS, noisy(curve, seed, sigma)) for seed in range(20)]
    assert np.mean([each is not None for each in found]) <= 0.05


def test_small_changes_and_few_snapshots_say_nothing() -> None:
    assert change_point(STEPS, level(9, 0.1, 0.15)) is None
    assert change_point(STEPS, 10 * level(9, 0.1, 0.15), least=1.0) is None
    assert change_point(STEPS[:5], [0, 0, 1, 1, 1]) is None


def test_what_is_not_a_number_is_left_out() -> None:
    curve = noisy(level(12), 0, 0.02)
    known = [i for i in range(N) if i not in (0, 20)]
    gaps = curve.copy()
    gaps[[0, 20]] = np.nan
    assert change_point(STEPS, gaps) == change_point(STEPS[known], curve[known])
