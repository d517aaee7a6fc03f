"""The page Evaluate for each kind of model: its own held-out examples, the language of a file, the row of a worst token."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from model import evaluate, open_model
from model.lab.runs import start, status
from model.small_families.registry import SMALL
from model.small_families.scores import held_out_examples
from model.training.tasks.registry import held_out
from tests.app.visit import Visit
from tests.viz.test_numbers import read
from viz.ui.models import lab_models
from viz.ui.state import model_list

SIZES = {"d_model": 16, "heads": 2, "d_ff": 16, "train_size": 100}


@pytest.fixture(autouse=True)
def looked_for_anew() -> None:
    model_list.found.clear()
    lab_models._finished.clear()


def captions(seen: Visit) -> str:
    return "\n".join(caption.value for caption in seen.at.caption)


def first_row(seen: Visit) -> dict[str, str]:
    return {name: column[0] for name, column in seen.at.dataframe[0].value.items()}


def test_a_small_family_is_scored_on_what_its_card_is_of() -> None:
    seen = Visit("evaluate", straight=True, model="small-gpt2").sound()
    model = open_model("small-gpt2")
    _, count = held_out_examples(SMALL["small-gpt2"], model.tokenizer)
    assert seen.say("evaluate.sample_whole_card", loss="1.006", n=count) in captions(seen)
    seen.click("evaluate-go").sound()
    told = first_row(seen)
    assert told[seen.say("evaluate.examples")] == str(count)
    assert read(told[seen.say("evaluate.loss")]) == pytest.approx(model.card["loss"], abs=1e-3)


def test_the_language_is_the_references_and_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    pairs = [(" ".join(one.source), " ".join(one.target)) for one in held_out("translate", "fr", 12)]
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), "utf-8")
    seen = Visit("evaluate", straight=True, to="zh", tab="evaluate_from.path").sound()
    assert any("--model translate --data pairs.tsv" in code.value for code in seen.at.code)
    seen.at.text_input(key="evaluate-path").set_value(str(path)).run()
    seen.click("evaluate-go").sound()
    assert first_row(seen)[seen.say("evaluate.writes")] == seen.say("language.fr")
    found = evaluate(open_model("translate"), pairs, language="fr")
    assert read(first_row(seen)["BLEU"]) == pytest.approx(found.translation.bleu, abs=0.05)
    assert seen.say("language.zh") in captions(seen)  # what the other one would have cost
    seen.at.selectbox(key="evaluate-language@translate").set_value("zh").run()
    seen.click("evaluate-go").sound()
    assert first_row(seen)[seen.say("evaluate.writes")] == seen.say("language.zh")


def test_the_row_of_the_worst_token_is_selected() -> None:
    seen = Visit("evaluate", straight=True, to="fr").sound()
    pairs = [(" ".join(one.source), " ".join(one.target)) for one in held_out("translate", "fr", 300)]
    worst = evaluate(open_model("translate"), pairs, language="fr").worst(1)[0]
    row = worst.losses.index(max(worst.losses))
    seen.click("evaluate-open-0").sound()
    assert seen.view.site.startswith("decoder") and seen.view.row == row
    trace = open_model("translate").trace(worst.source, worst.target, language="fr")
    assert seen.view.column == int(trace.row(seen.view.site, seen.view.head, row).argmax())
    following = [*trace.tokens("decoder")[1:], "</s>"]
    assert following[row] == worst.tokens[row]


@pytest.mark.parametrize("name", ["small-gpt2", "small-bert", "induction"])
def test_the_row_of_the_worst_token_of_one_stack(name: str) -> None:
    seen = Visit("evaluate", straight=True, model=name).sound()
    seen.click("evaluate-go").sound()
    model = open_model(name)
    seen.click("evaluate-open-0").sound()
    trace = model.trace(seen.view.text)
    stack = "encoder" if name == "small-bert" else "decoder"
    from model.data_files.read import Line
    from model.evaluation.by_model import scorer_of

    scorer = scorer_of(model)
    (found,) = scorer.score([scorer.read(Line(1, seen.view.text))])
    token = found.tokens[found.losses.index(max(found.losses))]
    shown = trace.tokens(stack)
    assert (shown[seen.view.row] if name == "small-bert" else [*shown, "</s>"][seen.view.row + 1]) == token


def test_a_run_of_the_lab_is_listed_and_has_its_own_test_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_LAB", str(tmp_path / "lab"))
    data = tmp_path / "mine.tsv"
    data.write_text("".join(f"w{i} w{i % 7} b\tv{i % 7} v{i}\n" for i in range(60)), "utf-8")
    sizes = {name: value for name, value in SIZES.items() if name != "train_size"}
    folder = start("parallel", sizes | {"data": str(data), "steps": 5, "max_length": 12})
    while not status(folder).is_over:
        time.sleep(0.05)
    assert status(folder).state == "finished"
    lab_models._finished.clear()
    seen = Visit("evaluate", straight=True)
    assert seen.at.multiselect(key="evaluate-others").options[-1] == "parallel-1"
    assert any(button.key == f"open-{folder}" for button in Visit("models", straight=True).sound().at.button)
    seen = Visit("evaluate", straight=True, model=str(folder)).sound()
    lines = data.read_text("utf-8").splitlines()
    from model.training.options import of_folder
    from model.training.run_files.folder import run_of
    from model.training.tasks.registry import TASKS

    test = TASKS["parallel"].data(of_folder(folder, run_of(folder)["options"])).test["target"]
    assert first_row(seen)[seen.say("evaluate.examples")] == str(len(test)) and len(test) < len(lines)
    assert seen.say("evaluate.sample_run", n=f"{len(test):,}") in captions(seen)


def test_pairs_are_typed_with_a_bar_and_the_saved_model_opens(tmp_path: Path) -> None:
    seen = Visit("evaluate", straight=True, tab="evaluate.tune", to="fr").sound()
    assert " | " in seen.at.text_area[-1].value and "\t" not in seen.at.text_area[-1].value
    seen.at.text_area[-1].set_value(
        "I like cats | elle lui a donné une pomme rouge\nshe gave him a red apple => elle lui a donné une pomme rouge"
    ).run()
    seen.click("tune-go").sound()
    table = seen.at.table[0].value
    assert list(table[seen.say("evaluate.wanted")]) == ["elle lui a donné une pomme rouge"] * 2
    assert list(table[seen.say("evaluate.after")]) == list(table[seen.say("evaluate.wanted")])
    assert "ln |V| = 7.048" in captions(seen)
    seen.at.text_input(key="tune-folder").set_value(str(tmp_path / "tuned")).run()
    seen.click("tune-save").sound()
    seen.click("tune-open").sound()
    assert (
        seen.view.model == str(tmp_path / "tuned") and seen.at.title[0].value == seen.say("heads.title")
    ) or seen.figures()
