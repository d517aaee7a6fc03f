"""Every variant against the same thing written with numpy; switched off it gives the recorded weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.attention import variants
from model.trace.attention_record import AttentionRecord
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.transformer import attention
from model.transformer.masks import RuleMask
from tests import bounds

pytestmark = pytest.mark.float32

EXACT = {"atol": 1e-12, "rtol": 0}
RECORDED = bounds.WEIGHT


def made(q: int = 5, k: int | None = None, heads: int = 4, groups: int = 1, d: int = 3, causal: bool = True, **parts):
    """A record of random numbers; `parts` are further entries of its store or fields of it."""
    generator = torch.Generator().manual_seed(q + heads)
    k = k or q
    site = Site("decoder", 0, "self" if q == k else "cross")
    shapes = {"q": (heads, q, d), "k": (heads // groups, k, d), "v": (heads // groups, k, d + 1)}
    held = {f"{site}.{n}": torch.randn(shape, generator=generator) for n, shape in shapes.items()}
    fields = {n: parts.pop(n) for n in ("slopes", "softcap", "distance") if n in parts}
    held |= {f"{site}.{n}": values for n, values in parts.items()}
    return AttentionRecord(site, d**-0.5, RuleMask(causal and q == k), MemoryStore(held), **fields)


KINDS = {
    "plain": {},
    "cross": {"q": 3, "k": 6},
    "one token": {"q": 1},
    "grouped": {"groups": 2},
    "slopes": {"slopes": torch.tensor([0.5, 0.25, 0.1, 0.0])},
    "bias": {"bias": torch.randn(4, 5, 5, generator=torch.Generator().manual_seed(9))},
    "offsets": {"bias_offsets": torch.randn(4, 9, generator=torch.Generator().manual_seed(9))},
    "sinks": {"sinks": torch.tensor([0.0, 1.0, -2.0, 5.0])},
    "softcap": {"softcap": 2.0},
    "relative": {
        "distance": 2,
        "relative_keys": torch.randn(5, 3, generator=torch.Generator().manual_seed(8)),
        "relative_values": torch.randn(5, 4, generator=torch.Generator().manual_seed(7)),
    },
}


def unchanged(record: AttentionRecord, head: int, rows: slice = slice(None)) -> float:
    """max |weights of the head by itself in float64 − its weights in the record|."""
    alone = record.select([head], torch.float64).weights(0, rows, dtype=torch.float64)
    return (alone - record.weights(head, rows).double()).abs().max().item()


def qkv(record: AttentionRecord, head: int) -> list[np.ndarray]:
    return [record.head(part, head).double().numpy() for part in "qkv"]


def naive(scores: np.ndarray, allowed: np.ndarray, sink: float | None = None) -> np.ndarray:
    """Softmax one row at a time, over the allowed cells only."""
    weights = np.zeros_like(scores)
    for i, (row, may) in enumerate(zip(scores, allowed, strict=True)):
        if may.any():
            top = max([*row[may], *([] if sink is None else [sink])])
            total = np.exp(row[may] - top).sum() + (0 if sink is None else np.exp(sink - top))
            weights[i, may] = np.exp(row[may] - top) / total
    return weights


def lower(n: int, k: int | None = None) -> np.ndarray:
    return np.array([[j <= i for j in range(k or n)] for i in range(n)])


def got(record: AttentionRecord) -> np.ndarray:
    return record.weights(0, dtype=torch.float64).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", [0, 3])
def test_every_variant_switched_off_gives_the_recorded_weights(kind: str, head: int) -> None:
    record = made(**KINDS[kind])
    single = record.select([head], torch.float64)
    off = [single, variants.scaled(single, record.scale), variants.capped(single, record.softcap)]
    off.append(variants.grouped(record, head, 1))
    if record.site.kind == "self":
        off.append(variants.windowed(single, record.keys))
    if kind != "sinks":
        off.append(variants.with_sink(single, -1e9))
    for changed in off:
        expected = record.weights(head).numpy()
        np.testing.assert_allclose(got(changed), expected, atol=RECORDED, rtol=0)
        bounds.close(changed.head_output(0, dtype=torch.float64), record.head_output(head), 64)
    assert unchanged(record, head) <= RECORDED
    assert unchanged(record, head, slice(0, 1)) <= RECORDED


@pytest.mark.parametrize("site", ["encoder.0.self", "decoder.1.self", "decoder.0.cross"])
@pytest.mark.parametrize("positions", ["sinusoidal", "relative", "rotary", "alibi"])
def test_switched_off_on_recorded_runs(make_model, positions: str, site: str) -> None:
    from tests.model import tiny

    record = make_model(positions=positions).trace(tiny.TEXT, tiny.WRITTEN, pad_to=8).record(site)
    for head in range(record.heads):
        assert unchanged(record, head) <= RECORDED


@pytest.mark.parametrize("scale", [1.0, 0.25, 3**0.5])
def test_another_scale(scale: float) -> None:
    record = made()
    q, k, _ = qkv(record, 1)
    expected = naive(np.einsum("id,jd->ij", q, k) * scale, lower(5))
    np.testing.assert_allclose(got(variants.scaled(record.select([1], torch.float64), scale)), expected, **EXACT)


def test_a_soft_cap() -> None:
    record = made()
    q, k, _ = qkv(record, 2)
    scores = np.einsum("id,jd->ij", q, k) / np.sqrt(3)
    expected = naive(0.7 * np.tanh(scores / 0.7), lower(5))
    np.testing.assert_allclose(got(variants.capped(record.select([2], torch.float64), 0.7)), expected, **EXACT)
    capped = variants.capped(record.select([2], torch.float64), 0.7).scores(0, dtype=torch.float64)
    assert capped[capped.isfinite()].abs().max() < 0.7


@pytest.mark.parametrize("logit", [-3.0, 0.0, 4.5])
def test_a_sink_takes_its_share(logit: float) -> None:
    record = made()
    q, k, _ = qkv(record, 0)
    expected = naive(np.einsum("id,jd->ij", q, k) / np.sqrt(3), lower(5), logit)
    weights = got(variants.with_sink(record.select([0], torch.float64), logit))
    np.testing.assert_allclose(weights, expected, **EXACT)
    assert (weights.sum(-1) < 1).all()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("width", [1, 2, 4, 99])
def test_a_window(width: int, causal: bool) -> None:
    record = made(6, causal=causal)
    q, k, _ = qkv(record, 0)
    near = np.array([[abs(i - j) < width and (j <= i or not causal) for j in range(6)] for i in range(6)])
    changed = variants.windowed(record.select([0], torch.float64), width)
    np.testing.assert_allclose(got(changed), naive(np.einsum("id,jd->ij", q, k) / np.sqrt(3), near), **EXACT)
    assert (variants.compare(record.select([0], torch.float64), changed).dead_after.numpy() == ~near).all()


def test_a_window_needs_one_sequence_and_a_width() -> None:
    with pytest.raises(ValueError, match="one sequence"):
        variants.windowed(made(3, 6).select([0], torch.float64), 2)
    with pytest.raises(ValueError, match="at least 1"):
        variants.windowed(made().select([0], torch.float64), 0)


@pytest.mark.parametrize(("groups", "size"), [(1, 2), (1, 4), (2, 1), (2, 2)])
@pytest.mark.parametrize("head", [0, 2, 3])
def test_groups_share_their_mean_keys_and_values(groups: int, size: int, head: int) -> None:
    record = made(groups=groups)
    (group,) = [group for group in variants.members(record, size) if head in group]
    assert len(group) == groups * size
    q = qkv(record, head)[0]
    k, v = (np.mean([qkv(record, h)[part] for h in group], axis=0) for part in (1, 2))
    changed = variants.grouped(record, head, size)
    expected = naive(np.einsum("id,jd->ij", q, k) / np.sqrt(3), lower(5))
    np.testing.assert_allclose(got(changed), expected, **EXACT)
    np.testing.assert_allclose(changed.head_output(0, dtype=torch.float64), expected @ v, **EXACT)


def test_what_grouping_saves() -> None:
    record = made(heads=6, groups=1)
    assert variants.group_sizes(record) == [1, 2, 3, 6]
    assert [variants.cache_numbers(record, size) for size in (1, 2, 3, 6)] == [42, 21, 14, 7]  # 6 · (3 + 4) numbers
    assert variants.group_sizes(made(heads=6, groups=3)) == [1, 2]
    with pytest.raises(ValueError, match="divide"):
        variants.grouped(record, 0, 4)


@pytest.mark.parametrize("kind", ["plain", "cross", "grouped"])
def test_one_wide_head_sums_the_dot_products(kind: str) -> None:
    record = made(**KINDS[kind])
    sides = [qkv(record, h) for h in range(4)]
    summed = sum(np.einsum("id,jd->ij", q, k) for q, k, _ in sides) / np.sqrt(4 * 3)
    allowed = record.allowed().numpy()
    changed = variants.wide(record)
    assert (changed.heads, changed.d_k) == (1, 12)
    np.testing.assert_allclose(got(changed), naive(summed, allowed), **EXACT)
    mixed = naive(summed, allowed) @ np.concatenate([v for _, _, v in sides], axis=1)
    np.testing.assert_allclose(changed.head_output(0, dtype=torch.float64), mixed, **EXACT)


@pytest.mark.parametrize("kind", ["slopes", "bias", "offsets", "sinks", "softcap", "relative"])
def test_one_wide_head_keeps_what_else_the_scores_hold(kind: str) -> None:
    record = made(**KINDS[kind])
    summed = sum(record.products(h, dtype=torch.float64).numpy() for h in range(4)) / np.sqrt(12)
    if kind == "slopes":
        summed -= KINDS[kind]["slopes"].double().mean().item() * np.abs(np.subtract.outer(range(5), range(5)))
    if kind in ("bias", "offsets"):
        summed += np.mean([record.bias(h, slice(None), slice(None)).double().numpy() for h in range(4)], axis=0)
    if kind == "softcap":
        summed = 2 * np.tanh(summed / 2)
    sink = 1.0 if kind == "sinks" else None
    np.testing.assert_allclose(got(variants.wide(record)), naive(summed, lower(5), sink), **EXACT)


def test_a_site_of_one_head_is_its_own_wide_head() -> None:
    record = made(heads=1)
    np.testing.assert_allclose(got(variants.wide(record)), record.weights(0), atol=RECORDED, rtol=0)


@pytest.mark.parametrize("rows", [slice(None), slice(1, 3)])
def test_additive_attention(rows: slice) -> None:
    record = made()
    q, k, _ = qkv(record, 1)
    given = variants.random_additive(3, 5)
    W, U, v = (getattr(given, name).numpy() for name in ("W", "U", "v"))
    scores = np.array([[v @ np.tanh(W @ a + U @ b) for b in k] for a in q])
    single = record.select([1], torch.float64)
    np.testing.assert_allclose(variants.additive(single, given, rows), naive(scores, lower(5))[rows], **EXACT)
    again, other = variants.random_additive(3, 5), variants.random_additive(3, 6)
    assert torch.equal(given.W, again.W) and not torch.equal(given.W, other.W)


def test_entropy_is_that_of_the_definition() -> None:
    weights = torch.tensor([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.25, 0.25, 0], [0, 0, 0, 0]], dtype=torch.float64)
    expected = [np.log(4), 0, 1.5 * np.log(2), 0]
    np.testing.assert_allclose(attention.entropy(weights), expected, **EXACT)


def test_a_comparison_is_of_the_same_rows() -> None:
    single = made().select([2], torch.float64)
    part = variants.compare(single, variants.scaled(single, 1.0), slice(2, 4))
    whole = variants.compare(single, variants.scaled(single, 1.0))
    np.testing.assert_allclose(part.change, (whole.after - whole.before)[2:4], **EXACT)
    assert torch.equal(variants.compare(single, whole.after).after, whole.after)


@pytest.mark.parametrize("d_k", [1, 8, 512])
def test_saturation_follows_from_the_random_numbers(d_k: int) -> None:
    (found,) = variants.saturation([d_k], seed=3)
    q, k = (values.numpy() for values in variants.random_pairs(3))
    products = np.einsum("rd,rkd->rk", q[:, :d_k], k[:, :, :d_k])
    assert found.variance == pytest.approx(np.var(products), abs=1e-9)
    assert found.variance == pytest.approx(d_k, rel=0.3)
    for which, scores in enumerate((products, products / np.sqrt(d_k))):
        weights = naive(scores, np.ones(scores.shape, bool))
        np.testing.assert_allclose(found.rows[which], weights[0], **EXACT)
        assert found.largest[which] == pytest.approx(weights.max(-1).mean(), abs=1e-12)
        spread = -np.sum(weights * np.log(np.where(weights > 0, weights, 1)), axis=-1)
        assert found.entropy[which] == pytest.approx(spread.mean(), abs=1e-12)


def test_the_softmax_saturates_only_without_the_scale() -> None:
    found = variants.saturation([1, 16, 256])
    unscaled, scaled = zip(*(one.largest for one in found), strict=True)
    assert unscaled[0] < unscaled[1] < unscaled[2] and unscaled[2] > 0.9
    assert max(scaled) - min(scaled) < 0.1
    with pytest.raises(ValueError, match="512"):
        variants.saturation([513])


def test_a_record_is_left_as_it_was() -> None:
    record = made(**KINDS["sinks"])
    before = {name: record.store[name].clone() for name in record.store.names()}
    single = record.select([1], torch.float64)
    variants.with_sink(single, 9.0), variants.grouped(record, 1, 2), variants.wide(record)
    assert replace(single).sink(0, torch.float64).item() == 1.0
    assert all(torch.equal(record.store[name], values) for name, values in before.items())
