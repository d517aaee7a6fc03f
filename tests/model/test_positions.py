"""The position switches, each against its paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.transformer.attention import MultiHeadAttention, attend_relative
from model.transformer.masks import RuleMask
from model.transformer.positions import (
    Learned,
    Relative,
    Rotary,
    Sinusoidal,
    alibi_bias,
    alibi_slopes,
    offsets,
    sinusoidal,
)
from tests import bounds
from tests.model import naive

pytestmark = pytest.mark.float32

EXACT = {"atol": 1e-12, "rtol": 0}


def test_sinusoidal_table():
    np.testing.assert_allclose(sinusoidal(40, 12, dtype=torch.float64).numpy(), naive.sinusoid(40, 12), **EXACT)
    np.testing.assert_allclose(sinusoidal(40, 12).numpy(), naive.sinusoid(40, 12), atol=6e-8, rtol=0)


def test_sinusoidal_shift_is_a_rotation_of_each_pair():
    table, d = sinusoidal(60, 10, dtype=torch.float64), 10
    for shift in (1, 7, 31):
        for pair in range(d // 2):
            w = shift / 10000 ** (2 * pair / d)
            rotation = torch.tensor([[math.cos(w), math.sin(w)], [-math.sin(w), math.cos(w)]], dtype=torch.float64)
            columns = slice(2 * pair, 2 * pair + 2)
            torch.testing.assert_close(table[:-shift, columns] @ rotation.T, table[shift:, columns], **EXACT)


def test_sinusoidal_module_follows_its_dtype():
    module = Sinusoidal(30, 8)
    assert module.encoding(5).dtype == torch.float32
    assert module.encoding(5).shape == (5, 8)
    np.testing.assert_allclose(module.double().encoding(5).numpy(), naive.sinusoid(5, 8), **EXACT)
    assert not list(module.parameters())
    assert not module.state_dict()


def test_learned_is_one_trained_row_a_position():
    module = Learned(9, 4)
    assert torch.equal(module.encoding(6), module.table[:6])
    module.encoding(6).sum().backward()
    assert module.table.grad.sum(-1).tolist() == [4.0] * 6 + [0.0] * 3


@pytest.mark.parametrize(("queries", "keys", "distance"), [(1, 1, 1), (6, 6, 2), (3, 7, 16), (7, 3, 1)])
@pytest.mark.parametrize("causal", [False, True])
def test_relative_is_equations_3_and_4(queries: int, keys: int, distance: int, causal: bool):
    torch.manual_seed(1)
    relative = Relative(distance, 4).double()
    q, k, v = (torch.randn(1, 2, n, 4, dtype=torch.float64) for n in (queries, keys, keys))
    with torch.no_grad():
        got, lse = attend_relative(q, k, v, 0.5, RuleMask(causal), relative)
    allowed = np.tril(np.ones((queries, keys), bool)) if causal else np.ones((queries, keys), bool)
    a_k, a_v = relative.keys.detach().numpy(), relative.values.detach().numpy()
    for head in range(2):
        scores, _, context = naive.shaw(*(x[0, head].numpy() for x in (q, k, v)), a_k, a_v, allowed)
        np.testing.assert_allclose(got[0, head].numpy(), context, **EXACT)
        sums = [math.log(sum(math.exp(s) for s in row if s > -math.inf)) for row in scores]
        np.testing.assert_allclose(lse[0, head].numpy(), sums, **EXACT)


def test_offsets_are_clipped_and_tiles_are_slices():
    table = offsets(5, 7, 2)
    assert table.tolist() == [[max(-2, min(2, j - i)) + 2 for j in range(7)] for i in range(5)]
    assert torch.equal(offsets(5, 7, 2, slice(1, 4), slice(2, 6)), table[1:4, 2:6])


def test_rotary_turns_pairs_as_complex_numbers():
    x = torch.randn(1, 3, 11, 8, dtype=torch.float64)
    np.testing.assert_allclose(Rotary(8)(x)[0].numpy(), naive.rotate(x[0].numpy()), **EXACT)
    single = x.float()
    bounds.close(Rotary(8)(single)[0].numpy(), naive.rotate(single[0].double().numpy()), 1024)


def test_rotary_keeps_norms_and_sees_only_the_offset():
    torch.manual_seed(2)
    q, k = torch.randn(8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    everywhere = Rotary(8)(torch.stack([q.expand(20, 8), k.expand(20, 8)])[None])[0]
    pairs = everywhere.unflatten(-1, (4, 2)).norm(dim=-1)
    torch.testing.assert_close(pairs[0], q.view(4, 2).norm(dim=-1).expand(20, 4), **EXACT)
    products = everywhere[0] @ everywhere[1].T
    for offset in range(-19, 20):
        diagonal = products.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), **EXACT)
    assert products[0].std() > 0.01


def test_alibi_slopes():
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(1).tolist() == [2.0**-8]
    for heads in (1, 2, 3, 4, 5, 6, 7, 12, 16, 20):
        np.testing.assert_allclose(alibi_slopes(heads).numpy(), naive.slopes(heads), **EXACT)


def test_alibi_bias_falls_with_the_distance():
    bias = alibi_bias(alibi_slopes(2), 4, 6)
    want = [[[-slope * abs(i - j) for j in range(6)] for i in range(4)] for slope in (2**-4, 2**-8)]
    np.testing.assert_allclose(bias.numpy(), want, **EXACT)
    assert torch.equal(alibi_bias(alibi_slopes(2), 4, 6, slice(2, 3), slice(1, 5)), bias[:, 2:3, 1:5])


def test_without_positions_permuted_words_permute_the_attention(make_model):
    words = ["the", "cat", "sat", "on", "mat", "like", "dogs"]
    order = [3, 0, 6, 2, 5, 1, 4]
    plain, shuffled = (
        make_model(positions="none").trace(" ".join(text), "我 喜欢") for text in (words, [words[i] for i in order])
    )
    for head in range(4):
        want = plain.weights("encoder.1.self", head)[order][:, order]
        torch.testing.assert_close(shuffled.weights("encoder.1.self", head), want, atol=bounds.WEIGHT, rtol=0)
    bounds.close(shuffled.logits, plain.logits, 1024)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "relative", "rotary", "alibi"])
def test_with_positions_the_order_matters(make_model, positions: str):
    model = make_model(positions=positions)
    one, other = (model.trace(text, "我 喜欢").logits for text in ("the cat sat", "sat the cat"))
    assert (one - other).abs().max() > 1e-3


def test_positions_between_two_sequences_do_not_exist(make_model):
    for positions in ("relative", "rotary", "alibi"):
        cross = make_model(positions=positions).module.decoder[0].cross_attention
        assert (cross.relative, cross.rotary, cross.slopes) == (None, None, None)


def test_a_distance_beyond_the_sentence_changes_nothing():
    torch.manual_seed(3)
    near, far = (MultiHeadAttention(8, 2, positions="relative", distance=d).double().eval() for d in (4, 9))
    state = near.state_dict()
    for part in ("keys", "values"):
        table = torch.randn(19, 4, dtype=torch.float64)
        table[5:14] = state[f"relative.{part}"]
        state[f"relative.{part}"] = table
    far.load_state_dict(state)
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(near(x, x, RuleMask()), far(x, x, RuleMask()), **EXACT)
