"""Continuations, a training step and a sentence's vector, each a second time by hand."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from model import Trace, open_model
from model.checkpoints.library.outputs import pooling, sample, sentence_vector, training_step
from model.errors import (
    EmptyText,
    HeadlightError,
    NoChatTemplate,
    NotInThisModel,
    TextTooLong,
    TooLargeToTrain,
    UnknownOption,
)
from tests import bounds
from tests.app.checkpoints import write

PROMPT, FOX = "Once upon a time", "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory):
    """`opened("gpt2")`: a tiny random checkpoint, opened once."""
    root, models = tmp_path_factory.mktemp("outputs"), {}

    def get(name: str):
        if name not in models:
            models[name] = open_model(write(root / name, name))
        return models[name]

    return get


def log_probability(module: torch.nn.Module, start: int, row: torch.Tensor, **given: torch.Tensor) -> float:
    """Σ log p of row[start:], one token at a time and in float64: each from a run of what stands before it."""
    module, total = copy.deepcopy(module).double(), 0.0
    name = "decoder_input_ids" if given else "input_ids"
    with torch.no_grad():
        for at in range(start, len(row)):
            logits = module(**given, **{name: row[None, :at]}, use_cache=False).logits[0, -1]
            total += float(logits[row[at]] - torch.logsumexp(logits, 0))
    return total


def drawn(model, text: str, seed: int, count: int, **how: object) -> torch.Tensor:
    """The library's own draw with that seed."""
    ids = model.tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model.generate(ids, 12, do_sample=True, num_return_sequences=count, **how)


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "bart"])
def test_three_continuations_with_their_own_probabilities(opened, name: str):
    model = opened(name)
    how = {"temperature": 0.8, "top_k": 40, "top_p": 0.95}
    found = sample(model, PROMPT, 3, new_tokens=12, seed=4, **how)
    ids = model.tokenizer(PROMPT, return_tensors="pt").input_ids
    start, given = (1, {"input_ids": ids}) if model.task == "seq2seq" else (ids.shape[1], {})
    ends = {model.module.generation_config.eos_token_id}
    assert len(found) == 3 and len({each.text for each in found}) > 1
    for each, row in zip(found, drawn(model, PROMPT, 4, 3, **how), strict=True):
        stop = next((i + 1 for i in range(start, len(row)) if int(row[i]) in ends), len(row))
        assert each.tokens == stop - start
        assert each.added == model.tokenizer.decode(row[start:stop], skip_special_tokens=True)
        expected = log_probability(model.module, start, row[:stop], **given)
        assert each.log_probability == bounds.near(expected, 1024)
        assert each.text == (each.added if given else PROMPT + each.added)


def test_the_seed_alone_decides_and_the_callers_numbers_stay(opened):
    model = opened("gpt2")
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = sample(model, PROMPT, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert sample(model, PROMPT, seed=1) == first
    assert sample(model, PROMPT, seed=2) != first


def test_what_cannot_be_sampled_is_one_sentence(opened):
    model = opened("gpt2")
    for how in ({"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"count": 0}, {"count": 11},
                {"new_tokens": 0}, {"temperature": float("nan")}, {"temperature": float("inf")}):  # fmt: skip
        with pytest.raises(HeadlightError, match=next(iter(how))):
            sample(model, PROMPT, **how)
    with pytest.raises(EmptyText):
        sample(model, "  ")
    with pytest.raises(NotInThisModel):
        sample(opened("bert"), PROMPT)
    with pytest.raises(TextTooLong, match="at most 1023"):
        sample(model, "zq " * 600)
    with pytest.raises(TextTooLong):  # no room for a single token
        sample(model, "z" * 1024)


@pytest.mark.parametrize("length", [1020, 1023])
def test_a_text_near_the_longest_is_continued_as_far_as_there_is_room(opened, length: int):
    model = opened("gpt2")
    assert len(model.tokenizer("z" * length).input_ids) == length
    (found,) = sample(model, "z" * length, 1, new_tokens=30)
    assert 1 <= found.tokens <= 1024 - length


def cross_entropy(
    module: torch.nn.Module, given: dict[str, torch.Tensor], rows: slice, labels: list[int]
) -> torch.Tensor:
    logits = module(**given, use_cache=False).logits[0, rows]
    return -torch.stack([logits[i].log_softmax(0)[label] for i, label in enumerate(labels)]).mean()


@pytest.mark.parametrize("name", ["t5", "bart", "gpt2", "llama"])
@pytest.mark.parametrize("rate", [1e-3, 1e-4])
def test_a_training_step_by_hand(opened, name: str, rate: float):
    model = opened(name)
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    source, target = ("the fox", FOX) if model.task == "seq2seq" else (FOX, " the cat sat")
    found = training_step(model, source, target, learning_rate=rate)
    module = copy.deepcopy(model.module)
    ids = model.tokenizer(source, return_tensors="pt").input_ids
    if model.task == "seq2seq":
        labels = model.tokenizer(target).input_ids
        shifted = [module.config.decoder_start_token_id, *labels[:-1]]
        given, rows = {"input_ids": ids, "decoder_input_ids": torch.tensor([shifted])}, slice(None)
    else:
        labels = model.tokenizer(target, add_special_tokens=False).input_ids
        given = {"input_ids": torch.cat([ids, torch.tensor([labels])], 1)}
        rows = slice(ids.shape[1] - 1, -1)
    optimiser = torch.optim.Adam(module.parameters(), lr=rate, betas=(0.9, 0.98), eps=1e-9)
    loss = cross_entropy(module, given, rows, labels)
    loss.backward()
    norm = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]).double().norm()
    optimiser.step()
    with torch.no_grad():
        after = cross_entropy(module, given, rows, labels)
    assert found.loss_before == pytest.approx(loss.item(), rel=1e-5)
    assert found.loss_after == pytest.approx(after.item(), rel=1e-3 if rate == 1e-3 else 1e-4)
    assert found.gradient_norm == pytest.approx(norm.item(), rel=1e-3)
    assert found.loss_after < found.loss_before and found.learning_rate == rate
    assert len(found.labels) == len(labels) and found.labels[0] == model.vocabulary[labels[0]]
    assert all(torch.equal(value, before[key]) for key, value in model.module.state_dict().items())
    assert all(p.grad is None for p in model.module.parameters()) and not model.module.training


@pytest.mark.parametrize("name", ["t5", "bart", "gpt2", "llama"])
def test_a_steps_runs_are_what_it_learned_from_before_and_after(opened, name: str):
    model = opened(name)
    source, target = ("the fox", FOX) if model.task == "seq2seq" else (FOX, " the cat sat")
    found = training_step(model, source, target, learning_rate=1e-3)
    labels = (
        model.tokenizer(target).input_ids
        if model.task == "seq2seq"
        else model.tokenizer(target, add_special_tokens=False).input_ids
    )
    last = slice(None) if model.task == "seq2seq" else slice(-1 - len(labels), -1)
    for run, loss in ((found.before, found.loss_before), (found.after, found.loss_after)):
        logits = run.logits[last].double().log_softmax(-1)
        assert -logits[range(len(labels)), labels].mean().item() == pytest.approx(loss, rel=1e-4)
        assert run.fidelity().holds and run.fidelity().logits_error is not None  # with its own weights
    plain = model.trace(source, target) if model.task == "seq2seq" else model.trace(source + target)
    if [plain.token_ids(side) for side in plain.sides] == [found.before.token_ids(side) for side in found.before.sides]:
        for site in plain.sites:
            assert torch.allclose(plain.weights(site, 0), found.before.weights(site, 0), atol=1e-6)
    else:
        assert model.task != "seq2seq"
    assert found.before.key != found.after.key
    apart = max(
        (found.after.weights(site, 0) - found.before.weights(site, 0)).abs().max() for site in found.before.sites
    )
    assert apart > 1e-4


def test_a_step_needs_labels_and_a_model_that_writes(opened, monkeypatch: pytest.MonkeyPatch):
    model = opened("t5")
    with pytest.raises(HeadlightError, match="without labels there is no loss"):
        training_step(model, FOX, "  ")
    with pytest.raises(EmptyText):
        training_step(model, " ", "a")
    with pytest.raises(NotInThisModel):
        training_step(opened("encoder"), FOX, "a")
    with pytest.raises(TextTooLong, match="at most 1024"):
        training_step(opened("gpt2"), "z" * 1000, "z" * 25)
    with pytest.raises(TextTooLong, match="at most 64"):
        training_step(opened("bart"), "z", "z" * 90)
    monkeypatch.setattr("model.checkpoints.library.outputs.LARGEST_TRAINED", 10)
    with pytest.raises(TooLargeToTrain, match="at most 10"):
        training_step(model, FOX, "a")


@pytest.mark.parametrize("name", ["encoder", "bert", "gpt2"])
def test_a_sentence_is_the_mean_of_its_last_hidden_states(opened, name: str):
    model = opened(name)
    ids = model.tokenizer(FOX, return_tensors="pt").input_ids
    with torch.no_grad():
        states = model.module(input_ids=ids, output_hidden_states=True).hidden_states[-1][0].double()
    mean = states.sum(0) / states.shape[0]
    trace = model.trace(FOX)
    for how, vector in (("mean", mean), ("cls", states[0])):
        found = sentence_vector(trace, how)
        assert found.dtype == torch.float64 and float(found.norm()) == pytest.approx(1, abs=1e-12)
        torch.testing.assert_close(found, vector / vector.pow(2).sum().sqrt(), atol=bounds.WEIGHT, rtol=0)


@pytest.mark.parametrize(("how", "setting"), [
    ("cls", "pooling_mode_cls_token"), ("last", "pooling_mode_lasttoken"), ("max", "pooling_mode_max_tokens"),
    ("mean", "pooling_mode_mean_tokens"),
])  # fmt: skip
def test_the_folders_pooling_reaches_the_vector(tmp_path: Path, how: str, setting: str):
    folder = write(tmp_path / "encoder", "encoder")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({setting: True}), encoding="utf-8")
    model = open_model(folder)
    trace = model.trace(FOX)
    assert model.pooling == trace.facts["pooling"] == how
    with torch.no_grad():
        states = model.module(torch.tensor([trace.token_ids("encoder")])).last_hidden_state[0].double()
    vector = {"cls": states[0], "last": states[-1], "max": states.max(0).values, "mean": states.mean(0)}[how]
    torch.testing.assert_close(sentence_vector(trace), vector / vector.norm(), atol=bounds.WEIGHT, rtol=0)
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    torch.testing.assert_close(sentence_vector(opened), sentence_vector(trace), atol=bounds.WEIGHT, rtol=0)


def test_a_card_that_tells_the_pooling_is_believed(opened):
    model = opened("encoder")
    assert model.pooling == "mean" and "pooling" not in opened("bert").trace(FOX).facts
    assert replace(model, card={"pooling": "cls"}).trace(FOX).facts["pooling"] == "cls"
    with pytest.raises(UnknownOption, match="mean"):
        sentence_vector(model.trace(FOX), "median")


def test_a_chat_is_continued_through_the_template(opened):
    model = opened("llama")
    chat = "hello\nI like cats\nhello"
    ids = model.trace(chat, chat=True).token_ids("decoder")
    assert ids != model.tokenizer(chat).input_ids
    found = sample(model, chat, 2, new_tokens=6, seed=5, chat=True)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        how = {"do_sample": True, "num_return_sequences": 2, "temperature": 1.0, "top_k": 50, "top_p": 1.0}
        rows = model.generate(torch.tensor([ids]), 6, **how)
    for each, row in zip(found, rows, strict=True):
        assert row[: len(ids)].tolist() == ids
        written = row[len(ids) : len(ids) + each.tokens]
        assert each.added == model.tokenizer.decode(written, skip_special_tokens=True)
        assert each.log_probability == bounds.near(
            log_probability(model.module, len(ids), row[: len(ids) + each.tokens]), 1024
        )
    with pytest.raises(NoChatTemplate):
        sample(opened("gpt2"), chat, chat=True)
    one, two = (training_step(model, chat, " yes", chat=chat_too).loss_before for chat_too in (True, False))
    assert one != two


def test_how_a_folder_pools(tmp_path: Path):
    assert pooling(tmp_path) == "mean"
    (tmp_path / "1_Pooling").mkdir()
    for text, how in (('{"pooling_mode_cls_token": true}', "cls"), ('{"pooling_mode_cls_token": false}', "mean"),
                      ("no JSON", "mean"), ("[1]", "mean")):  # fmt: skip
        (tmp_path / "1_Pooling" / "config.json").write_text(text, encoding="utf-8")
        assert pooling(tmp_path) == how


@pytest.mark.parametrize(
    ("text", "more", "space"),
    [("The", "dog is", " "), ("The ", "dog", ""), ("The", " dog", ""), ("The dog", ", and", ""), ("The (", "dog", ""),
     ("我", "喜欢", ""), ("The dog.", "He", " ")],
)  # fmt: skip
def test_a_continuation_has_the_space_that_a_word_has_before_it(opened, text: str, more: str, space: str):
    model = opened("gpt2")
    wanted = model.tokenizer(space + more, add_special_tokens=False).input_ids
    found = training_step(model, text, more)
    assert found.labels == tuple(model.vocabulary[i] for i in wanted)
    assert found.before.token_ids("decoder") == [*model.tokenizer(text).input_ids, *wanted]


@pytest.mark.parametrize("name", ["t5", "bart", "gpt2", "llama"])
def test_a_step_gives_the_probability_of_each_label_before_and_after(opened, name: str):
    model = opened(name)
    found = training_step(model, "the fox", "the cat sat", learning_rate=1e-3)
    assert len(found.probabilities) == len(found.labels)
    for which, loss in enumerate((found.loss_before, found.loss_after)):
        p = torch.tensor([pair[which] for pair in found.probabilities], dtype=torch.float64)
        assert -p.log().mean().item() == pytest.approx(loss, rel=1e-4)
    rows = found.before.logits.double().softmax(-1)
    first = 0 if model.task == "seq2seq" else len(model.tokenizer("the fox").input_ids) - 1
    at = model.vocabulary.index(found.labels[0])
    assert found.probabilities[0][0] == pytest.approx(rows[first, at].item(), rel=1e-9)
