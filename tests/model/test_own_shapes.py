"""Checkpoints of ours in every shape, words and letters, opened: what a run says, against the Transformer in NumPy float64."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from model import Trace, open_model
from model.__main__ import main
from model.checkpoints.minimal_pair import minimal_pair
from model.checkpoints.own_decoder import own_decoder, sample
from model.checkpoints.truncate import shortened
from model.errors import HeadlightError, NotInThisModel, TextTooLong, UnknownWords
from model.generation import decoder as decoding
from model.generation import kv_cache_cost, sampling
from model.generation.beam import search
from model.measures.head_statistics import trace_statistics
from model.measures.induction import measured, random_repeats
from model.residual import stream
from model.steps import head as head_steps
from model.transformer.kv_cache import CachedDecoder
from tests import bounds
from tests.model import naive, naive_beam, tiny
from tests.model.brute_measures import BRUTE, seen

pytestmark = pytest.mark.float32

ALONE = ("decoder", "encoder")
KINDS = ("words", "characters")
EVERY = tuple(itertools.product((*ALONE, "both"), KINDS, (24, 0)))


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory):
    """`make("decoder", "characters", d_ff=0)`: opened once."""
    made = {}

    def opened(shape: str, kind: str = "words", **changes: object):
        key = (shape, kind, *changes.items())
        if key not in made:
            place = tmp_path_factory.mktemp("shapes") / "-".join((shape, kind, *map(str, changes.values())))
            made[key] = open_model(tiny.write_checkpoint(place, shape=shape, kind=kind, **changes))
        return made[key]

    return opened


def text_of(shape: str) -> str:
    return tiny.GAP if shape == "encoder" else tiny.TEXT


def numbers(model, source: list[int] | None, target: list[int] | None) -> dict[str, np.ndarray]:
    return naive.Run(model.module.state_dict(), model.config.to_dict(), source, target).got


def of_trace(model, trace: Trace) -> dict[str, np.ndarray]:
    return numbers(model, *(trace.token_ids(side) if side in trace.sides else None for side in ("encoder", "decoder")))


def log_p(row: np.ndarray) -> np.ndarray:
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


def written(model, prompt: list[int], count: int) -> list[int]:
    """Greedy by NumPy: the likeliest of a decoder alone that is no padding, again and again."""
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(numbers(model, None, ids)["logits"][-1, 1:].argmax()) + 1)
    return ids


@pytest.mark.parametrize(("shape", "kind", "d_ff"), EVERY)
def test_a_run_is_the_formulas_and_says_that_it_checks(make, shape: str, kind: str, d_ff: int) -> None:
    model = make(shape, kind, d_ff=d_ff)
    trace = model.trace(text_of(shape))
    want = of_trace(model, trace)
    crosses = ["decoder.0.cross", "decoder.1.cross"] if shape == "both" else []
    stacks = ["encoder", "decoder"] if shape == "both" else [shape]
    assert sorted(map(str, trace.sites)) == sorted([f"{s}.{i}.self" for s in stacks for i in range(2)] + crosses)
    for site in trace.sites:
        for head in range(4):
            bound = bounds.weight(want[f"{site}.scores"][head], 1024)
            np.testing.assert_allclose(trace.weights(site, head), want[f"{site}.weights"][head], atol=bound)
    bounds.close(trace.logits, want["logits"], 1024)
    found = trace.fidelity()
    assert found.holds and found.logits_error == 0 and found.sites.keys() == set(map(str, trace.sites))


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_alone_goes_on_with_its_text(make, kind: str) -> None:
    model = make("decoder", kind)
    pieces = tiny.TEXT.split() if kind == "words" else list(tiny.TEXT)
    bare, more = model.trace(tiny.TEXT), model.trace(tiny.TEXT, new_tokens=5)
    assert (model.task, model.languages, model.decodes) == ("causal", (), False)
    assert bare.tokens("decoder") == ["<s>", *pieces] and bare.sides.keys() == {"decoder"}
    assert bare.side("decoder").special == (True, *[False] * len(pieces))
    ids = written(model, bare.token_ids("decoder"), 5)
    if 2 in ids:  # "</s>" is what it wrote, and is not read again
        ids = ids[: ids.index(2)]
    assert more.token_ids("decoder") == ids
    assert more.facts["prompt"] == 1 + len(pieces) and more.facts["generated"] is True
    assert more.key.options == (("new_tokens", 5),) and "generated" not in bare.facts
    assert bare.written() == [*pieces, model.target.vocabulary[int(of_trace(model, bare)["logits"][-1].argmax())]]
    assert model.trace(tiny.TEXT, new_tokens=900).token_ids("decoder")[: len(ids)] == ids
    assert len(model.trace(tiny.TEXT, new_tokens=900).tokens("decoder")) <= model.max_length


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap", ["<mask>", "[MASK]", "[mask]"])
def test_an_encoder_alone_fills_the_gap(make, kind: str, gap: str) -> None:
    model = make("encoder", kind)
    trace = model.trace(f"the cat {gap} on {gap}")
    assert (model.task, model.languages) == ("masked", ()) and trace.sides.keys() == {"encoder"}
    places = [2, 4] if kind == "words" else [8, 13]
    assert trace.facts["gaps"] == places and trace.tokens("encoder")[places[0]] == "<mask>"
    assert trace.facts["folded"] == [] and trace.written() == [] and trace.predicting_side == "encoder"
    for place in places:
        p = np.exp(log_p(of_trace(model, trace)["logits"][place]))
        best = sorted(range(len(p)), key=lambda i: -p[i])[:3]
        found = trace.next_tokens(place, 3)
        assert [(token, i) for token, i, _ in found] == [(model.source.vocabulary[i], i) for i in best]
        np.testing.assert_allclose([each for _, _, each in found], p[best], atol=bounds.off(p.max(), 1024))


def test_an_encoder_is_padded_as_before(make) -> None:
    model = make("encoder")
    trace, plain = model.trace(tiny.GAP, pad_to=9), model.trace(tiny.GAP)
    assert trace.tokens("encoder")[6:] == ["<pad>"] * 3 and trace.facts["gaps"] == [2]
    assert not trace.weights("encoder.0.self", 0)[:, 6:].any()
    bounds.close(trace.logits[:6], plain.logits, 1024)


@pytest.mark.parametrize(("shape", "kind", "d_ff"), EVERY)
def test_a_saved_trace_opens_as_it_was(make, tmp_path: Path, shape: str, kind: str, d_ff: int) -> None:
    options = {"new_tokens": 3} if shape == "decoder" else {}
    trace = make(shape, kind, d_ff=d_ff).trace(text_of(shape), **options)
    again = Trace.open(trace.save(tmp_path / "run.safetensors"))
    assert dict(again.facts) == dict(trace.facts) and again.key == trace.key and dict(again.sides) == dict(trace.sides)
    assert again.vocabulary == trace.vocabulary and again.fidelity().holds
    for site in trace.sites:
        assert torch.equal(again.q(site), trace.q(site)) and torch.equal(again.k(site), trace.k(site))
        bounds.close(again.weights(site, 3), trace.weights(site, 3), 64)


@pytest.mark.parametrize("d_ff", [24, 0])
@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("shape", ALONE)
def test_the_steps_lead_to_what_was_recorded(make, shape: str, norm: str, d_ff: int) -> None:
    model = make(shape, norm=norm, d_ff=d_ff, positions="rotary")
    trace = model.trace(text_of(shape))
    want = of_trace(model, trace)
    for site in trace.sites:
        found = {step.key: step for step in head_steps.head_steps(trace, site, 1, 2)}
        assert {"input", "q", "k", "v", "scaled", "softmax", "residual", "norm"} <= found.keys()
        later = found["mask"].result.values.isneginf()
        assert torch.equal(later, torch.ones_like(later).triu(1) & (shape == "decoder"))
        for step in found.values():
            assert step.error is None or step.error <= step.limit, (site, step.key)
        bounds.close(found["softmax"].result.values, want[f"{site}.weights"][1], 1024)
        bounds.close(found["residual"].result.values, want[f"{site}.residual"], 1024)


@pytest.mark.parametrize("d_ff", [24, 0])
@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("shape", [*ALONE, "both"])
def test_both_orders_of_the_norm(make, shape: str, norm: str, d_ff: int) -> None:
    model = make(shape, norm=norm, d_ff=d_ff)
    trace = model.trace(text_of(shape))
    ids = [trace.token_ids(side) if side in trace.sides else None for side in ("encoder", "decoder")]
    for stack in trace.sides:
        found = stream.both_orders(model.module, trace, stack)
        assert found.own == norm and found.error <= found.limit
        last = "ffn" if d_ff else "cross" if (stack, shape) == ("decoder", "both") else "self"
        for order in ("post", "pre"):
            state = stream.other_order(model.module).state_dict() if order != norm else model.module.state_dict()
            got = naive.Run(state, model.config.to_dict() | {"norm": order}, *ids).got
            end = "norm" if order == "post" else "residual"
            names = [f"{stack}.input", *(f"{stack}.{i}.{last}.{end}" for i in range(2))]
            lengths = np.stack([np.linalg.norm(got[name], axis=-1) for name in names])
            bounds.close(found.lengths[order], lengths, 1024)


@pytest.mark.parametrize("shape", ALONE)
def test_every_measure_is_its_definition(make, shape: str) -> None:
    model = make(shape, d_ff=0)
    trace = model.trace(f"{text_of(shape)} . the cat")
    for site, found in trace_statistics(trace, costly=True).items():
        record, side = trace.record(site), trace.side(site.key_side)
        punctuation = [token == "." for token in side.tokens]
        for head in range(4):
            one = seen(record, head, list(side.ids), list(side.special), punctuation)
            for name, sentence in BRUTE.items():
                value, want = found.values.get(name), sentence(one)
                if value is None or want is None:
                    assert value is None, name
                    continue
                np.testing.assert_allclose(float(value[head]), want, atol=1e-4, err_msg=f"{site} {head} {name}")


@pytest.mark.parametrize("shape", ALONE)
def test_induction_on_random_repeats(make, shape: str) -> None:
    model = make(shape, d_ff=0)
    found = measured(model, length=5, texts=2, seed=1)
    first, start = (3, [1]) if shape == "decoder" else (2, [])
    assert found.queries == 10
    for row, text in zip(found.by_text, random_repeats(list(range(first, first + 14)), start, 5, 2, 1), strict=True):
        want = numbers(model, *((text, None) if shape == "encoder" else (None, text)))
        for value, (site, head) in zip(row, found.heads, strict=True):
            A, n = want[f"{site}.weights"][head], len(start)
            assert value == pytest.approx(np.mean([A[n + 5 + t, n + t + 1] for t in range(5)]), abs=bounds.WEIGHT)
    with pytest.raises(TextTooLong):
        model.record_ids([3] * 71)


@pytest.mark.parametrize("kind", KINDS)
def test_beams_are_those_of_lists(make, kind: str) -> None:
    model = make("decoder", kind, d_ff=0)
    trace = model.trace(tiny.TEXT, new_tokens=4)
    asked = own_decoder(model, trace)
    assert asked.start == tuple(trace.token_ids("decoder")[: trace.facts["prompt"]])

    def after(text: tuple[int, ...]) -> np.ndarray:
        row = log_p(numbers(model, None, [*asked.start, *text])["logits"][-1])
        row[0] = -np.inf
        return row

    want = naive_beam.search(after, len(model.target), 2, 3, 0.7, 5)
    found = search(asked, 3, 0.7, 5)
    assert [each.tokens for each in found.finished] == [text for _, text in want]
    assert [each.score for each in found.finished] == [bounds.near(score, 1024) for score, _ in want]
    ids = (*asked.start, *found.finished[0].tokens[:-1])
    records = asked.record(ids)
    assert decoding.recorded_total(next(iter(records.values())).store, found.finished[0].tokens) == bounds.near(
        found.steps[found.finished[0].step][found.finished[0].index].total, 1024
    )
    again = decoding.stepwise_difference(trace, asked)
    assert (
        again.other == 0 and again.logits <= bounds.off(again.size, 1024) and again.steps == len(decoding.rows(trace))
    )


def test_draws_are_seeded_and_scored(make) -> None:
    model = make("decoder")
    asked = own_decoder(model, model.trace(tiny.TEXT))
    how = sampling.SamplingOptions(1.3, 8, 0.9)
    first, again, other = (sampling.draw(asked, 3, 6, how, seed) for seed in (1, 1, 2))
    assert first == again != other
    for each in first:
        for n, token in enumerate(each.tokens):
            row = numbers(model, None, [*asked.start, *each.tokens[:n]])["logits"][-1]
            assert token != 0 and each.log_p[n] == bounds.near(log_p(row)[token], 1024)


@pytest.mark.parametrize("kind", KINDS)
def test_continuations_are_drawn_as_texts_with_their_probability(make, kind: str) -> None:
    model = make("decoder", kind)
    found = sample(model, tiny.TEXT, 3, new_tokens=6, temperature=1.2, seed=4)
    assert len(found) == 3 and found == sample(model, tiny.TEXT, 3, new_tokens=6, temperature=1.2, seed=4)
    prompt = model.trace(tiny.TEXT).token_ids("decoder")
    for each in found:
        ids = model.trace(each.text).token_ids("decoder") if each.added else prompt
        assert each.text.startswith(tiny.TEXT)
        if len(ids) - len(prompt) == each.tokens:  # no sign was drawn, which is no text
            rows = numbers(model, None, ids)["logits"][len(prompt) - 1 : -1]
            want = sum(log_p(row)[token] for row, token in zip(rows, ids[len(prompt) :], strict=True))
            assert each.log_probability == bounds.near(want, 1024)
    assert any(len(each.added) > 2 for each in found)
    with pytest.raises(NotInThisModel, match="no decoder alone"):
        sample(make("encoder", kind), "the cat")
    with pytest.raises(HeadlightError, match="temperature is 0"):
        sample(model, tiny.TEXT, temperature=0.0)


@pytest.mark.parametrize("d_ff", [24, 0])
@pytest.mark.parametrize("shape", ["decoder", "both"])
def test_a_cached_step_is_the_whole_decoder_and_costs_what_the_formula_says(make, shape: str, d_ff: int) -> None:
    model = make(shape, d_ff=d_ff, positions="alibi")
    trace, module = model.trace(tiny.TEXT, new_tokens=3), model.module
    source = trace.token_ids("encoder") if shape == "both" else None
    ids, want = trace.token_ids("decoder"), of_trace(model, trace)["logits"]
    given = None if source is None else torch.tensor(source)
    cached = CachedDecoder(module, given)

    def run(n: int, s: int) -> None:
        memory = () if source is None else (torch.zeros(1, s, 16), torch.ones(1, s, dtype=torch.long))
        module.decode(torch.ones(1, n, dtype=torch.long), *memory)

    sizes = kv_cache_cost.shapes(trace, module, module.project, run, False)
    assert bool(sizes.length) == (shape == "both")
    with torch.no_grad():
        memory = () if source is None else (module.encode(given[None]), given[None])
    for n, token in enumerate(ids, 1):
        if n == 1:
            bounds.close(cached.step(token), want[0], 1024)
            continue
        text = torch.tensor([ids[:n]])
        assert kv_cache_cost.counted(lambda text=text: module.decode(text, *memory)) == sizes.without(n)
        got = []
        assert kv_cache_cost.counted(lambda token=token, got=got: got.append(cached.step(token))) == sizes.with_cache(n)
        bounds.close(got[0], want[n - 1], 1024)


def test_what_a_shape_has_not_is_refused_in_a_sentence(make) -> None:
    decoder, encoder = make("decoder"), make("encoder")
    asked = [
        (lambda: decoder.trace("the cat", "a cat"), "no decoder that reads another text"),
        (lambda: encoder.trace("the cat", "a cat"), "no decoder that reads another text"),
        (lambda: encoder.trace("the cat", new_tokens=3), "says nothing of what comes next"),
        (lambda: decoder.trace("the cat", pad_to=9), "has no encoder"),
        (lambda: decoder.trace("the cat", language="zh"), "has no languages"),
        (lambda: encoder.trace("the cat", language="zh"), "has no languages"),
    ]
    for ask, said in asked:
        with pytest.raises(NotInThisModel, match=said):
            ask()
    for model in (decoder, encoder):
        with pytest.raises(UnknownWords, match="catt"):
            model.trace("the catt")
    with pytest.raises(UnknownWords):  # a decoder has no gap, and its own signs are no words
        decoder.trace("the <mask> cat")
    with pytest.raises(UnknownWords):
        decoder.trace("the <s> cat")


def test_a_text_that_is_too_long_is_cut_where_it_still_fits(make) -> None:
    decoder, encoder = make("decoder"), make("encoder")
    long = "the cat sat " * 30
    with pytest.raises(TextTooLong, match="90 tokens, and this model reads at most 69"):
        decoder.trace(long)
    assert len(decoder.trace(shortened(decoder, long).text).tokens("decoder")) == 70
    cut = shortened(decoder, long, new_tokens=8)
    assert cut.tokens == 61 and len(decoder.trace(cut.text, new_tokens=8).tokens("decoder")) <= 70
    with pytest.raises(TextTooLong, match="69 tokens, and this model reads at most 68"):
        decoder.trace("the cat sat " * 23, new_tokens=1)
    gaps = "<mask> cat " * 50
    found = shortened(encoder, gaps)
    assert found.tokens == 70 and found.text == ("<mask> cat " * 35).strip()
    for model in (decoder, encoder):
        pair = minimal_pair(model, ["the cat sat", "the cat sat on", "the mat sat"])
        assert pair == ("the cat sat", "the mat sat")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALONE)
def test_the_command_line_records_and_ranks(tmp_path: Path, capsys, shape: str, kind: str) -> None:
    folder, out = tiny.write_checkpoint(tmp_path / shape, shape=shape, kind=kind), tmp_path / "run.safetensors"
    more = ["--new-tokens", "4"] if shape == "decoder" else []
    assert main(["record", "--model", str(folder), "--text", text_of(shape), *more, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 attention sub-layers" in said and "checks to" in said and ("wrote" in said) == (shape == "decoder")
    if shape == "decoder":
        trace = Trace.open(out)
        told = (" " if kind == "words" else "").join(trace.tokens("decoder")[trace.facts["prompt"] :])
        assert f"wrote “{told}”" in said
    assert Trace.open(out).tokens(shape)
    assert main(["heads", "--model", str(folder), "--text", text_of(shape), "--by", "entropy", "--top", "3"]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 5
    assert main(["record", "--model", str(folder), "--text", "the cat", "--language", "zh", "--out", str(out)]) == 2
    assert "has no languages" in capsys.readouterr().err


def test_one_word_is_enough(make) -> None:
    for shape in ALONE:
        trace = make(shape, d_ff=0).trace("cat")
        assert trace.fidelity().holds and trace_statistics(trace)
    with pytest.raises(HeadlightError, match="empty"):
        make("decoder").trace("  ")
