"""Answers, sentence pairs, choices and scores on the pages, as the record has them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("transformers")

from model import open_model
from tests import bounds
from tests.app.acting import put
from tests.app.visit import Visit
from tests.model.task_heads import ASKED, CHOICES, CONTEXT, headed
from viz.base import palette
from viz.ui.shared import figure_footer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the checkpoints of these tests alone, written once each."""
    return tmp_path_factory.mktemp("task-heads")


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return made


def opened(folder: Path, family: str, class_name: str, **config: object) -> str:
    if not (folder / class_name).is_dir():
        headed(folder / class_name, family, class_name, **config)
    return str(folder / class_name)


def captions(seen: Visit) -> str:
    return "\n".join(caption.value for caption in seen.at.caption)


def headings(seen: Visit) -> str:
    return " ".join(markdown.value for markdown in seen.at.markdown)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("family", "class_name"), [
    ("bert", "BertForQuestionAnswering"), ("gpt2", "GPT2ForQuestionAnswering"), ("bart", "BartForQuestionAnswering"),
])  # fmt: skip
def test_the_answer_is_listed_and_marked_in_its_text(
    visit, folder: Path, family: str, class_name: str, lang: str
) -> None:
    name = opened(folder, family, class_name)
    seen = visit("output", model=name, text=ASKED, pair=CONTEXT, lang=lang).sound()
    trace = open_model(name).trace(ASKED, pair=CONTEXT)
    spans = trace.facts["answers"]["spans"]
    answers, ends = (frame.value for frame in seen.at.dataframe[:2])
    assert list(answers.iloc[:, 0]) == [span["text"] for span in spans]
    assert list(answers.iloc[:, 1]) == [f"{span['start']} – {span['end']}" for span in spans]
    np.testing.assert_allclose(answers.iloc[:, 2], [span["probability"] for span in spans], atol=bounds.WEIGHT)
    for column, logits in ((2, "start_logits"), (3, "end_logits")):
        np.testing.assert_allclose(ends.iloc[:, column], trace.store[logits].double().softmax(-1), atol=bounds.WEIGHT)
    (text,) = [element.proto.body for element in seen.at.get("html") if "<mark" in element.proto.body]
    inside = text.split("<mark", 1)[1].split(">", 1)[1].split("</mark>")[0]
    letters = [c for c in inside.lower() if c.isalnum()]
    assert letters == [c for c in spans[0]["text"].lower() if c.isalnum()] and palette.sequential("light")[170] in text
    assert seen.say("output.answer") in headings(seen) and seen.say("output.answers.notice") in headings(seen)
    assert seen.say("output.answer_alone") not in captions(seen)


def test_a_question_without_a_context_says_so(visit, folder: Path) -> None:
    seen = visit("output", model=opened(folder, "bert", "BertForQuestionAnswering"), text=CONTEXT).sound()
    put(seen, "text_area", "pair", "").sound()
    assert seen.say("output.answer_alone") in captions(seen)


def test_a_task_of_two_texts_opens_with_two(visit, folder: Path) -> None:
    for class_name, key in (
        ("BertForQuestionAnswering", "question_answering"),
        ("BertForMultipleChoice", "multiple_choice"),
    ):
        seen = visit("output", model=opened(folder, "bert", class_name)).sound()
        assert seen.view.text and seen.view.pair
        assert seen.say(f"bar.pair_{key}") in [box.label for box in seen.at.text_area]
        assert not [box for box in seen.at.text_input if (box.key or "").startswith("pair-")]


@pytest.mark.parametrize(("family", "class_name", "how"), [
    ("bert", "BertForNextSentencePrediction", "next"), ("bert", "BertForPreTraining", "next"),
    ("albert", "AlbertForPreTraining", "order"),
])  # fmt: skip
def test_whether_the_second_text_follows(visit, folder: Path, family: str, class_name: str, how: str) -> None:
    name = opened(folder, family, class_name)
    seen = visit("output", model=name, text=CONTEXT, pair=ASKED).sound()
    names = [seen.say(f"output.{how}_{i}") for i in (0, 1)]
    (shown,) = [frame.value for frame in seen.at.dataframe if list(frame.value.iloc[:, 0]) == names]
    expected = open_model(name).trace(CONTEXT, pair=ASKED).facts["sentence_pairs"][how]
    np.testing.assert_allclose(shown.iloc[:, 1], expected, atol=bounds.WEIGHT)
    assert seen.say("output.one_text") not in captions(seen)
    assert (seen.say("output.gap") in headings(seen)) == class_name.endswith("PreTraining")
    assert seen.say("output.read_at", tokens="`[CLS]` (0)") in captions(seen)
    put(seen, "text_area" if how == "next" and "Next" in class_name else "text_input", "pair", "").sound()
    assert seen.say("output.one_text") in captions(seen)


def test_choices_are_given_a_line_each_and_any_is_looked_at(visit, folder: Path) -> None:
    name = opened(folder, "bert", "BertForMultipleChoice")
    seen = visit("output", model=name, text=ASKED, pair="\n".join(CHOICES)).sound()
    expected = open_model(name).trace(ASKED, pair="\n".join(CHOICES)).facts["choices"]
    shown = seen.at.dataframe[0].value
    assert list(shown.iloc[:, 0]) == list(CHOICES)
    assert [float(str(x).replace("−", "-")) for x in shown.iloc[:, 1]] == pytest.approx(
        [s for _, s, _ in expected], rel=2e-3
    )
    np.testing.assert_allclose(shown.iloc[:, 2], [p for *_, p in expected], atol=bounds.WEIGHT)
    best = max(expected, key=lambda row: row[1])[0]
    assert seen.say("output.choice_best", choice=f"`{best}`") in [markdown.value for markdown in seen.at.markdown]
    (look,) = [box for box in seen.at.selectbox if (box.key or "").startswith("choice-")]
    look.set_value(2)
    seen.at.run()
    assert seen.sound().view.pair.splitlines() == [CHOICES[2], CHOICES[0], CHOICES[1]]
    assert list(seen.at.dataframe[0].value.iloc[:, 0]) == [CHOICES[2], CHOICES[0], CHOICES[1]]
    put(seen, "text_area", "pair", CHOICES[1]).sound()
    assert seen.say("output.choice_alone") in captions(seen) and len(seen.at.dataframe[0].value.columns) == 2


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_choices_of_the_same_score_are_a_tie(visit, folder: Path, lang: str) -> None:
    name = opened(folder, "bert", "BertForMultipleChoice")
    expected = open_model(name).trace(ASKED, pair="\n".join(CHOICES)).facts["choices"]
    best, worst = (end(expected, key=lambda row: row[1])[0] for end in (max, min))
    seen = visit("output", model=name, text=ASKED, pair=f"{best}\n{worst}\n{best}", lang=lang).sound()
    tie = seen.say("error.comma").join([f"`{best}`"] * 2)
    assert seen.say("output.choice_tied", choices=tie) in [markdown.value for markdown in seen.at.markdown]
    assert seen.say("output.choice_best", choice=f"`{best}`") not in headings(seen)


def test_a_reward_is_a_score_with_its_token(visit, folder: Path) -> None:
    name = opened(folder, "llama", "LlamaForSequenceClassification", num_labels=1)
    seen = visit("output", model=name, text=CONTEXT).sound()
    trace = open_model(name).trace(CONTEXT)
    shown = seen.at.dataframe[0].value
    assert list(shown.columns) == [seen.say("output.score")]  # LABEL_0 is no name
    assert float(shown.iloc[0, 0].replace("−", "-")) == pytest.approx(trace.facts["scores"][0], rel=2e-3)
    last = len(trace.tokens("decoder")) - 1
    assert seen.say("output.read_at", tokens=f"`{trace.tokens('decoder')[last]}` ({last})") in captions(seen)
    assert seen.say("output.one_score") in headings(seen) and seen.say("output.one.notice") in headings(seen)
    header, _ = visit("overview", model=name, text=CONTEXT).sound().figure("overview")
    (bar,) = header["next"]["bars"]
    assert bar["probability"] == 0 and float(bar["score"].replace("−", "-")) == pytest.approx(
        trace.facts["scores"][0], rel=1e-2
    )


def test_a_cross_encoder_has_a_score_and_its_sigmoid(visit, folder: Path) -> None:
    told = {"activation_fn": "torch.nn.modules.activation.Sigmoid"}
    name = opened(folder, "bert", "BertForSequenceClassification", num_labels=1, sentence_transformers=told)
    seen = visit("output", model=name, text=ASKED, pair=CONTEXT).sound()
    facts = open_model(name).trace(ASKED, pair=CONTEXT).facts
    shown = seen.at.dataframe[0].value
    assert float(shown.iloc[0, 0].replace("−", "-")) == pytest.approx(facts["scores"][0], rel=2e-3)
    assert shown.iloc[0, 1] == pytest.approx(facts["classes"][0][1], abs=bounds.WEIGHT)
    assert seen.say("output.score_sigmoid") in captions(seen)


HEADS = [
    ("BertForMultipleChoice", {}, "output-choices", "choices", ["choice", "score", "probability"]),
    ("BertForNextSentencePrediction", {}, "output-pair-next", "sentence_pairs", ["class", "probability"]),
    ("RobertaForSequenceClassification", {"num_labels": 3}, "output-classes", "classes", ["class", "probability"]),
    ("BertForTokenClassification", {}, "output-labels", "labels", ["position", "token", "label", "probability"]),
    ("ElectraForPreTraining", {}, "output-replaced", "replaced", ["position", "token", "probability"]),
]


@pytest.mark.parametrize(("class_name", "config", "name", "fact", "columns"), HEADS, ids=lambda value: str(value)[:30])
def test_every_table_says_how_it_checks_and_gives_its_numbers_and_code(
    visit, folder: Path, monkeypatch, class_name: str, config: dict, name: str, fact: str, columns: list[str]
) -> None:
    family = class_name.partition("For")[0].lower()
    drawn: dict[str, tuple] = {}
    real = figure_footer.draw

    def draw(name, sentence, check, files, figure=None, code=()):
        drawn[name] = check, figure_footer.made(name, check, files)[0], code
        real(name, sentence, check, files, figure, code)

    monkeypatch.setattr(figure_footer, "draw", draw)
    model = opened(folder, family, class_name, **config)
    pair = "\n".join(CHOICES) if "Choice" in class_name else "and the dog ran"
    visit("output", model=model, text=ASKED, pair=pair).sound()
    check, files, code = drawn[name]
    assert "✓ logits" in check.text and code
    (table,) = [make() for file, make in files.items() if file.endswith(".csv")]
    saved = pd.read_csv(io.BytesIO(table), encoding="utf-8-sig", keep_default_na=False)
    assert list(saved.columns) == [*columns, "check"] and set(saved["check"]) == {check.text}
    facts = open_model(model).trace(ASKED, pair=pair).facts[fact]
    rows = facts["next"] if isinstance(facts, dict) else [row[-1] if isinstance(row, list) else row for row in facts]
    np.testing.assert_allclose(saved["probability"], rows, rtol=1e-6)


def test_the_first_screen_names_what_the_head_says(visit, folder: Path) -> None:
    for class_name, key in (("BertForQuestionAnswering", "answer"), ("BertForNextSentencePrediction", "pair_next"),
                            ("BertForMultipleChoice", "choices")):  # fmt: skip
        seen = visit("overview", model=opened(folder, "bert", class_name)).sound()
        header, _ = seen.figure("overview")
        assert header["next"]["title"] == seen.say(f"overview.{key}") and header["next"]["bars"]
        assert all(0 < bar["probability"] <= 1 for bar in header["next"]["bars"])


def test_a_checkpoint_without_a_head_says_so_and_one_not_shown_is_named(visit, folder: Path) -> None:
    name = opened(folder, "bert", "BertModel")
    assert visit("output", model=name, text=CONTEXT).sound().say("output.no_head") in captions(
        visit("output", model=name, text=CONTEXT)
    )
    other = Path(opened(folder, "bert", "BertForQuestionAnswering")).with_name("unknown")
    if not other.is_dir():
        headed(other, "bert", "BertForQuestionAnswering")
        config = other / "config.json"
        config.write_text(config.read_text().replace('"BertForQuestionAnswering"', '"BertForSomethingElse"'))
    seen = visit("output", model=str(other), text=CONTEXT)
    assert seen.say("note.head", name="`BertForSomethingElse`") in captions(seen)
    assert seen.say("output.no_head") not in captions(seen)
