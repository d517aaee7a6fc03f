"""What the small families are trained on: texts of the grammar, and each objective against what its paper says."""

from __future__ import annotations

import dataclasses
import random
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch

from model.errors import UnknownOption
from model.errors.training import ModelThere
from model.training.language.grammar import split_of
from model.training.language.texts import SUMMARIES, Text, TextSampler, of_plans, texts, written

transformers = pytest.importorskip("transformers")

from model.small_families import denoising, permutation, spans  # noqa: E402
from model.small_families.masked import SHARE, MaskedWords  # noqa: E402
from model.small_families.next_word import NextWord  # noqa: E402
from model.small_families.registry import SMALL, small_family  # noqa: E402
from model.small_families.tokenizer import train_tokenizer  # noqa: E402


@pytest.fixture(scope="module")
def found() -> list[Text]:
    return list(islice(texts(0, "train"), 400))


@pytest.fixture(scope="module")
def tokenizers(found: list[Text]) -> dict[str, object]:
    names = ("small-bert", "small-gpt2", "small-t5", "small-bart", "small-xlnet")
    return {name: train_tokenizer(SMALL[name], [text.text for text in found]) for name in names}


def test_the_texts_that_everybody_knows_are_texts_of_the_grammar():
    leap = TextSampler(0, "en", {"leap": 1})
    leaps = {leap.text().text for _ in range(2_000)}
    assert "the quick brown fox jumps over the lazy dog." in leaps
    where = TextSampler(0, "en", {"question": 1})
    asked = [plan for plan in (where._where()[1] for _ in range(3_000)) if not plan.thing.adjectives]
    assert {"the cat"} <= {f"{plan.thing.determiner} {plan.thing.noun}" for plan in asked}
    assert {"on the mat"} <= {f"{plan.place.preposition} the {plan.place.noun}" for plan in asked}
    tales = list(islice(texts(0, "train", "en", {"tale": 1}), 50))
    assert all(tale.text.startswith("once upon a time there was a") for tale in tales)


def test_splits_have_no_text_in_common_and_are_told_by_the_words():
    split = {name: list(islice(texts(7, name), 150)) for name in ("train", "validation", "test")}
    keys = {name: {" ".join(sorted(text.key)) for text in found} for name, found in split.items()}
    assert not keys["train"] & (keys["test"] | keys["validation"]) and not keys["test"] & keys["validation"]
    assert all(split_of(text.key) == name for name, found in split.items() for text in found)


def test_a_question_has_its_answer_in_all_three_languages():
    for language, stops in (("en", "?."), ("zh", "？。"), ("fr", "?.")):
        for text in islice(texts(3, "train", language, {"question": 1}), 30):
            assert [sentence[-1] for sentence in text.sentences] == list(stops)
    assert written(("c'", "est", "l'", "homme", "."), "fr") == "c'est l'homme."
    assert written(("猫", "在", "哪里", "？"), "zh") == "猫在哪里？"


def test_a_summary_has_every_word_of_content_once():
    """Written again from the long text: what is said of a noun afterwards stands before it, and no word is lost or new."""
    for text in islice(texts(1, "train", "en", SUMMARIES), 200):
        first, *rest = (sentence.rstrip(".").split() for sentence in text.sentences)
        short = text.summary.rstrip(".").split()
        said = {(words[1], words[-1]) for words in rest}
        for noun, quality in said:
            at = short.index(quality)
            assert noun in short[at + 1 : at + 3]
        left = [word for word in short if word not in {quality for _, quality in said}]
        assert [word.replace("an", "a") if word == "an" else word for word in left] == [
            "a" if word == "an" else word for word in first
        ]


def test_plans_in_a_language_are_one_text():
    plan = next(iter(TextSampler(5, "en", {"question": 1})._where() for _ in range(1)))
    text = of_plans("question", plan)
    assert text.text == " ".join(text.sentences) and "?" in text.sentences[0]


@pytest.mark.parametrize("length", [2, 3, 10, 60])
def test_spans_left_out_and_their_sentinels_make_the_text_again(length: int):
    ids, sentinels = list(range(100, 100 + length)), list(range(16))
    for seed in range(30):
        read, wanted = spans.corrupted(ids, sentinels, random.Random(seed))
        parts, at = {}, None
        for number in wanted:
            if number in sentinels:
                at = number
                parts[at] = []
            else:
                parts[at].append(number)
        last = list(parts)[-1]
        assert parts.pop(last) == [] and list(parts) == sentinels[: len(parts)]  # figure 2: one more at the end
        assert [n for number in read for n in (parts[number] if number in sentinels else [number])] == ids
        noise = sum(map(len, parts.values()))
        assert noise == min(max(round(0.15 * length), 1), length - 1)
        assert len(parts) == max(round(noise / 3), 1)


def test_spans_that_become_a_mask_leave_the_rest_in_order():
    for seed in range(200):
        ids = list(range(10, 10 + 5 + seed % 40))
        damaged = denoising.infilled(ids, 0, random.Random(seed))
        kept = [number for number in damaged if number]
        assert kept == sorted(kept) and set(kept) <= set(ids)
        assert not any(a == b == 0 for a, b in pairwise(damaged))
        gone = len(ids) - len(kept)
        assert gone <= round(0.3 * len(ids)) and 0 in damaged


def test_span_lengths_are_poisson():
    draw = random.Random(0)
    found = torch.tensor([denoising.poisson(3.0, draw) for _ in range(20_000)]).double()
    assert abs(float(found.mean()) - 3) < 0.06 and abs(float(found.var()) - 3) < 0.15  # five standard errors


def test_masked_words_are_three_in_ten_and_the_rest_is_not_asked(found: list[Text], tokenizers: dict):
    tokenizer, objective = tokenizers["small-bert"], MaskedWords()
    rows = objective.rows(tokenizer, found)
    batch = objective.collator(tokenizer, 1)(rows)
    again = objective.collator(tokenizer, 1)(rows)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    plain = torch.tensor(
        [[*row["input_ids"], *[0] * (batch["labels"].shape[1] - len(row["input_ids"]))] for row in rows]
    )
    asked = batch["labels"] != -100
    special = torch.isin(plain, torch.tensor(tokenizer.all_special_ids))
    assert torch.equal(batch["labels"][asked], plain[asked]) and not (asked & special).any()
    share = float(asked.sum() / (~special).sum())
    assert abs(share - SHARE) < 0.04
    masked = batch["input_ids"][asked] == tokenizer.mask_token_id
    assert abs(float(masked.float().mean()) - 0.8) < 0.05
    assert torch.equal(batch["input_ids"][~asked], plain[~asked])


def test_rows_of_the_next_word_are_whole_texts_until_they_are_full(found: list[Text], tokenizers: dict):
    tokenizer, objective = tokenizers["small-gpt2"], NextWord(32)
    rows = objective.rows(tokenizer, found)
    assert {len(row) for row in rows} == {32}
    firsts = {tokenizer(text.text)["input_ids"][0] for text in found}
    assert {row[0] for row in rows} <= firsts
    batch = objective.collator(tokenizer, 0)(rows[:4])
    assert torch.equal(batch["input_ids"], batch["labels"])


def test_sentences_come_in_another_order_and_the_target_is_the_text(found: list[Text], tokenizers: dict):
    tokenizer, objective = tokenizers["small-bart"], denoising.Denoising()
    batch = objective.collator(tokenizer, 0)(objective.rows(tokenizer, found[:50]))
    for text, label in zip(found, batch["labels"].tolist(), strict=False):
        assert tokenizer.decode([n for n in label if n != -100], skip_special_tokens=True) == text.text


def test_a_target_of_permutation_sees_the_earlier_targets_and_never_itself(found: list[Text], tokenizers: dict):
    """By the logits: another token at a target changes those of later targets alone, and no earlier or own one."""
    tokenizer, objective = tokenizers["small-xlnet"], permutation.Permutation()
    rows = [row for row in objective.rows(tokenizer, found) if len(row) == 14][:1]
    batch = objective.collator(tokenizer, 3)(rows)
    config = transformers.XLNetConfig(
        vocab_size=len(tokenizer), d_model=16, n_layer=2, n_head=2, d_inner=32, dropout=0.0
    )
    torch.manual_seed(0)
    module = transformers.XLNetLMHeadModel(config).eval()  # what is masked has a weight of 0, in any precision
    inputs = dict(batch)
    labels = inputs.pop("labels")[0]
    targets = (labels != -100).nonzero().flatten().tolist()
    assert len(targets) >= 3 and torch.equal(inputs["input_ids"][0][targets], labels[targets])
    with torch.no_grad():
        before = module(**inputs).logits[0]
        seen = {}
        for target in targets:
            changed = inputs["input_ids"].clone()
            changed[0, target] = (changed[0, target] + 7) % len(tokenizer)
            after = module(**(inputs | {"input_ids": changed})).logits[0]
            seen[target] = {at for at in targets if not torch.equal(before[at], after[at])}
    order = sorted(targets, key=lambda at: -len(seen[at]))  # the first of the order is seen by all others
    for i, target in enumerate(order):
        assert target not in seen[target] and seen[target] <= set(order[i + 1 :])
    assert len(seen[order[0]]) >= 1


def test_a_name_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(UnknownOption, match="small-xlnet"):
        small_family("small-llama")


def test_the_loop_lowers_the_loss_and_gives_the_same_numbers_again(tmp_path: Path):
    from model.small_families.train import trained

    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32}
    family = dataclasses.replace(SMALL["small-gpt2"], sizes=sizes, objective=NextWord(32), batch=8, peak=1e-2)
    runs = [trained(family, 12, 3, texts=300) for _ in range(2)]
    first, last = runs[0][2].points[0], runs[0][2].points[-1]
    assert last[2] < first[2] - 0.3
    assert runs[0][2].points == runs[1][2].points
    for one, other in zip(runs[0][0].parameters(), runs[1][0].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["small-bert", "small-t5", "small-xlnet"])
def test_what_training_writes_opens_and_says_what_it_is(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    from model import open_model
    from model.checkpoints.disk.card import card_of
    from model.small_families import heads, scores, train

    monkeypatch.setattr(train, "small_family", lambda _: dataclasses.replace(SMALL[name], batch=8, texts=300))
    monkeypatch.setattr(scores, "COUNT", 20)
    monkeypatch.setattr(train, "scored", lambda *given: {})
    monkeypatch.setattr(heads, "TEXTS", 2)
    told = train.train(name, tmp_path / name, steps=2, progress=False)
    assert "held-out loss" in told
    model = open_model(tmp_path / name)
    assert model.opening is not None and model.opening.holds
    card = card_of(tmp_path / name)
    assert card["steps"] == 2 and card["command"] == f"python -m model train {name} --steps 2"
    assert card["head"][0] in {str(site) for site in model.trace(card["examples"][0]).sites}
    (tmp_path / name / "mine.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(ModelThere):
        train.train(name, tmp_path / name, steps=1, progress=False)
    train.train(name, tmp_path / name, steps=1, progress=False, replace=True)
    assert card_of(tmp_path / name)["steps"] == 1 and (tmp_path / name / "mine.txt").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
