"""Records that our own model does not make, and records that lie: fidelity must fail."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from model import Trace
from model.trace.attention_record import AttentionRecord
from model.trace.fidelity import Fidelity, check
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.transformer.masks import RuleMask, padding
from tests import bounds
from tests.model import naive, tiny

pytestmark = pytest.mark.float32

SITE = Site.parse("decoder.0.self")


def lying(trace: Trace, site: str, mask: RuleMask | None = None, scale: float | None = None, **changed) -> Trace:
    """A copy of `trace` whose record of one site is changed in one thing."""
    tensors = {name: trace.store[name] for name in trace.store.names()}
    tensors |= {f"{site}.{part}": value for part, value in changed.items()}
    attention = {}
    for known, record in trace.attention.items():
        new = dataclasses.replace(record, store=MemoryStore(tensors))
        if str(known) == site:
            new = dataclasses.replace(new, mask=mask or record.mask, scale=scale or record.scale)
        attention[known] = new
    return dataclasses.replace(trace, attention=attention, store=MemoryStore(tensors), measured=None)


@pytest.mark.parametrize("positions", ["sinusoidal", "relative", "rotary", "alibi"])
@pytest.mark.parametrize("site", ["encoder.1.self", "decoder.0.self", "decoder.1.cross"])
def test_fidelity_fails_on_a_record_that_lies(make_model, positions: str, site: str):
    trace = make_model(positions=positions).trace(tiny.TEXT, tiny.WRITTEN, pad_to=8)
    record = trace.record(site)
    keys = record.mask.keys if record.mask.keys is not None else torch.ones(record.keys, dtype=torch.bool)
    q, k, v, output = (getattr(record, part) for part in ("q", "k", "v", "output"))
    assert lying(trace, site, q=q.clone()).fidelity().holds  # an honest copy still holds
    lies = {
        "two heads of v swapped": lying(trace, site, v=v[[1, 0, 2, 3]]),
        "two keys swapped": lying(trace, site, k=k[:, [1, 0, *range(2, record.keys)]]),
        "one number of q": lying(trace, site, q=q + 0.05 * torch.nn.functional.one_hot(torch.tensor(1), 4)),
        "the scale": lying(trace, site, scale=record.scale * 1.01),
        "the mask, shifted": lying(trace, site, mask=RuleMask(record.mask.causal, keys.roll(1) & (torch.arange(len(keys)) != 2))),
        "the causal rule": lying(trace, site, mask=RuleMask(not record.mask.causal, record.mask.keys)),
        "the output": lying(trace, site, output=output.flip(0)),
        "a NaN": lying(trace, site, v=torch.full_like(v, math.nan)),
    }  # fmt: skip
    for lie, told in lies.items():
        fidelity = told.fidelity()
        assert not fidelity.holds, lie
        assert all(fidelity.holds_at(name) for name in fidelity.sites if name != site), lie


def test_nothing_measured_or_nan_does_not_hold():
    assert Fidelity({"a": 1e-7, "b": 2e-7}, 0.0).holds
    assert Fidelity({"a": 1e-7}, 0.0).max_error == 1e-7
    for broken in ({}, {"a": 1e-7, "b": math.nan}, {"a": math.nan, "b": 1e-7}, {"a": 1e-3}):
        assert not Fidelity(broken, 0.0).holds, broken
    assert not Fidelity({"a": 1e-7}, math.nan).holds
    assert not Fidelity({"a": 1e-7}, 1e-2).holds


def synthetic(q: int, k: int, heads: int = 4, groups: int = 1, mask: RuleMask | None = None) -> AttentionRecord:
    generator = torch.Generator().manual_seed(q * 100 + k)
    sizes = {"q": (heads, q, 4), "k": (heads // groups, k, 4), "v": (heads // groups, k, 4)}
    tensors = {
        f"{SITE}.{name}": torch.randn(size, generator=generator, dtype=torch.float64) for name, size in sizes.items()
    }
    return AttentionRecord(SITE, 0.5, mask or RuleMask(), MemoryStore(tensors))


def test_a_nan_in_the_first_block_of_rows_is_not_forgotten():
    record = synthetic(1030, 3)
    output = torch.cat([record.head_output(h, dtype=torch.float64) for h in range(4)], dim=-1)
    output[5] = math.nan
    record.store.add(f"{SITE}.output", output)
    assert math.isnan(check(record, torch.eye(16), None).error)
    wrong = output.nan_to_num(record.head_output(0, slice(5, 6)).mean().item())
    wrong[-1] += 1e-2  # the last row is among those that are checked of a long input
    record.store.add(f"{SITE}.output", wrong)
    assert check(record, torch.eye(16), None).error > 1e-3


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_grouped_heads_share_keys_and_values(groups: int):
    record = synthetic(3, 5, groups=groups)
    assert (record.heads, record.groups, record.queries, record.keys, record.d_k) == (4, groups, 3, 5, 4)
    for head in range(4):
        q, k, v = record.q[head].numpy(), record.k[head // groups].numpy(), record.v[head // groups].numpy()
        weights = naive.softmax(q @ k.T * 0.5)
        got = record.weights(head, dtype=torch.float64).numpy()
        np.testing.assert_allclose(got, weights, atol=1e-12, rtol=0)
        tile = record.weights(head, slice(1, 3), slice(2, 4), torch.float64).numpy()  # without a log-sum-exp
        np.testing.assert_allclose(tile, weights[1:3, 2:4], atol=1e-12, rtol=0)
        mixed = record.head_output(head, dtype=torch.float64).numpy()
        np.testing.assert_allclose(mixed, weights @ v, atol=1e-12, rtol=0)


def test_fully_masked_rows_are_zero_whole_and_in_tiles(make_model):
    record = synthetic(3, 3, mask=RuleMask(causal=True, keys=torch.tensor([False, True, True])))
    weights = record.weights(0)
    assert not weights[0].any()
    assert weights[1:].sum(-1).tolist() == pytest.approx([1, 1])
    assert record.scores(0)[0].isneginf().all()
    assert not record.weights(0, slice(0, 1), slice(1, 3)).any()
    record.store.add(f"{SITE}.lse", torch.zeros(4, 3))  # what the kernel gives for such a row
    assert not record.weights(0, slice(0, 1), slice(1, 3)).any()
    assert not record.head_output(0)[0].any()


def test_a_padded_first_key_is_recorded_as_nothing_attended(make_model):
    from model.trace.record_own import record_run

    model = make_model()
    store, attention = record_run(model.module, torch.tensor([0, 0]), torch.tensor([0, 4]))
    for record in attention.values():
        assert all(record.weights(head).isfinite().all() for head in range(4))
    assert not attention[Site.parse("encoder.0.self")].weights(1).any()
    first = attention[SITE].output[0]
    bounds.close(first, model.module.decoder[0].self_attention.W_O.bias.detach(), 64)
    assert store["logits"].isfinite().all()


def test_masks_are_rules():
    ids = torch.tensor([[1, 2, 0], [3, 0, 0]])
    mask = padding(ids, 0, causal=True)
    want = [[[j <= i and ids[b, j] != 0 for j in range(3)] for i in range(3)] for b in range(2)]
    assert mask.allowed(3, 3)[:, 0].tolist() == want
    assert mask.example(1).allowed(3, 3).tolist() == want[1]
    assert torch.equal(mask.example(0).allowed(3, 3, slice(1, 3), slice(0, 2)), mask.example(0).allowed(3, 3)[1:3, :2])
    assert padding(ids[:1, :2], 0).keys is None
    assert RuleMask(causal=True).allowed(2, 4).tolist() == [[True, False, False, False], [True, True, False, False]]


def test_sites_are_written_one_way():
    assert str(Site.parse("decoder.3.cross")) == "decoder.3.cross"
    assert (SITE.query_side, SITE.key_side) == ("decoder", "decoder")
    assert Site.parse("decoder.0.cross").key_side == "encoder"
    assert Site.parse(SITE) == SITE
    for wrong in ("", "decoder.self", "encoder.-1.self", "encoder.0.other", "encoder.0.self\n", "Encoder.0.self"):
        with pytest.raises(ValueError, match="is not a site: write it as"):
            Site.parse(wrong)


def test_a_head_that_is_nan_is_not_hidden_by_the_others(translator):
    """Where W_O is not known every head's context is checked, and the worst one counts."""
    found = translator.trace("I like cats", language="zh").record("encoder.1.self")
    parts = {name: found.store[name].clone() for name in found.store.names() if name.startswith("encoder.1.self.")}
    parts["encoder.1.self.q"][2] = torch.nan
    broken = check(dataclasses.replace(found, store=MemoryStore(parts)), None, None)
    assert broken.compared == "context" and math.isnan(broken.relative) and check(found, None, None).relative <= 1
