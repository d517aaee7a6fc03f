"""The Output page says what the model's head means: labels of tokens, probabilities that stand alone, a pooled vector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from model import open_model
from model.checkpoints.library import outputs
from tests import bounds
from tests.app.acting import put
from tests.app.visit import Visit
from tests.model.test_tasks import NAMES, headed

TEXT = "I like cats"
MANY = {"id2label": NAMES, "problem_type": "multi_label_classification"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the checkpoints of these tests alone, written once each."""
    return tmp_path_factory.mktemp("heads")


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return made


def page(visit, folder: Path, name: str, class_name: str, like: str = "bert", **config: object) -> Visit:
    if not (folder / name).is_dir():
        headed(folder / name, like, class_name, **config)
    return visit("output", model=str(folder / name), text=TEXT).sound()


def captions(seen: Visit) -> str:
    return "\n".join(caption.value for caption in seen.at.caption)


def test_the_label_of_each_token(visit, folder: Path) -> None:
    seen = page(visit, folder, "tagger", "BertForTokenClassification", id2label=NAMES)
    expected = open_model(folder / "tagger").trace(TEXT).facts["labels"]
    shown = seen.at.dataframe[0].value
    assert list(shown.iloc[:, 2]) == [name for name, _ in expected]
    np.testing.assert_allclose(shown.iloc[:, 3], [p for _, p in expected], atol=bounds.WEIGHT)
    headings = " ".join(markdown.value for markdown in seen.at.markdown)
    assert seen.say("output.tags") in headings and seen.say("output.next") not in headings


@pytest.mark.parametrize(("name", "config", "said"), [
    ("many", MANY, "output.singly"), ("score", {"num_labels": 1}, "output.scores"), ("one", {"id2label": NAMES}, None),
])  # fmt: skip
def test_classes_are_read_as_they_were_trained(visit, folder: Path, name: str, config: dict, said: str | None) -> None:
    seen = page(visit, folder, name, "BertForSequenceClassification", **config)
    expected = open_model(folder / name).trace(TEXT).facts["classes"]
    shown = seen.at.dataframe[0].value
    if name == "score":  # its only number has no name
        assert list(shown.columns) == [seen.say("output.score")]
    else:
        assert list(shown.iloc[:, 0]) == [label for label, _ in expected]
    assert [float(value) for value in shown.iloc[:, 0 if name == "score" else 1]] == pytest.approx(
        [n for _, n in expected], rel=2e-3, abs=2e-3
    )
    assert [key for key in ("output.singly", "output.scores") if seen.say(key) in captions(seen)] == [said] * bool(said)
    notice = seen.say("output.one.notice" if name == "score" else "output.alone.notice" if said else "output.notice")
    assert any(notice in markdown.value for markdown in seen.at.markdown)


def test_what_a_decoder_without_a_head_reads_is_said(visit, folder: Path) -> None:
    for name, class_name, made, key in (
        ("bare-bart", "BartModel", "bart", "input"),
        ("bare-t5", "T5Model", "t5", "start"),
    ):
        seen = page(visit, folder, name, class_name, made)
        assert seen.say(f"note.decoder_{key}") in captions(seen)
        assert seen.say("note.forced") not in captions(seen)


@pytest.mark.parametrize("how", ["cls", "mean"])
def test_the_pooling_of_the_folder_is_the_pages(visit, folder: Path, how: str) -> None:
    if not (folder / f"pooled-{how}").is_dir():
        headed(folder / f"pooled-{how}", "bert", "BertModel")
        (folder / f"pooled-{how}" / "1_Pooling").mkdir()
        told = json.dumps({"pooling_mode_cls_token": how == "cls", "pooling_mode_mean_tokens": how == "mean"})
        (folder / f"pooled-{how}" / "1_Pooling" / "config.json").write_text(told, encoding="utf-8")
    seen = page(visit, folder, f"pooled-{how}", "BertModel")
    (other,) = [box for box in seen.at.text_input if (box.key or "").startswith("other-")]
    other.set_value("The dog jumps")
    seen.at.run()
    model = open_model(folder / f"pooled-{how}")
    one, two = (outputs.sentence_vector(model.trace(text), how) for text in (TEXT, "The dog jumps"))
    assert float(seen.at.metric[0].value) == pytest.approx(float(one @ two), abs=5e-4)
    (formula,) = [latex.value for latex in seen.at.latex if "cos" in latex.value]
    assert ("x_1" in formula) == (how == "cls") and ("sum" in formula) == (how == "mean")
    assert any(said.startswith(seen.say(f"output.pool_{how}")) for said in captions(seen).split("\n"))
    texts = " ".join(markdown.value for markdown in seen.at.markdown)
    assert seen.say("output.vectors.notice") in texts and seen.say("output.notice") not in texts


def test_a_chat_is_continued_as_a_chat(visit, models: Path) -> None:
    chat = "hello\nI like cats\nhello"
    seen = visit("output", model="llama", text="hello")
    put(put(seen, "toggle", "chat", True), "text_area", "text", chat).sound()
    (draw,) = [button for button in seen.at.button if button.key == "sample-draw"]
    draw.click()
    seen.at.run()
    seen.sound()
    found = outputs.sample(open_model(models / "llama"), chat, 3, chat=True)
    (first, *_) = [caption for caption in captions(seen).split("\n") if "log p" in caption]
    assert seen.say("output.logp", p="\0", n=found[0].tokens).split("\0")[1] in first
    (look,) = [button for button in seen.at.button if button.key == "sample-look-0"]
    look.click()
    seen.at.run()
    assert seen.view.text == f"{chat}\n{' '.join(found[0].added.split())}" and seen.view.chat == 1


def test_the_vector_of_a_pair_is_said_to_be_the_first_texts(visit, models: Path) -> None:
    seen = visit("output", model="encoder", text=TEXT).sound()
    assert seen.say("output.first_alone") not in captions(seen)
    put(seen, "text_input", "pair", "The dog jumps").sound()
    assert seen.say("output.first_alone") in captions(seen)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_probability_of_a_continuation_says_before_what(visit, models: Path, language: str) -> None:
    seen = visit("output", model="gpt2", text=TEXT, lang=language).click("sample-draw").sound()
    (first, *_) = [caption for caption in captions(seen).split("\n") if "log p" in caption]
    assert "top-k" in first and "top-p" in first


def test_a_falling_loss_is_green_and_points_down(visit, models: Path) -> None:
    seen = visit("output", model="gpt2", text=TEXT).sound()
    seen.at.text_input(key="train-target").set_value("and dogs")
    seen.at.run()
    seen.click("train-step").sound()
    before, after = seen.at.metric[:2]
    assert float(after.value) < float(before.value) and after.delta.startswith("-")
    assert (after.proto.color, after.proto.direction) == (after.proto.GREEN, after.proto.DOWN)
