"""The shared side bar: what changes on the page when each of its controls is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.checkpoints.disk.shipped import shipped
from tests import bounds
from tests.app.visit import PAGES
from viz.ui.language import catalogue
from viz.ui.state import model_list


def source(seen) -> list[str]:
    return [token["text"] for token in seen.figure("overview")[0]["source"]]


def test_a_new_sentence_is_run(visit, translator) -> None:
    seen = visit(to="zh").set("text", "the cat sat on the mat").sound()
    trace = translator.trace("the cat sat on the mat", language="zh")
    header, _ = seen.figure("overview")
    assert source(seen) == ["the", "cat", "sat", "on", "the", "mat"]
    assert [token["text"] for token in header["shifted"]] == trace.tokens("decoder")
    assert seen.link["text"] == "the cat sat on the mat"


@pytest.mark.parametrize("number", range(len(shipped()["translate"]["examples"])))
def test_every_example_is_run_by_its_button(visit, translator, number: int) -> None:
    seen = visit(text="she gave him a red apple").click(f"example-{number}").sound()
    assert seen.view.text == translator.examples[number]
    assert source(seen) == translator.trace(translator.examples[number]).tokens("encoder")


def test_an_example_releases_the_forced_target(visit) -> None:
    seen = visit(target="我").click("example-1").sound()
    assert seen.view.target == "" and "target" not in seen.link


def test_the_output_language_changes_the_output(visit, translator) -> None:
    seen = visit(text="I like cats", to="zh")
    before = seen.figure("overview")[0]["shifted"]
    seen.set("to", "fr").sound()
    after = seen.figure("overview")[0]["shifted"]
    assert [t["text"] for t in after] == translator.trace("I like cats", language="fr").tokens("decoder")
    assert before != after and seen.link["to"] == "fr"
    assert seen.set("to", "zh").figure("overview")[0]["shifted"] == before


def test_a_forced_target_is_read_by_the_decoder(visit, translator) -> None:
    words = translator.trace("I like cats", language="zh").written()[:-1][::-1]
    seen = visit(text="I like cats", to="zh").set("target", " ".join(words)).sound()
    assert [t["text"] for t in seen.figure("overview")[0]["shifted"]][1:] == words
    assert seen.say("note.forced") in [caption.value for caption in seen.at.caption]
    seen.set("target", "").sound()
    assert [t["text"] for t in seen.figure("overview")[0]["shifted"]][1:] == words[::-1]


def test_switching_the_model_runs_its_own_example_and_back(visit) -> None:
    seen = visit("heads", head=3, site="encoder.1.self")
    for name in ("dates", "translate"):
        seen.set("model", name).sound()
        assert seen.view.model == name and seen.view.text == shipped()[name]["examples"][0]
        header, arrays = seen.figure("matrix")
        assert arrays["values"].shape == (len(header["rows"]), len(header["columns"]))
        np.testing.assert_allclose(arrays["values"].sum(-1), 1, atol=bounds.WEIGHT)
    assert seen.link["model"] == "translate"


def test_a_model_with_one_output_language_has_no_picker(visit) -> None:
    seen = visit(model="dates").sound()
    assert not [w for w in seen.at.get("button_group") if (w.key or "").startswith("to-")]


@pytest.mark.parametrize("page", PAGES)
def test_the_language_switch_keeps_page_and_selection(visit, page: str) -> None:
    link = {"text": "the cat sat on the mat", "to": "fr", "site": "encoder.1.self", "head": 2, "q": 3, "k": 1}
    seen = visit(page, **link)
    before = seen.view
    seen.set("ui_language", "zh").sound()
    title = "headline" if page == "overview" else page
    assert [t.value for t in seen.at.title] == [catalogue("zh")[f"{title}.title"]]
    assert seen.view == before and seen.link["lang"] == "zh"
    seen.set("ui_language", "en").sound()
    assert seen.view == before and seen.link["lang"] == "en"


def test_labels_and_options_follow_the_language(visit) -> None:
    seen = visit("heads", site="encoder.0.self").set("ui_language", "zh")
    (picker,) = [w for w in seen.at.selectbox if w.key == "site-zh"]
    assert picker.label == catalogue("zh")["pick.site"] and picker.value == "encoder.0.self"
    assert all(catalogue("zh")["site.encoder"] in o or catalogue("zh")["site.decoder"] in o for o in picker.options)


def test_no_example_has_a_gap_for_a_model_that_fills_none(visit, models: Path) -> None:
    for name, gap in (("bert", True), ("classifier", False)):
        seen = visit(model=name).sound()
        assert any("[MASK]" in button.label for button in seen.at.button) == gap, name


def test_every_model_is_asked_for_its_name_once_for_the_list(
    visit, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of many models, several of them of one name, is as long to write as it is long."""
    seen = visit("heads").sound()
    asked: list[str] = []
    inside = model_list.described
    monkeypatch.setattr(model_list, "described", lambda name: asked.append(name) or inside(name))
    seen.at.run()
    (box,) = [one for one in seen.sound().at.selectbox if (one.key or "").split("@")[0] == "model-en"]
    names = [name for name in asked if asked.count(name) > 1]
    assert len(asked) >= len(box.options) - 2 > 5 and not names
