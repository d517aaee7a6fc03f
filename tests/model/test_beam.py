"""Beam search against every text there is, and token for token against the library's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from model.checkpoints.own_decoder import own_decoder
from model.generation.beam import Beams, search
from model.generation.decoder import Decoder
from tests import bounds
from tests.model import naive_beam

pytestmark = pytest.mark.float32

END = 0


def table(seed: int, size: int, depth: int) -> Callable[[tuple[int, ...]], np.ndarray]:
    """A language of `size` tokens: log p of the next one, another distribution after every text."""
    numbers = np.random.default_rng(seed).normal(size=(size + 1, size + 1, depth + 1, size)) * 1.5

    def log_p(text: tuple[int, ...]) -> np.ndarray:
        two = (size, size, *text)[-2:]
        scores = numbers[two[0], two[1], min(len(text), depth)]
        return scores - np.log(np.exp(scores).sum())

    return log_p


def run(log_p: Callable, k: int, alpha: float, limit: int, ends: frozenset[int] = frozenset({END})) -> Beams:
    beams = Beams(k, alpha, limit, ends)
    while not beams.done:
        beams.advance(torch.tensor(np.stack([log_p(text) for text in beams.running]), dtype=torch.float32))
    return beams


def every_text(log_p: Callable, size: int, limit: int, alpha: float) -> list[tuple[float, tuple[int, ...]]]:
    """(score, text) of all that end or reach the limit, best first, in float64."""
    found = []
    for n in range(1, limit + 1):
        for text in itertools.product(range(size), repeat=n):
            if END in text[:-1] or (n < limit and text[-1] != END):
                continue
            found.append((sum(log_p(text[:i])[token] for i, token in enumerate(text)) / n**alpha, text))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_with_a_beam_for_every_text_it_is_brute_force(seed: int, alpha: float):
    log_p = table(seed, 4, 3)
    want = every_text(log_p, 4, 3, alpha)
    assert len(want) == 40
    found = run(log_p, 40, alpha, 3).finished
    assert [each.tokens for each in found] == [text for _, text in want]
    bounds.close([each.score for each in found], [score for score, _ in want], 1024)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 1.8])
def test_few_beams_as_written_down_differently(k: int, alpha: float):
    for seed in range(12):
        log_p = table(seed, 12, 6)
        beams = run(log_p, k, alpha, 7)
        want = naive_beam.search(log_p, 12, END, k, alpha, 7)
        assert [each.tokens for each in beams.finished] == [text for _, text in want], seed
        bounds.close([each.score for each in beams.finished], [s for s, _ in want], 1024)


def test_every_hypothesis_says_what_became_of_it():
    k = 3
    for seed in range(8):
        beams = run(table(seed, 12, 6), k, 1.0, 6)
        for t, step in enumerate(beams.steps):
            assert [one.rank for one in step] == sorted(one.rank for one in step)
            assert [one.total for one in step] == sorted((one.total for one in step), reverse=True)
            runs = [one for one in step if one.status == "runs"]
            assert len(runs) == (0 if t + 1 == 6 else k)
            for i, one in enumerate(step):
                path = beams.path(t, i)
                assert tuple(each.token for each in path) == beams.tokens(t, i)
                assert one.total == bounds.near(sum(each.log_p for each in path), 1024)
                assert (one.status in ("finished", "late")) == (one.token == END)
                assert (one.score is not None) == (one.status in ("finished", "limit"))
                assert one.score is None or (one.rank < k and one.score == pytest.approx(one.total / (t + 1)))
                assert one.parent == -1 if t == 0 else beams.steps[t - 1][one.parent].status == "runs"
        scores = [each.score for each in beams.finished]
        assert scores == sorted(scores, reverse=True) and len(scores) <= k
        assert all(each.score <= scores[-1] for each in beams.dropped)


def test_the_search_stops_where_nothing_can_catch_up():
    stopped = [beams for seed in range(20) if (beams := run(table(seed, 8, 6), 2, 0.0, 30)).done == "bound"]
    assert stopped
    for beams in stopped:
        best, worst = beams.bound
        running = max(one.total for one in beams.steps[-1] if one.status == "runs")
        assert best == pytest.approx(running) and best <= worst == beams.finished[-1].score


def test_one_beam_is_greedy(translator):
    trace = translator.trace("the cat sat on the mat", language="zh")
    beams = search(own_decoder(translator, trace), 1, new_tokens=40)
    written = trace.token_ids("decoder")[1:]
    assert beams.finished[0].tokens == (*written, *own_decoder(translator, trace).ends)


def test_padding_is_never_written(make_model):
    model = make_model()
    trace = model.trace("the cat sat", "猫")
    beams = search(own_decoder(model, trace), 5, 0.0, 8)
    assert all(one.token != 0 for step in beams.steps for one in step)


def tiny(family: str, seed: int) -> torch.nn.Module:
    """A random model of the library whose distributions are sharp enough to choose."""
    import transformers as t

    torch.manual_seed(seed)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if family == "gpt2":
        config = t.GPT2Config(vocab_size=12, n_positions=64, n_embd=24, n_layer=2, n_head=3, **ends)
        module = t.GPT2LMHeadModel(config)
    elif family == "t5":
        config = t.T5Config(vocab_size=12, d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=3,
                            decoder_start_token_id=0, **ends)  # fmt: skip
        module = t.T5ForConditionalGeneration(config)
    else:
        config = t.BartConfig(vocab_size=12, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=3,
                              decoder_attention_heads=3, encoder_ffn_dim=32, decoder_ffn_dim=32,
                              max_position_embeddings=64, decoder_start_token_id=2, forced_eos_token_id=None,
                              **ends)  # fmt: skip
        module = t.BartForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3.0 if family != "t5" else 1.0)
    # Left to itself a random model hardly ever ends a text.
    likelier = torch.zeros(12)
    likelier[2] = 1.5 if family != "t5" else 4.0
    module.get_output_embeddings().register_forward_hook(lambda _module, _args, output: output + likelier)
    return module.eval()


@pytest.mark.parametrize("family", ["gpt2", "t5", "bart"])
@pytest.mark.parametrize(("k", "alpha"), [(2, 1.0), (3, 0.0), (5, 0.6), (4, 2.0)])
def test_token_for_token_as_the_library(family: str, k: int, alpha: float):
    """No cache, no padding, another loop: the same texts in the same order, and the same scores."""
    pytest.importorskip("transformers")
    lengths = set()
    for seed in range(3):
        module, ids = tiny(family, seed), torch.tensor([[5, 9, 7, 4]])
        both = module.config.is_encoder_decoder

        def logits(texts: torch.Tensor, module=module, both=both, ids=ids) -> torch.Tensor:
            given = (
                {"decoder_input_ids": texts, "input_ids": ids.expand(len(texts), -1)} if both else {"input_ids": texts}
            )
            with torch.no_grad():
                return module(**given, use_cache=False).logits[:, -1]

        start = (module.config.decoder_start_token_id,) if both else tuple(ids[0].tolist())
        decoder = Decoder(start, frozenset({2}), 64, logits, lambda _: {}, lambda *_: ())
        beams = search(decoder, k, alpha, 9)
        with torch.no_grad():
            want = module.generate(
                ids, attention_mask=torch.ones_like(ids), num_beams=k, num_return_sequences=k, max_new_tokens=9,
                length_penalty=alpha, early_stopping=False, do_sample=False, return_dict_in_generate=True,
                output_scores=True,
            )  # fmt: skip
        rows = [row[len(start) :].tolist() for row in want.sequences]
        rows = [tuple(row[: row.index(2) + 1] if 2 in row else row) for row in rows]
        assert [each.tokens for each in beams.finished] == rows
        bounds.close([each.score for each in beams.finished], want.sequences_scores, 1024)
        lengths |= {len(row) for row in rows}
    assert len(lengths) > 1  # some ended before the limit
