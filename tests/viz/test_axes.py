"""What stands along a figure's sides: windows, words and blocks, against loops over their tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.trace.attention_record import AttentionRecord
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.transformer.masks import RuleMask
from tests import bounds
from tests.viz.blocks import by_block
from viz.base import axes
from viz.base.axes import Axis, block_axis, by_word, strongest, token_axis, word_axis

pytestmark = pytest.mark.float32


def labels(texts: str | list[str]) -> list[dict[str, str]]:
    return [{"text": text, "kind": "word"} for text in (texts.split() if isinstance(texts, str) else texts)]


def numbered(n: int) -> list[dict[str, str]]:
    return labels([str(i) for i in range(n)])


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 23])
@pytest.mark.parametrize("around", [0, 1, 5, 10, 22])
def test_a_window_holds_its_token_and_never_leaves_the_side(n: int, around: int):
    around = min(around, n - 1)
    found = token_axis(numbered(n), around, 10)
    assert len(found.starts) == min(n, 10) and found.total == n and found.whole == (n <= 10)
    assert 0 <= found.starts[0] <= around < found.stop <= n
    assert [label["text"] for label in found.labels] == [str(i) for i in range(n)][found.span]
    assert found.first == found.starts[0]
    for token in range(-1, n + 1):
        item = found.item(token)
        assert (item is None) == (not found.starts[0] <= token < found.stop)
        assert item is None or found.tokens(item) == slice(token, token + 1)


def test_pieces_of_a_word_are_one_and_special_tokens_stay_alone():
    texts = labels(["[CLS]", "jump", "##ing", "##s", "a", "[SEP]", "[SEP]", "x"])
    found = word_axis(texts, (-1, 0, 0, 0, 1, -1, -1, 2))
    assert found.starts == (0, 1, 4, 5, 6, 7) and found.stop == found.total == 8 and found.whole
    assert [label["text"] for label in found.labels] == ["[CLS]", "jumpings", "a", "[SEP]", "[SEP]", "x"]
    assert [found.item(token) for token in range(9)] == [0, 1, 1, 1, 2, 3, 4, 5, None]
    assert [found.tokens(item) for item in (1, 5)] == [slice(1, 4), slice(7, 8)]


def test_a_decoders_word_keeps_what_its_last_piece_wrote():
    found = word_axis(labels(["·the ▸ re", "re ▸ fore", "fore ▸ I"][:3]), (0, 0, 0))
    assert [label["text"] for label in found.labels] == ["·therefore ▸ I"]


@pytest.mark.parametrize("around", [0, 6, 13, 20, 29])
def test_a_window_of_words_begins_and_ends_with_whole_ones(around: int):
    words = tuple(i // 3 for i in range(30))
    found = word_axis(numbered(30), words, around, 4)
    assert len(found.starts) == len(found.labels) == 4 and found.first == found.starts[0] // 3
    assert found.starts[0] % 3 == 0 == found.stop % 3 and found.stop - found.starts[0] == 12
    assert found.starts[0] <= around < found.stop and not found.whole


@pytest.mark.parametrize(("total", "most"), [(1, 5), (5, 5), (6, 5), (11, 5), (128, 128), (129, 128), (1000, 48)])
def test_blocks_cover_every_token_once(total: int, most: int):
    found = block_axis(total, most)
    tokens = [t for item in range(len(found.starts)) for t in range(total)[found.tokens(item)]]
    assert tokens == list(range(total)) and len(found.starts) <= most and found.whole
    sizes = {len(range(total)[found.tokens(item)]) for item in range(len(found.starts) - 1)}
    assert len(sizes) <= 1 and found.labels[-1]["text"].endswith(str(total - 1))


def brute(values: np.ndarray, axis: tuple[Axis, Axis], cell) -> np.ndarray:
    rows, columns = axis
    return np.array([
        [cell(values[rows.tokens(i).start - rows.starts[0] : rows.tokens(i).stop - rows.starts[0],
                     columns.tokens(j).start - columns.starts[0] : columns.tokens(j).stop - columns.starts[0]])
         for j in range(len(columns.starts))] for i in range(len(rows.starts))
    ])  # fmt: skip


@pytest.mark.parametrize(("q", "k", "size"), [(7, 7, 99), (13, 5, 99), (40, 31, 6), (1, 12, 3)])
def test_words_sum_their_keys_and_average_their_queries(q: int, k: int, size: int):
    random = np.random.default_rng(q)
    weights = random.dirichlet(np.ones(k), size=q).astype(np.float32)
    words = [tuple(np.sort(random.integers(0, n // 2 + 1, n)).tolist()) for n in (q, k)]
    found = tuple(word_axis(numbered(n), w, n // 2, size) for n, w in zip((q, k), words, strict=True))
    allowed = random.random((q, k)) < 0.5
    values, open_ = by_word(weights[found[0].span, found[1].span], allowed[found[0].span, found[1].span], found)
    tile, permitted = weights.astype(np.float64)[found[0].span, found[1].span], allowed[found[0].span, found[1].span]
    np.testing.assert_allclose(values, brute(tile, found, lambda c: c.sum(1).mean()), atol=bounds.WEIGHT, rtol=0)
    assert (open_ == brute(permitted, found, np.any)).all() and values.dtype == np.float32
    if found[1].whole:
        np.testing.assert_allclose(values.sum(-1), 1, atol=bounds.WEIGHT)


@pytest.mark.parametrize(("q", "k", "most"), [(10, 10, 3), (129, 130, 128), (5, 50, 7)])
def test_blocks_keep_their_strongest(q: int, k: int, most: int):
    random = np.random.default_rng(k)
    weights, allowed = random.random((q, k)), random.random((q, k)) < 0.1
    found = block_axis(q, most), block_axis(k, most)
    values, open_ = by_block(weights, allowed, found)
    assert (values == brute(weights, found, np.max)).all() and (open_ == brute(allowed, found, np.any)).all()


def test_the_strongest_pair_behind_a_cell():
    site = Site.parse("encoder.0.self")
    generator = torch.Generator().manual_seed(3)
    tensors = {f"encoder.0.self.{name}": torch.randn(2, 37, 8, generator=generator) for name in "qkv"}
    record = AttentionRecord(site, 1.0, RuleMask(causal=True), MemoryStore(tensors))
    both = block_axis(37, 8), block_axis(37, 8)
    weights = record.weights(1).numpy()
    for cell in ((0, 0), (7, 3), (7, 7), (4, 4)):
        rows, columns = both[0].tokens(cell[0]), both[1].tokens(cell[1])
        row, column = strongest(record, 1, both, cell)
        assert weights[row, column] == pytest.approx(weights[rows, columns].max(), abs=bounds.WEIGHT)
        assert rows.start <= row < rows.stop and columns.start <= column < columns.stop


def test_axes_of_a_run_without_words_are_its_tokens(trace):
    for site in trace.sites:
        for merge in (False, True):
            rows, columns = axes.axes(trace, site, (0, 0), merge)
            assert rows.whole and columns.whole and not axes.mergeable(trace, site)
            assert len(rows.starts) == trace.record(site).queries and len(columns.starts) == trace.record(site).keys


def test_a_block_of_one_token_is_named_by_it_alone() -> None:
    assert [label["text"] for label in block_axis(3, 8).labels] == ["0", "1", "2"]
    assert [label["text"] for label in block_axis(5, 3).labels] == ["0–1", "2–3", "4"]
