"""What the server keeps for its sessions: within its bytes, the newest always, one making for two who ask."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from model.checkpoints.disk import cost
from model.jobs.held_bytes import held_bytes
from model.trace.per_trace import PerTrace, derived_bytes
from viz.ui.state import memory_budget
from viz.ui.state.memory_budget import MemoryBudget


def _get(kept: MemoryBudget, key: object, size: int, kind: str = "runs") -> list[int]:
    return kept.get(kind, key, lambda: [size], lambda value: value[0])


def test_what_was_used_longest_ago_goes_first_whatever_its_kind():
    kept = MemoryBudget(100)
    model, run = _get(kept, "a", 40, "models"), _get(kept, "a", 40)
    assert kept.used() == {"models": (1, 40), "runs": (1, 40)}
    assert _get(kept, "a", 0, "models") is model  # used once more
    _get(kept, "b", 40, "pictures")
    assert kept.used() == {"models": (1, 40), "pictures": (1, 40)}
    assert _get(kept, "a", 1) is not run


def test_the_newest_stays_however_large():
    kept = MemoryBudget(100)
    _get(kept, "small", 10)
    large = _get(kept, "large", 1000)
    assert _get(kept, "large", 0) is large and len(kept) == 1


def test_what_grows_counts_as_it_is_when_it_is_used(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(memory_budget.time, "monotonic", lambda: now[0])
    kept = MemoryBudget(100)
    grows, other = _get(kept, "grows", 10), _get(kept, "other", 60)
    grows[0] = 80
    assert _get(kept, "grows", 0) is grows and kept.used() == {"runs": (2, 70)}  # within the same run of a page
    now[0] = 2.0
    assert _get(kept, "grows", 0) is grows and kept.used() == {"runs": (1, 80)}
    assert _get(kept, "other", 60) is not other


def test_two_sessions_wait_for_one_making():
    kept, made = MemoryBudget(100), []

    def make() -> int:
        made.append(1)
        time.sleep(0.05)
        return 1

    threads = [threading.Thread(target=lambda: kept.get("runs", "same", make, int)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_what_goes_wrong_is_not_kept_and_everything_can_be_let_go():
    kept = MemoryBudget(100)
    with pytest.raises(ValueError, match="no"):
        kept.get("runs", "x", lambda: (_ for _ in ()).throw(ValueError("no")), len)
    assert _get(kept, "x", 1) == [1]
    kept.empty()
    assert len(kept) == 0 and kept.used() == {}


@pytest.mark.parametrize(
    ("told", "means"),
    [("1000", 1000), ("2 GB", 2 * 10**9), ("1.5GiB", 3 * 2**29), ("", None), ("²", None), ("much", None)],
)
def test_the_limit_is_told_in_bytes(monkeypatch: pytest.MonkeyPatch, told: str, means: int | None):
    monkeypatch.setenv(memory_budget.BUDGET, told)
    quarter = cost.total_memory() // 4
    limit = memory_budget.shared.__wrapped__().most_bytes
    assert abs(limit - (quarter if means is None else means)) <= 1


def test_bytes_are_counted_once_whatever_holds_them():
    tensor, array = torch.zeros(10, 10), np.zeros(50)
    assert held_bytes([tensor, tensor[2:], {"a": array, "b": array[::2]}]) == 400 + 400 + 2
    tied = nn.Linear(4, 4, bias=False)
    tied.other = nn.Parameter(tied.weight.detach())
    assert held_bytes(tied) == 64


def test_what_is_derived_of_a_run_counts_with_it():
    class Owner:
        pass

    owner, cache = Owner(), PerTrace()
    before = derived_bytes(owner)
    cache.get(owner, "k", lambda: torch.zeros(1000))
    assert before == 0 and 4000 <= derived_bytes(owner) <= 4010


def test_the_page_of_models_shows_it_and_empties_it(visit):
    memory_budget.shared().empty()
    seen = visit("overview").sound().go("models").sound()
    used = memory_budget.shared().used()
    assert used["models"][1] > 1e6 and used["runs"][1] > 1e4
    said = " ".join(element.value for element in seen.at.markdown)
    assert seen.say("models.kept_models", n=1, size="").split(",")[0] in said
    seen.click("memory-empty").sound()
    assert "models" not in memory_budget.shared().used()
    assert seen.go("heads").sound().figure("matrix")


def test_the_page_says_what_visits_hold_beside_it(visit, monkeypatch):
    kept = MemoryBudget(2**30)
    monkeypatch.setattr(memory_budget, "shared", lambda: kept)
    held = [kept.get("models", "held", Held, lambda _: 2 * 10**9)]
    seen = visit("models").sound()
    told = seen.say("models.memory_visits", parts=seen.say("models.kept_models", n=1, size="2 GB"))
    assert told in " ".join(caption.value for caption in seen.at.caption)
    kept.get("models", "held", lambda: held[0], lambda _: 10)  # kept again: it is counted there
    assert kept.held_elsewhere() == {}
    kept.empty()
    assert kept.held_elsewhere()["models"] == (1, 10)  # beside the run that this visit looks at
    held.clear()
    assert "models" not in kept.held_elsewhere()


class Held:
    """Something that is kept, and may be referred to weakly."""
