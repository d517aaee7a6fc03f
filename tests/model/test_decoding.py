"""Decoding step by step against the recorded forward, and library models along their own `generate`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from model import open_model
from model.checkpoints.library import generate
from model.checkpoints.own_decoder import own_decoder
from model.generation import decoder as decoding
from model.generation.beam import log_probabilities, search
from model.generation.sampling import SamplingOptions
from model.transformer.kv_cache import CachedDecoder
from tests import bounds
from tests.app.checkpoints import write
from tests.model import tiny

pytestmark = pytest.mark.float32

FOX = "The quick brown fox jumps over the lazy dog."
POSITIONS = ["sinusoidal", "learned", "rotary", "alibi", "none", "relative"]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory):
    """`opened("gpt2")`: a tiny random checkpoint, opened once."""
    pytest.importorskip("transformers")
    root, models = tmp_path_factory.mktemp("decoding"), {}

    def get(name: str):
        if name not in models:
            models[name] = open_model(write(root / name, name))
        return models[name]

    return get


@pytest.mark.parametrize(("positions", "norm"), list(zip(POSITIONS, ["post", "pre"] * 3, strict=True)))
def test_the_recorded_rows_are_the_steps(make_model, positions: str, norm: str):
    model = make_model(positions=positions, norm=norm)
    trace = model.trace(tiny.TEXT, tiny.WRITTEN)
    decoder = own_decoder(model, trace)
    found = decoding.stepwise_difference(trace, decoder)
    assert found.steps == len(trace.tokens("decoder")) and found.other == 0
    assert found.logits <= bounds.off(found.size, 1024) and found.probability <= 2 * bounds.WEIGHT
    for n in range(1, found.steps + 1):  # the weights of each step's last row, from a run of that prefix alone
        prefix = decoder.record(trace.token_ids("decoder")[:n])
        for site in trace.sites:
            if site.stack == "decoder":
                got = prefix[site].weights(1)[-1]
                np.testing.assert_allclose(got, trace.row(site, 1, n - 1)[: len(got)], atol=2 * bounds.WEIGHT)


def test_another_text_is_a_difference(make_model):
    model = make_model()
    trace, other = model.trace(tiny.TEXT, tiny.WRITTEN), model.trace("I like dogs", tiny.WRITTEN)
    assert decoding.stepwise_difference(trace, own_decoder(model, other)).logits > 1e-3


@pytest.mark.parametrize("positions", POSITIONS[:-1])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_cached_step_is_the_whole_decoder(make_model, positions: str, norm: str):
    model = make_model(positions=positions, norm=norm)
    trace = model.trace(tiny.TEXT, tiny.WRITTEN)
    assert CachedDecoder.possible(model.module)
    decoder = CachedDecoder(model.module, torch.tensor(trace.token_ids("encoder")))
    for row, token in enumerate(trace.token_ids("decoder")):
        bounds.close(decoder.step(token), trace.logits[row], 1024)
    assert decoder.cache[0][0].shape == (1, 4, len(trace.tokens("decoder")), 4)
    assert not CachedDecoder.possible(make_model(positions="relative").module)


def test_choices_are_what_followed(make_model):
    trace = make_model().trace(tiny.TEXT, tiny.WRITTEN)
    p = trace.logits.double().softmax(-1).numpy()
    ids = trace.token_ids("decoder")
    assert list(decoding.rows(trace)) == list(range(len(ids)))
    for row in decoding.rows(trace)[:-1]:
        found = decoding.choice(trace, row)
        assert (found.id, found.token) == (ids[row + 1], trace.tokens("decoder")[row + 1])
        assert found.probability == pytest.approx(p[row, found.id], abs=1e-12)
        assert found.rank == list(np.argsort(-p[row], kind="stable")).index(found.id)


def test_the_sum_of_a_recorded_text(make_model):
    model = make_model()
    trace = model.trace(tiny.TEXT, tiny.WRITTEN)
    decoder = own_decoder(model, trace)
    beams = search(decoder, 3, 1.0, 6)
    best = beams.finished[0]
    store = next(iter(decoder.record((*decoder.start, *best.tokens[:-1])).values())).store
    total = beams.steps[best.step][best.index].total
    assert decoding.recorded_total(store, best.tokens) == bounds.near(total, 1024)


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "bart"])
def test_library_models_step_by_step(opened, name: str):
    model = opened(name)
    trace = model.trace(FOX, new_tokens=7)
    decoder = generate.decoder(model, trace)
    found = decoding.stepwise_difference(trace, decoder)
    assert found.other == 0 and found.steps >= 1
    assert found.logits <= bounds.off(found.size, 1024) and found.probability <= 2 * bounds.WEIGHT
    picks = [decoding.choice(trace, row) for row in decoding.rows(trace)]
    assert all(pick.rank == 0 for pick in picks)  # greedy
    record = decoder.record(trace.token_ids("decoder"))
    for site in trace.sites:
        np.testing.assert_allclose(record[site].weights(0), trace.weights(site, 0), atol=bounds.WEIGHT)


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "bart"])
@pytest.mark.parametrize(("k", "alpha"), [(1, 1.0), (3, 0.4), (5, 1.0)])
def test_the_tree_agrees_with_generate(opened, name: str, k: int, alpha: float):
    model = opened(name)
    trace = model.trace(FOX, new_tokens=3)
    found = generate.beam_search(model, trace, k, alpha, 6)
    assert found.differs is None and found.beams.done
    assert found.beams.finished[0].tokens == found.tokens
    alone = search(generate.decoder(model, trace), k, alpha, 6)  # our own loop, without a cache
    assert [each.tokens for each in alone.finished] == [each.tokens for each in found.beams.finished]


def test_a_disagreement_is_told(opened, monkeypatch: pytest.MonkeyPatch):
    model = opened("gpt2")
    trace = model.trace(FOX, new_tokens=3)
    rule = generate.Beams.advance

    def worst(self, log_p: torch.Tensor) -> None:
        rule(self, -log_p if len(self.steps) == 2 else log_p)

    monkeypatch.setattr(generate.Beams, "advance", worst)
    assert generate.beam_search(model, trace, 3, 1.0, 6).differs == 3


def test_what_a_checkpoint_forbids_is_minus_infinity(opened, monkeypatch: pytest.MonkeyPatch):
    model = opened("gpt2")
    monkeypatch.setattr(model.module.generation_config, "suppress_tokens", [5, 6, 7])
    monkeypatch.setattr(model.module.generation_config, "no_repeat_ngram_size", 2)
    found = generate.beam_search(model, model.trace(FOX, new_tokens=2), 4, 1.0, 12)
    assert found.differs is None
    assert not {5, 6, 7} & {one.token for step in found.beams.steps for one in step}


@pytest.mark.parametrize("name", ["gpt2", "t5", "bart"])
def test_library_draws_are_seeded_and_scored(opened, name: str):
    model = opened(name)
    trace = model.trace(FOX, new_tokens=2)
    how = SamplingOptions(1.4, 12, 0.9)
    first, again, other = (generate.sample(model, trace, 3, 8, how, seed) for seed in (1, 1, 2))
    assert first == again != other
    decoder = generate.decoder(model, trace)
    for each in first:
        text = [*decoder.start, *each.tokens]
        for n in range(len(each.tokens)):
            row = decoder.logits(torch.tensor([text[: len(decoder.start) + n]]))
            assert each.log_p[n] == bounds.near(float(log_probabilities(row)[0, each.tokens[n]]), 1024)
            assert each.log_p_cut[n] >= each.log_p[n] - 3 and np.isfinite(each.log_p_cut[n])


def test_a_thinned_record_has_its_likeliest(opened, monkeypatch: pytest.MonkeyPatch):
    model = opened("gpt2")
    whole = model.trace(FOX, new_tokens=4)
    monkeypatch.setattr("model.trace.logits.WHOLE", 10)
    thin = model.trace(FOX, new_tokens=4)
    assert thin.logits is None
    decoder = generate.decoder(model, thin)
    found = decoding.stepwise_difference(thin, decoder)
    assert found.other == 0 and found.logits <= bounds.off(found.size, 1024) and found.probability <= 2 * bounds.WEIGHT
    for row in decoding.rows(thin):
        one, other = decoding.choice(thin, row), decoding.choice(whole, row)
        assert (one.id, one.rank) == (other.id, other.rank)
        assert one.probability == pytest.approx(other.probability, abs=bounds.WEIGHT)
        bounds.close(decoding.row_logits(thin, row, decoder), whole.logits[row], 1024)
    assert decoding.row_logits(thin, 0, None) is None


def test_which_models_write(opened):
    assert all(generate.writes(opened(name)) for name in ("gpt2", "t5"))
    assert not any(generate.writes(opened(name)) for name in ("bert", "encoder", "classifier"))
    assert not generate.writes(SimpleNamespace(task="seq2seq", reads="sound", module=opened("t5").module))
