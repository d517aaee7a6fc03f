"""A text longer than its model reads: its start at a press, said afterwards, and the whole text again at another."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers")

from model import open_model
from tests.app.acting import put

LONG = "The cat sat on the mat. Unbelievable animals crossed the street! " * 12


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_first_tokens_are_read_and_the_whole_text_comes_back(visit, models: Path, language: str) -> None:
    own = open_model(models / "bert")
    whole = own.encode(LONG).inputs["input_ids"][0].tolist()
    seen = visit("heads", model="bert", text="the cat", lang=language).sound()
    put(seen, "text_area", "text", LONG)
    assert seen.complaint() == seen.say("error.text_too_long", got=len(whole), allowed=64) and seen.view.text == LONG
    assert [b.label for b in seen.at.button if b.key == "shortened-use"] == [seen.say("shortened.use", n=64)]
    seen.click("shortened-use").sound()
    start = seen.view.text
    assert LONG.startswith(start) and len(start) < len(LONG)
    assert own.encode(start).inputs["input_ids"][0].tolist() == [*whole[:63], whole[-1]]
    assert len(seen.figure("matrix")[0]["rows"]) == 64
    said = seen.say("shortened.told", n=64, of=len(whole), characters=len(start), all=len(LONG))
    assert said in [caption.value for caption in seen.at.caption]
    assert said in [caption.value for caption in seen.go("measures").at.caption]
    seen.click("shortened-back")
    assert seen.view.text == LONG and seen.complaint().endswith(
        seen.say("error.text_too_long", got=len(whole), allowed=64)
    )
    put(seen, "text_area", "text", "the mat").sound()
    assert not [button for button in seen.at.button if (button.key or "").startswith("shortened")]


def test_a_second_text_and_its_tokens_are_counted(visit, models: Path) -> None:
    seen = visit("heads", model="bert", text=LONG, pair="the street")
    seen.click("shortened-use").sound()
    assert len(seen.figure("matrix")[0]["rows"]) == 64 and seen.view.pair == "the street"


def test_our_own_model_and_an_output_that_is_too_long(visit) -> None:
    seen = visit("heads", text="the cat sat on the mat and " * 20)
    seen.click("shortened-use").sound()
    assert len(seen.figure("matrix")[0]["columns"]) in (100,) and seen.view.text.endswith("the cat")
    seen = visit("heads", text="the cat sat", target="我 " * 200)
    assert seen.complaint() and not [button for button in seen.at.button if button.key == "shortened-use"]
