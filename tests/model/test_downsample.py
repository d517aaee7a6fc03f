"""Heads made small against their whole weights in float64, pooled cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import open_model
from model.attention.downsample import HOW, allowed_bins, block_shares, block_size, pooled, thumbnails
from model.attention.downsample_heads import head_similarity, trace_thumbnails
from model.errors import OutOfRange, Stopped, UnknownOption
from model.jobs.progress import ProgressListener, report_to
from model.trace.attention_record import AttentionRecord
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.transformer.masks import DenseMask, IntervalMask, RuleMask
from model.transformer.positions import alibi_slopes
from tests import bounds

pytestmark = pytest.mark.float32

SITE = Site.parse("decoder.0.self")


def record(q: int, k: int, mask=None, heads: int = 4, groups: int = 1, d: int = 8, **more) -> AttentionRecord:
    generator = torch.Generator().manual_seed(31 * q + k)
    sizes = {"q": (heads, q, d), "k": (heads // groups, k, d), "v": (heads // groups, k, d)}
    store = MemoryStore({f"{SITE}.{name}": torch.randn(size, generator=generator) for name, size in sizes.items()})
    for part in ("bias", "bias_offsets", "sinks", "relative_keys"):
        if part in more:
            store.add(f"{SITE}.{part}", more.pop(part))
    return AttentionRecord(SITE, 0.7, mask or RuleMask(), store, **more)


def weights(found: AttentionRecord, head: int) -> np.ndarray:
    """float64 [q, k] straight from the definition, one row at a time."""
    name, store = str(SITE), found.store
    q, k = store[f"{name}.q"][head].double(), store[f"{name}.k"][head // found.groups].double()
    allowed = found.mask.allowed(len(q), len(k))
    out = np.zeros((len(q), len(k)))
    for i in range(len(q)):
        products = k @ q[i]
        if found.distance is not None:
            place = (torch.arange(len(k)) - i).clamp(-found.distance, found.distance) + found.distance
            products = products + (store[f"{name}.relative_keys"].double() @ q[i])[place]
        scores = products * found.scale
        if found.slopes is not None:
            scores = scores - found.slopes[head].double() * (torch.arange(len(k)) - i).abs()
        if found.softcap is not None:
            scores = found.softcap * torch.tanh(scores / found.softcap)
        if f"{name}.bias" in store:
            scores = scores + store[f"{name}.bias"][head, i].double()
        if f"{name}.bias_offsets" in store:
            scores = scores + store[f"{name}.bias_offsets"][head].double()[torch.arange(len(k)) - i + len(q) - 1]
        powers = torch.where(allowed[i], scores.exp(), 0.0)
        sink = store[f"{name}.sinks"][head].double().exp() if f"{name}.sinks" in store else 0.0
        total = powers.sum() + sink
        out[i] = (powers / total).numpy() if float(total) else 0.0
    return out


def shares(found: AttentionRecord, blocks: int) -> np.ndarray:
    """float64 [h, R, C], every block added up."""
    rows, columns = (-(-n // blocks) for n in (found.queries, found.keys))
    answer = []
    for head in range(found.heads):
        whole = weights(found, head)
        answer.append(
            [[whole[i : i + rows, j : j + columns].sum(1).mean() for j in range(0, found.keys, columns)]
             for i in range(0, found.queries, rows)]
        )  # fmt: skip
    return np.array(answer)


def sliding(n: int, window: int) -> IntervalMask:
    i = torch.arange(n, dtype=torch.int32)
    return IntervalMask((i - window + 1).clamp(min=0), i + 1)


def holes(q: int, k: int) -> DenseMask:
    tile = torch.rand(q, k, generator=torch.Generator().manual_seed(5)) < 0.4
    tile[3] = False  # a row that attends nothing
    return DenseMask(tile)


def padded(n: int, causal: bool = False) -> RuleMask:
    keys = torch.ones(n, dtype=torch.bool)
    keys[:2], keys[-5:] = False, False
    return RuleMask(causal, keys)


KINDS = {
    "plain": lambda n, k: record(n, k),
    "causal": lambda n, k: record(n, n, RuleMask(causal=True)),
    "causal, more keys": lambda n, k: record(n, k, RuleMask(causal=True)),
    "sliding": lambda n, k: record(n, n, sliding(n, 6)),
    "padding": lambda n, k: record(n, k, padded(k)),
    "causal and padding": lambda n, k: record(n, n, padded(n, True)),
    "explicit": lambda n, k: record(n, k, holes(n, k)),
    "grouped": lambda n, k: record(n, n, RuleMask(causal=True), groups=2),
    "one key head": lambda n, k: record(n, k, groups=4),
    "wide heads": lambda n, k: record(n, k, d=80),
    "T5 offsets": lambda n, k: record(n, n, bias_offsets=torch.randn(4, 2 * n - 1)),
    "bias": lambda n, k: record(n, k, bias=torch.randn(4, n, k)),
    "ALiBi": lambda n, k: record(n, n, RuleMask(causal=True), slopes=alibi_slopes(4)),
    "soft-capped": lambda n, k: record(n, n, sliding(n, 9), groups=2, softcap=1.5),
    "sinks": lambda n, k: record(n, n, RuleMask(causal=True), sinks=torch.tensor([0.0, 2.0, -3.0, 1.0])),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "k", "blocks"), [(49, 61, 48), (300, 270, 48), (7, 100, 3), (20, 20, 48), (5, 5, 1)])
def test_blocks_are_the_sums_of_the_weights(kind: str, n: int, k: int, blocks: int):
    torch.manual_seed(n)
    found = KINDS[kind](n, k)
    got = block_shares(found, blocks)
    assert got.dtype == torch.float32
    assert got.shape == (
        4,
        -(-found.queries // block_size(found.queries, blocks)),
        -(-found.keys // -(-found.keys // blocks)),
    )
    np.testing.assert_allclose(got.numpy(), shares(found, blocks), atol=bounds.WEIGHT, rtol=0)
    if kind not in ("sinks", "explicit", "causal and padding") and k > 7:
        np.testing.assert_allclose(got.sum(-1), 1, atol=bounds.WEIGHT)


@pytest.mark.parametrize("total", [1, 47, 48, 49, 95, 96, 97, 1000])
def test_there_are_never_more_blocks_than_asked_for(total: int):
    size = block_size(total)
    assert 1 <= -(-total // size) <= 48 and (size == 1) == (total <= 48)


MORE = KINDS | {
    "Shaw": lambda n, k: record(n, n, distance=3, relative_keys=torch.randn(7, 8)),
    "ALiBi both ways": lambda n, k: record(n, n, slopes=alibi_slopes(4)),
    "sinks, sliding": lambda n, k: record(n, n, sliding(n, 7), sinks=torch.randn(4)),
    "fully masked": lambda n, k: record(n, k, RuleMask(keys=torch.zeros(k, dtype=torch.bool))),
    "bias and window": lambda n, k: record(n, n, sliding(n, 30), groups=4, bias=torch.randn(4, n, n)),
}


def pool(whole: np.ndarray, size: int, how: str) -> np.ndarray:
    """float64 [R, C] of [q, k], bin by bin."""
    rows, columns = (-(-n // size) for n in whole.shape)
    kept = {"max": np.max, "mean": np.mean}[how]
    return np.array([
        [kept(whole[i : i + rows, j : j + columns]) for j in range(0, whole.shape[1], columns)]
        for i in range(0, whole.shape[0], rows)
    ])  # fmt: skip


@pytest.mark.parametrize("kind", MORE)
@pytest.mark.parametrize(
    ("n", "k", "size"), [(49, 61, 16), (150, 140, 64), (7, 100, 3), (21, 21, 64), (5, 5, 1), (1, 1, 9)]
)
def test_pooled_is_the_pooled_exact_matrix(kind: str, n: int, k: int, size: int):
    if n < 4 and kind == "explicit":
        pytest.skip("the mask of this test names row 3")
    torch.manual_seed(n)
    found = MORE[kind](n, k)
    exact = [weights(found, head) for head in range(found.heads)]
    atol = 4e-6 if kind == "wide heads" else 2e-6  # its scores pass 30, which float32 rounds to 2·10⁻⁶
    for how in HOW:
        expected = np.stack([pool(whole, size, how) for whole in exact])
        got = thumbnails(found, size, how)
        assert got.dtype == torch.float32
        np.testing.assert_allclose(got.numpy(), expected, atol=atol, rtol=0)
        np.testing.assert_allclose(pooled(found, 2, size, how).numpy(), expected[2], atol=atol, rtol=0)
    cells = pool(found.allowed().numpy().astype(float), size, "max") > 0
    np.testing.assert_array_equal(allowed_bins(found, size).numpy(), cells)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("n", "size"), [(700, 5), (1030, 256), (1500, 2), (1025, 1)])
def test_bins_larger_than_a_block_of_rows_are_put_together(n: int, size: int, how: str, monkeypatch):
    monkeypatch.setattr("model.attention.row_blocks.CELLS", 2**12)
    found = record(n, n, RuleMask(causal=True), heads=2)
    expected = np.stack([pool(weights(found, head), size, how) for head in range(2)])
    np.testing.assert_allclose(thumbnails(found, size, how).numpy(), expected, atol=bounds.WEIGHT, rtol=0)


@pytest.mark.parametrize("how", HOW)
def test_a_float64_record_is_pooled_in_float64(how: str):
    found = record(40, 33)
    for part in "qkv":
        found.store.add(f"{SITE}.{part}", found.store[f"{SITE}.{part}"].double() * 3)
    expected = np.stack([pool(weights(found, head), 16, how) for head in range(4)])
    np.testing.assert_allclose(thumbnails(found, 16, how).numpy(), expected, atol=6e-8, rtol=0)


@pytest.mark.parametrize("how", HOW)
def test_half_precision_is_pooled_as_it_was_multiplied(how: str):
    """q and k are the facts, in whatever precision they are kept."""
    found = record(60, 60, RuleMask(causal=True), groups=2)
    for part in "qkv":
        found.store.add(f"{SITE}.{part}", found.store[f"{SITE}.{part}"].half())
    expected = np.stack([pool(weights(found, head), 16, how) for head in range(4)])
    np.testing.assert_allclose(thumbnails(found, 16, how).numpy(), expected, atol=bounds.WEIGHT, rtol=0)


def test_what_is_broken_stays_broken():
    found = record(50, 50)
    found.store[f"{SITE}.q"][1, 7, 0] = torch.nan
    for how in HOW:
        broken = thumbnails(found, 10, how).isnan()
        assert broken[1, 1].all() and broken.sum() == 10


def test_what_is_not_there_is_said():
    found = record(9, 9)
    with pytest.raises(OutOfRange):
        pooled(found, 4)
    with pytest.raises(UnknownOption):
        pooled(found, 0, how="median")
    with pytest.raises(ValueError):
        thumbnails(found, 0)


def test_a_long_head_needs_no_matrix_of_its_length(monkeypatch):
    """The largest tensor stays below a twentieth of n × n."""
    made: list[int] = []
    real = AttentionRecord.allowed

    def allowed(self, *args):
        tile = real(self, *args)
        made.append(tile.numel())
        return tile

    monkeypatch.setattr(AttentionRecord, "allowed", allowed)
    n = 6000
    for mask in (RuleMask(causal=True), sliding(n, 100), padded(n, True)):
        found = pooled(record(n, n, mask, heads=1, d=4), 0, 64, "mean")
        lengths = torch.full((64,), float(-(-n // 64)))
        lengths[-1] = n - 63 * lengths[0]
        rows = found @ lengths
        assert float((rows[1:] - 1).abs().max()) < 1e-4
    assert max(made) < n * n / 20


def test_a_trace_is_pooled_site_by_site_and_can_be_stopped():
    trace = open_model("translate").trace("the cat sat on the mat", language="zh")
    told: list[float] = []
    with report_to(ProgressListener(lambda what, done: told.append(done), lambda: False)):
        found = dict(trace_thumbnails(trace, 4, "mean"))
    assert tuple(found) == trace.sites and told == sorted(told) and 0 <= told[0] <= told[-1] < 1
    for site, values in found.items():
        for head in range(trace.record(site).heads):
            torch.testing.assert_close(trace.pooled(site, head, 4, "mean"), values[head])
    with report_to(ProgressListener(lambda what, done: None, lambda: True)), pytest.raises(Stopped):
        list(trace_thumbnails(trace, 4))


def test_alike_is_the_correlation_of_what_either_may_attend():
    sites = {Site("decoder", layer, "self"): found for layer, found in enumerate((
        record(40, 40, RuleMask(causal=True)), record(40, 40, sliding(40, 9)), record(25, 25)))}  # fmt: skip
    means = {site: thumbnails(found, 10, "mean") for site, found in sites.items()}
    open_ = {site: allowed_bins(found, 10) for site, found in sites.items()}
    first, second, other = sites
    found = head_similarity(means, open_, first, 2)
    assert set(found) == {(site, head) for site in (first, second) for head in range(4)}  # the third has other tokens
    assert found[first, 2] == pytest.approx(1, abs=1e-12)
    for (site, head), r in found.items():
        cells = (open_[first] | open_[site]).numpy()
        x, y = (means[s][h].numpy().astype(np.float64)[cells] for s, h in ((first, 2), (site, head)))
        assert r == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)
    assert len(head_similarity(means, open_, other, 0)) == 4


def test_a_head_that_looks_at_everything_alike_is_like_none():
    found = record(8, 8)
    found.store[f"{SITE}.q"][1] = 0
    answer = head_similarity({SITE: thumbnails(found, 8, "mean")}, {SITE: allowed_bins(found, 8)}, SITE, 0)
    assert np.isnan(answer[SITE, 1]) and not np.isnan([answer[SITE, h] for h in (0, 2, 3)]).any()
    assert np.isnan(
        list(head_similarity({SITE: thumbnails(found, 8, "mean")}, {SITE: allowed_bins(found, 8)}, SITE, 1).values())
    ).all()
