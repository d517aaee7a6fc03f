"""A run that is off, and one that cannot be checked: every figure says so, its pictures in red.

That its files say what the figure does is held for one of the three; writing them takes longer than the runs.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from model.checkpoints.own import OwnModel
from model.trace.tensors import MemoryStore
from model.trace.trace import Trace
from tests.app.test_figure_footer import NO_RUN, PAGES_WITH_FEET, TABS, feet_of, hold_to
from viz.ui.state import memory_budget
from viz.ui.state.memory_budget import MemoryBudget

# A file of another run than the page's (the corpus, random repeats, the permuted words, the numbers that one types).
OTHER_RUNS = {"corpus-heads", "corpus-head", "measures-induction", "positions-with", "positions-without", "by-hand",
              "positions-turn"}  # fmt: skip


def changed(trace: Trace, tensors: dict[str, torch.Tensor]) -> Trace:
    store = MemoryStore({name: trace.store[name] for name in trace.store.names()} | tensors)
    attention = {site: dataclasses.replace(record, store=store) for site, record in trace.attention.items()}
    return dataclasses.replace(trace, store=store, attention=attention, measured=None)


def logits_off(trace: Trace) -> Trace:
    return changed(trace, {"logits": trace.logits + 1})


def values_off(trace: Trace) -> Trace:
    """Every sub-layer's values in another order of heads than the module's."""
    return changed(trace, {f"{site}.v": trace.v(site).flip(0) for site in trace.sites})


def unchecked(trace: Trace) -> Trace:
    """No context, a W_O that is not known, and no untouched run: nothing to hold anything against."""
    names = [name for name in trace.store.names() if not name.endswith((".context", ".W_O"))]
    store = MemoryStore({name: trace.store[name] for name in names})
    attention = {site: dataclasses.replace(record, store=store) for site, record in trace.attention.items()}
    return dataclasses.replace(trace, store=store, attention=attention, measured=None, plain_logits=None)


@pytest.fixture
def run_is(monkeypatch: pytest.MonkeyPatch):
    def become(change) -> None:
        real = OwnModel.trace
        monkeypatch.setattr(OwnModel, "trace", lambda *args, **options: change(real(*args, **options)))
        kept = MemoryBudget(2**30)  # not with what other tests keep: their runs are sound
        monkeypatch.setattr(memory_budget, "shared", lambda: kept)

    return become


@pytest.mark.parametrize("page", PAGES_WITH_FEET)
def test_no_file_of_a_run_whose_logits_are_off_is_silent(visit, monkeypatch, run_is, page: str) -> None:
    """The last of a page's tabs; the other two tests see the first."""
    tab = TABS.get(page, [""])[-1]
    run_is(logits_off)
    for name, (check, files) in feet_of(visit, monkeypatch, page, tab, sound=False, kinds=()).items():
        if name not in NO_RUN | OTHER_RUNS:
            assert files and check.fails and "✗ does not check: logits" in check.text, name
            assert "✓" not in check.text or name.startswith("step-"), name


# Their figures' numbers are right or wrong by themselves, whatever the attention's record is worth.
OWN_ANSWERS = ("generation-", "block-", "output-", "positions-")


@pytest.mark.parametrize("page", PAGES_WITH_FEET)
def test_no_file_of_a_record_that_is_off_is_silent(visit, monkeypatch, run_is, page: str) -> None:
    """Where a page draws no picture of it there is no file either."""
    run_is(values_off)
    for name, (check, files) in feet_of(visit, monkeypatch, page, "", sound=False, kinds=("csv", "npz", "svg")).items():
        if name not in NO_RUN | OTHER_RUNS and not name.startswith(OWN_ANSWERS):
            assert check.fails and "✗ does not check" in check.text, name
        hold_to(check, files)


# These read the contexts, which every record that can be saved has.
CONTEXTS = {"steps", "together", "encoder_decoder"}


@pytest.mark.parametrize("page", [page for page in PAGES_WITH_FEET if page not in CONTEXTS])
def test_a_record_that_nothing_was_held_against_says_so(visit, monkeypatch, run_is, page: str) -> None:
    run_is(unchecked)
    for name, (check, files) in feet_of(visit, monkeypatch, page, "", sound=False, kinds=()).items():
        if name not in NO_RUN | OTHER_RUNS and not name.startswith(OWN_ANSWERS):
            assert files and check.text == "not checked", name
