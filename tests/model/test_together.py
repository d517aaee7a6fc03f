"""Heads put together: the shares of numpy's own multi-head attention, family by family, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import open_model
from model.attention import head_contributions
from tests import bounds

pytestmark = pytest.mark.float32

EXACT = {"atol": 1e-12, "rtol": 0}
TEXT = "the cat sat on the mat"


@pytest.fixture(scope="module")
def trace():
    return open_model("translate").trace(TEXT, language="zh")


def by_hand(trace, site, row: int) -> tuple[np.ndarray, np.ndarray]:
    """(shares [h, d], b_O [d]): W_O cut by counting columns, one head after the other, with numpy in float64."""
    record = trace.record(site)
    W, b = (trace.parameter(site, name).double().numpy() for name in ("W_O", "b_O"))
    z = record.context.double().numpy()[:, row]
    width = z.shape[1]
    found = []
    for head in range(len(z)):
        found.append(sum(z[head, i] * W[head * width + i] for i in range(width)))
    return np.array(found), b


def test_shares_are_numpys_and_add_up_to_the_recorded_output(trace) -> None:
    for site in trace.sites:
        for row in (0, trace.record(site).queries - 1):
            found = head_contributions.contributions(trace, site, row)
            heads, bias = by_hand(trace, site, row)
            np.testing.assert_allclose(found.heads, heads, **EXACT)
            np.testing.assert_allclose(found.parts[-1], bias, **EXACT)
            output = trace.activation(f"{site}.output")[row].double().numpy()
            bounds.close(heads.sum(0) + bias, output, 64, size=np.vstack([heads, bias]))
            assert found.error == pytest.approx(np.abs(heads.sum(0) + bias - output).max(), abs=1e-12)


def test_signed_shares_sum_to_one_and_lengths_are_norms(trace) -> None:
    for site in trace.sites:
        found = head_contributions.contributions(trace, site, 1)
        heads, bias = by_hand(trace, site, 1)
        parts, output = np.vstack([heads, bias]), found.output.numpy()
        np.testing.assert_allclose(found.lengths, np.sqrt((parts**2).sum(1)), **EXACT)
        np.testing.assert_allclose(found.signed, parts @ output / (output**2).sum(), **EXACT)
        assert float(found.signed.sum()) == bounds.near(1, 1024, size=found.signed)


def test_lengths_of_every_query_are_those_of_each_alone(trace) -> None:
    site = trace.sites[-1]
    every = head_contributions.lengths(trace, site, slice(1, 4))
    for place, row in enumerate(range(1, 4)):
        np.testing.assert_allclose(
            every[:, place], head_contributions.contributions(trace, site, row).lengths[:-1], **EXACT
        )


def test_a_lost_head_shows(trace) -> None:
    """A record whose contexts are another head's does not add up."""
    from dataclasses import replace

    from model.trace.tensors import MemoryStore

    site = trace.sites[0]
    context = trace.record(site).context
    names = {name: trace.store[name] for name in trace.store.names()} | {f"{site}.context": context.flip(0)}
    store = MemoryStore(names)
    wrong = replace(trace, store=store, attention={site: replace(trace.record(site), store=store)})
    assert head_contributions.contributions(wrong, site, 1).error > 0.1


def test_rows_overlap_and_strongest(trace) -> None:
    record = trace.record(trace.sites[0])
    rows = head_contributions.head_rows(record, 2)
    for head in range(record.heads):
        np.testing.assert_allclose(rows[head], record.weights(head, dtype=torch.float64)[2], **EXACT)
    shared = head_contributions.overlap(rows)
    a = rows.numpy()
    for i in range(record.heads):
        for j in range(record.heads):
            assert float(shared[i, j]) == pytest.approx(1 - np.abs(a[i] - a[j]).sum() / 2, abs=1e-12)
    assert [j for j, _ in head_contributions.strongest(rows)] == a.argmax(1).tolist()


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5", "bart", "vit", "xlnet", "deberta"])
def test_a_librarys_model_adds_up(name: str, tmp_path) -> None:
    """Grouped heads, no bias, two stacks, patches: where W_O is known, each row is the sum of its shares."""
    pytest.importorskip("transformers")
    from tests.app.checkpoints import write

    model = open_model(write(tmp_path / name, name))
    if name == "vit":
        from model.checkpoints.media.picture_files import sample_picture
        from model.checkpoints.media.pictures import trace_picture

        trace = trace_picture(model, sample_picture(32))
    else:
        trace = model.trace("I like cats and the cat sat on the mat")
    known = [site for site in trace.sites if head_contributions.projected(trace, site)]
    assert known == list(trace.sites)
    for site in known:
        for row in range(trace.record(site).queries):
            found = head_contributions.contributions(trace, site, row)
            assert found.heads.shape == (trace.record(site).heads, len(found.output))
            assert found.error <= bounds.off(found.parts, 64) and found.error <= found.limit
