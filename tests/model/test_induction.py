"""Induction on random repeats: the texts, the mass on what followed, and the interval, each computed anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.errors import NotInThisModel, Stopped
from model.jobs.progress import ProgressListener, report_to
from model.measures.induction import interval, measured, random_repeats
from tests import bounds

pytestmark = pytest.mark.float32

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    from model import open_model
    from model.checkpoints.random_models import make

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADLIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return open_model(str(make.write("gpt2")))


def test_texts_are_a_start_and_twice_the_same_distinct_tokens() -> None:
    texts = random_repeats(list(range(5, 60)), [1], 10, 4, seed=3)
    assert len({tuple(text) for text in texts}) == 4
    for text in texts:
        assert text[0] == 1 and text[1:11] == text[11:] and len(set(text[1:11])) == 10
    assert texts == random_repeats(list(range(5, 60)), [1], 10, 4, seed=3)


def test_the_mass_is_that_on_the_token_after_the_first_occurrence(gpt2) -> None:
    found = measured(gpt2, length=6, texts=3, seed=5)
    start = [gpt2.tokenizer.bos_token_id] if gpt2.tokenizer.bos_token_id is not None else []
    special = set(gpt2.tokenizer.all_special_ids)
    ids = [number for number in sorted(gpt2.tokenizer.get_vocab().values()) if number not in special]
    assert found.queries == 18 and found.by_text.shape == (3, len(found.heads))
    for row, text in zip(found.by_text, random_repeats(ids, start, 6, 3, 5), strict=True):
        attention = gpt2.record_ids(text).attention
        for place, (site, head) in enumerate(found.heads):
            A = attention[site].weights(head, dtype=torch.float64).numpy()
            first = len(start)
            want = np.mean([A[first + 6 + t, first + t + 1] for t in range(6)])
            assert row[place] == pytest.approx(want, abs=bounds.WEIGHT)


def test_the_interval_is_the_bootstraps(gpt2) -> None:
    values = np.random.default_rng(0).random((9, 4))
    low, high = interval(values, 4000, seed=1)
    again = np.sort([values[np.random.default_rng(k).integers(0, 9, 9)].mean(0) for k in range(4000)], axis=0)
    np.testing.assert_allclose(low, again[100], atol=0.02)
    np.testing.assert_allclose(high, again[3900], atol=0.02)
    assert (low <= values.mean(0)).all() and (values.mean(0) <= high).all()
    table = measured(gpt2, length=5, texts=4).table(200)
    assert list(table.columns) == ["site", "head", "induction", "low", "high", "n"] and set(table["n"]) == {20}
    assert ((table["low"] <= table["induction"]) & (table["induction"] <= table["high"])).all()


def test_a_model_of_two_stacks_does_not_read_random_tokens(translator) -> None:
    with pytest.raises(NotInThisModel):
        measured(translator)


def test_it_can_be_stopped(gpt2) -> None:
    with pytest.raises(Stopped), report_to(ProgressListener(lambda what, fraction: None, lambda: True)):
        measured(gpt2, length=4, texts=2)
