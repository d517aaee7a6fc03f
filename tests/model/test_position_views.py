"""What the positions page shows, against independent float64 computations and the recorded runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.checkpoints.record.position_tables import adds_positions, position_tables
from model.positions import bias as bias
from model.positions import rotary as turns
from model.positions import tables as views
from model.trace.site import Site
from tests import bounds
from tests.model import naive, tiny

pytestmark = pytest.mark.float32

EXACT = {"atol": 1e-12, "rtol": 0}
SELF = Site.parse("encoder.1.self")


def angle(x: np.ndarray, pair: int, theta: float) -> complex:
    """A pair of numbers as a complex one, turned by `theta`."""
    return complex(x[2 * pair], x[2 * pair + 1]) * complex(math.cos(theta), math.sin(theta))


@pytest.mark.parametrize(
    ("d", "n", "pair", "k", "shift"), [(8, 1e4, 0, 0, 0), (64, 1e4, 5, 3, 7), (10, 10.0, 4, 49, 32)]
)
def test_a_shift_is_a_rotation_of_one_pair(d: int, n: float, pair: int, k: int, shift: int):
    found = views.rotated(d, k, shift, pair, n)
    w = n ** (-2 * pair / d)
    np.testing.assert_allclose(found.before, [math.sin(k * w), math.cos(k * w)], **EXACT)
    np.testing.assert_allclose(found.rotated, [math.sin((k + shift) * w), math.cos((k + shift) * w)], **EXACT)
    np.testing.assert_allclose(found.matrix @ found.matrix.T, np.eye(2), **EXACT)
    assert found.error < 1e-12
    assert views.rotation_error(k + 1, d, shift, n) < 1e-12


def test_products_are_row_by_row():
    table = naive.sinusoid(9, 6)
    want = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in table] for x in table]
    np.testing.assert_allclose(views.products(torch.tensor(table)).numpy(), want, **EXACT)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_the_sum_is_of_what_was_recorded(make_model, positions: str):
    opened = make_model(positions=positions)
    trace = opened.trace(tiny.TEXT, tiny.WRITTEN)
    for stack, embedding in (("encoder", opened.module.source), ("decoder", opened.module.target)):
        found = views.recorded_sum(trace, stack, opened.module)
        rows = embedding.tokens.weight.detach().numpy()[trace.token_ids(stack)] * math.sqrt(16)
        bounds.close(found.embedding, rows, 64)
        bounds.close(found.total, rows + found.positions.numpy(), 64)
        assert max(found.error, found.factor_error) <= bounds.off(rows, 2) and found.factor == 4
    tables = position_tables(opened.module)
    assert [table.stack for table in tables] == (["encoder", "decoder"] if positions == "learned" else [])
    assert bias.kind_of(trace, opened.module) == positions


def test_without_a_table_there_is_no_sum(make_model):
    opened = make_model(positions="rotary")
    assert views.recorded_sum(opened.trace(tiny.TEXT, tiny.WRITTEN), "encoder", opened.module) is None


def library(family: str, **changes: object):
    """A tiny random model of the library's `family`, recorded on ten tokens."""
    transformers = pytest.importorskip("transformers")
    from model.checkpoints.disk.families import FAMILIES

    known = next(f for f in FAMILIES if f.model_type == family)
    torch.manual_seed(3)
    config = getattr(transformers, known.config)(**(known.small | changes))
    return getattr(transformers, known.model)(config).eval()


@pytest.mark.parametrize(("family", "count", "first"), [("bert", 1, 0), ("gpt2", 1, 0), ("bart", 2, 2), ("roberta", 1, 2),
                                                        ("llama", 0, 0), ("vit", 1, 0)])  # fmt: skip
def test_the_tables_of_library_models(family: str, count: int, first: int):
    changes = {"pad_token_id": 1} if family == "roberta" else {}
    module = library(family, **changes)
    tables = position_tables(module)
    assert [table.first for table in tables] == [first] * count
    parameters = dict(module.named_parameters())
    for table in tables:
        np.testing.assert_array_equal(table.rows, parameters[table.name].detach().squeeze(0))


@pytest.mark.parametrize(
    ("family", "trained"),
    [("whisper", {"encoder": False, "decoder": True}), ("marian", {"encoder": False, "decoder": False})],
)
def test_a_table_of_sinusoids_is_not_called_trained(family: str, trained: dict[str, bool]):
    """Also of a model that was loaded, where the library no longer marks what it made itself."""
    module = library(family)
    tables = position_tables(module)
    assert {table.stack: table.trained for table in tables} == trained
    assert module.get_parameter(tables[0].name).requires_grad is False or not tables[0].trained


def test_a_table_that_turns_queries_and_keys_is_not_added():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    small = {
        "vocab_size": 97,
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 48,
    }
    module = transformers.RoFormerForMaskedLM(transformers.RoFormerConfig(**small)).eval()
    assert position_tables(module) == [] and not adds_positions(module)
    assert (
        adds_positions(library("bert")) and adds_positions(library("whisper")) and not adds_positions(library("llama"))
    )


def test_buckets_are_the_librarys():
    modeling = pytest.importorskip("transformers.models.t5.modeling_t5")
    offsets = torch.arange(-300, 301)
    for both_ways in (True, False):
        for buckets, furthest in ((32, 128), (32, 20), (16, 50), (8, 128), (64, 256)):
            want = modeling.T5Attention._relative_position_bucket(offsets, both_ways, buckets, furthest)
            assert torch.equal(bias.bucket(offsets, buckets, furthest, both_ways), want)


def test_alibi_is_read_off_the_record(make_model):
    opened = make_model(positions="alibi")
    trace = opened.trace(tiny.TEXT, tiny.WRITTEN)
    curves = bias.recorded_bias(trace.record(SELF))
    slopes = naive.slopes(4)
    want = [[-m * abs(o) for o in curves.offsets.tolist()] for m in slopes]
    np.testing.assert_allclose(curves.values, want, **EXACT)
    np.testing.assert_allclose(bias.slopes_of(curves), slopes, **EXACT)
    causal = bias.recorded_bias(trace.record("decoder.0.self"))
    assert causal.offsets.max() == 0  # behind the mask there is nothing
    assert bias.slopes_of(bias.Curves(curves.offsets, curves.values.square())) is None


def test_relative_share_is_query_times_vector(make_model):
    opened = make_model(positions="relative")
    record = opened.trace(tiny.TEXT, tiny.WRITTEN).record(SELF)
    q, a = record.head("q", 2).double().numpy(), record.store[f"{SELF}.relative_keys"].double().numpy()
    want = [[q[i] @ a[max(-3, min(3, j - i)) + 3] / math.sqrt(4) for j in range(6)] for i in range(6)]
    np.testing.assert_allclose(bias.relative_share(record, 2).numpy(), want, **EXACT)


@pytest.mark.parametrize("positions", ["rotary", "none"])
def test_pairs_turn_and_only_the_offset_is_left(make_model, positions: str):
    trace = make_model(positions=positions).trace(tiny.TEXT, tiny.WRITTEN)
    found = turns.rotate(trace, SELF, 1)
    np.testing.assert_allclose(found.q_rotated, naive.rotate(found.q.numpy()[None])[0], **EXACT)
    assert found.own == (positions == "rotary")
    if found.own:
        assert (
            found.error
            <= found.limit
            <= bounds.off([1.0, *found.q_rotated.flatten().tolist(), *found.k_rotated.flatten().tolist()], 64)
        )
    values = turns.products_at_every_two_positions(found, 2, 4)
    q, k = found.q[2].numpy(), found.k[4].numpy()
    for m, other in ((0, 0), (3, 11), (23, 5)):
        want = 0.0
        for i in range(2):
            w = 10000 ** (-2 * i / 4)
            want += (angle(q, i, m * w) * angle(k, i, other * w).conjugate()).real
        np.testing.assert_allclose(values[m, other], want, **EXACT)
    offsets, mean, spread = turns.by_offset(values)
    assert spread < 1e-12 and mean.std() > 1e-3
    assert (offsets[0], offsets[-1]) == (-23, 23)


def test_without_positions_only_the_words_count(make_model):
    opened = make_model()
    trace = opened.trace(tiny.TEXT, tiny.WRITTEN)
    ids, order = (trace.token_ids("encoder"), trace.token_ids("decoder")), [3, 0, 5, 2, 4, 1]
    before = {name: value.clone() for name, value in opened.module.state_dict().items()}
    off = views.shuffle(views.without_positions(opened.module), *ids, order, 1, 2)
    np.testing.assert_allclose(off.shuffled, off.plain[order][:, order], atol=bounds.WEIGHT)
    assert off.error <= off.largest <= bounds.WEIGHT
    on = views.shuffle(opened.module, *ids, order, 1, 2)
    np.testing.assert_allclose(on.plain, trace.weights(SELF, 2), atol=bounds.WEIGHT)
    assert on.error > 1e-3
    assert all(torch.equal(before[name], value) for name, value in opened.module.state_dict().items())
    assert opened.module.source.positions is not None


def test_terms_inside_the_scores_have_a_name_of_their_own():
    from model import open_model
    from model.checkpoints.random_models import make

    opened = open_model(str(make.write("xlnet")))
    assert bias.kind_of(opened.trace("the cat sat"), opened.module) == "scores"
