"""The page Evaluate: its numbers are the evaluation's own, an example opens, what is odd is chosen, a stop goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import open_model
from model.data_files.read import DataFile
from model.evaluation import bootstrap
from model.evaluation.run import evaluate
from model.training.tasks.registry import held_out
from tests.app.visit import Visit
from tests.model import tiny
from tests.viz.test_numbers import read
from viz.ui.state import model_list

BROKEN = (
    "she gave him a red apple\telle lui a donné une pomme rouge\n\nI like cats\tj'aime les chats\n"
    "I like cats\tj'aime les chats\none column\nthe zebra sings\tle zèbre chante\n"
    "the cat sat on the mat\tle chat était assise sur le tapis\n"
)


@pytest.fixture(autouse=True)
def looked_for_anew() -> None:
    model_list.found.clear()


def typed(seen: Visit, path: Path) -> Visit:
    seen.at.text_input(key="evaluate-path").set_value(str(path)).run()
    return seen


def numbers_of(seen: Visit) -> dict[str, str]:
    """The first row of the table of numbers."""
    return {name: column[0] for name, column in seen.at.dataframe[0].value.items()}


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_held_out_sentences_are_scored_at_once(lang: str) -> None:
    seen = Visit("evaluate", straight=True, to="zh", lang=lang).sound()
    pairs = [(" ".join(one.source), " ".join(one.target)) for one in held_out("translate", "zh", 300)]
    found = evaluate(open_model("translate"), pairs, language="zh")
    told = numbers_of(seen)
    assert told[seen.say("evaluate.tokens")] == f"{found.tokens:,}"
    assert read(told[seen.say("evaluate.loss")]) == pytest.approx(found.loss, rel=2e-2)
    assert read(told["BLEU"]) == pytest.approx(found.translation.bleu, abs=0.05)
    assert any(found.translation.signature in caption.value for caption in seen.at.caption)
    guess = seen.say("evaluate.guess", v="1,151", loss="7.048")
    assert any(guess in caption.value for caption in seen.at.caption)
    places = f"{found.grammar_errors['places']:,}"
    assert any(places in text.value and "**" in text.value for text in seen.at.markdown)


def test_a_file_of_ones_own_and_an_example_that_opens(tmp_path: Path) -> None:
    path = tmp_path / "broken.tsv"
    path.write_text(BROKEN, "utf-8")
    seen = Visit("evaluate", straight=True, to="fr", tab="evaluate_from.path").sound()
    assert seen.at.info and not seen.at.dataframe
    typed(seen, path).sound()
    assert seen.at.expander[0].label == seen.say("evaluate.odd", n="3") and not seen.at.dataframe
    seen.click("evaluate-go").sound()
    told = numbers_of(seen)
    assert (
        told[seen.say("evaluate.examples")] == "3"
    )  # the empty, the double, the one-column and the unknown line are out
    seen.at.selectbox(key="evaluate-choice-duplicate").set_value("keep").run()
    seen.click("evaluate-go").sound()
    assert numbers_of(seen)[seen.say("evaluate.examples")] == "4"
    found = evaluate(open_model("translate"), [line for line in DataFile.open(path) if line.target], language="fr")
    worst = found.worst(1)[0]
    assert worst.line == 7 and any("assise" in html.proto.body for html in seen.at.get("html"))
    seen.click("evaluate-open-0")
    assert (seen.view.text, seen.view.target, seen.view.to) == (worst.source, worst.target, "fr")
    assert seen.at.title[0].value == seen.say("heads.title") or seen.figures()


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "zeros.tsv"
    path.write_bytes(b"a\0b\0\0\0c\n")
    seen = typed(Visit("evaluate", straight=True, tab="evaluate_from.path"), path)
    assert "zeros.tsv" in seen.complaint()
    typed(seen, tmp_path / "nowhere.tsv")
    assert "nowhere.tsv" in seen.complaint()


@pytest.mark.parametrize("fewest", [2, 3])
def test_two_models_are_one_table(fewest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With intervals where the examples are enough for them, else with the reason why there are none."""
    monkeypatch.setattr(bootstrap, "FEWEST", fewest)
    for name, seed in (("one", 0), ("two", 1)):
        tiny.write_checkpoint(tmp_path / "models" / name, seed=seed)
    (tmp_path / "pairs.tsv").write_text("the cat sat\t我 喜欢 猫\nI like dogs\t狗 。\n", "utf-8")
    monkeypatch.setenv("HEADLIGHT_MODELS", str(tmp_path / "models"))
    seen = typed(
        Visit("evaluate", straight=True, model="one", tab="evaluate_from.path"), tmp_path / "pairs.tsv"
    ).sound()
    seen.at.multiselect(key="evaluate-others").set_value(["two"]).run()
    seen.click("evaluate-go").sound()
    table = seen.at.dataframe[0].value
    file = DataFile.open(tmp_path / "pairs.tsv")
    for row, name in enumerate(("one", "two")):
        found = evaluate(open_model(tmp_path / "models" / name), file)
        loss = table[seen.say("evaluate.loss")][row]
        assert read(loss.split(" ")[0]) == pytest.approx(found.loss, rel=1e-3) and ("[" in loss) == (fewest == 2)
        assert (" p " in loss) == (fewest == 2 and bool(row))
    assert (seen.say("evaluate.no_intervals", n=2, fewest=3) in " ".join(one.value for one in seen.at.caption)) == (
        fewest == 3
    )


def test_a_few_steps_of_fine_tuning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_checkpoint(tmp_path / "models" / "one")
    monkeypatch.setenv("HEADLIGHT_MODELS", str(tmp_path / "models"))
    seen = Visit("evaluate", straight=True, model="one", tab="evaluate.tune").sound()
    seen.at.text_area[-1].set_value("the cat sat\t我 喜欢 猫\nI like dogs\t狗 。").run()
    seen.click("tune-go").sound()
    before, after, _ = (metric.value for metric in seen.at.metric)
    assert read(after) < read(before)
    assert len(seen.at.dataframe) == 1 and len(seen.at.table[0].value) == 2
    seen.at.text_input(key="tune-folder").set_value(str(tmp_path / "models" / "tuned")).run()
    seen.click("tune-save").sound()
    told = evaluate(
        open_model(tmp_path / "models" / "tuned"), [("the cat sat", "我 喜欢 猫"), ("I like dogs", "狗 。")]
    )
    assert read(after) == pytest.approx(told.loss, rel=1e-3)


def test_what_was_refused_is_said_as_long_as_it_stands_and_never_as_stopped(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("the cat sat\t我 喜欢 猫\nI like dogs\t狗 。\n", "utf-8")
    seen = typed(Visit("evaluate", straight=True, model="small-bert", tab="evaluate_from.path"), tmp_path / "pairs.tsv")
    seen.click("evaluate-go")
    for _ in range(2):
        (said,) = [error.value for error in seen.at.error]
        assert "2" in said and not seen.at.exception
        assert seen.say("evaluate.stopped", n="0") not in [one.value for one in seen.at.caption]
        seen.at.run()
