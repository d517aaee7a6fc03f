"""The word that is selected on one page is the selected position on the others, and what is of a model goes with it."""

from __future__ import annotations

import pytest

from tests.app.acting import pick
from viz.base import tokens

TEXT = "the cat sat on the mat"


@pytest.mark.parametrize("site", ["decoder.1.self", "decoder.1.cross"])
def test_output_and_the_block_follow_the_selected_word(visit, translator, site: str) -> None:
    trace = translator.trace(TEXT, language="zh")
    seen = visit("heads", text=TEXT, to="zh", site=site, head=1, q=1, k=0).sound()
    pick(seen, "matrix", {"row": 3, "column": 2})
    seen.go("output").sound()
    read, writes = tokens.labels(trace, "decoder")[3]["text"], tokens.readable(trace.written()[3])
    (at,) = [box for box in seen.at.selectbox if box.label == seen.say("output.at")]
    assert at.value == 3 and at.options[3] == f"3: {read} ▸ {writes}"
    assert seen.at.dataframe[0].value.iloc[0, 0] == tokens.readable(trace.written()[3])
    at.set_value(2).run()
    assert seen.sound().view.row == 2
    seen.go("block").sound()
    (token,) = [box for box in seen.at.selectbox if box.label == seen.say("block.token")]
    assert token.value == 2
    seen.go("steps").sound()
    assert seen.link["q"] == "2"


def test_without_a_selected_word_of_its_side_the_end_is_asked(visit, translator) -> None:
    seen = visit("output", text=TEXT, to="zh", site="encoder.0.self", head=0, q=2, k=1).sound()
    (at,) = [box for box in seen.at.selectbox if box.label == seen.say("output.at")]
    assert at.value == len(translator.trace(TEXT, language="zh").tokens("decoder")) - 1


def test_the_block_of_the_other_stack_shows_the_token_that_is_asked(visit) -> None:
    seen = visit("encoder_decoder", text=TEXT, to="zh", site="encoder.1.self", head=0, q=2, k=1).sound()
    assert seen.view.row == 2
    seen = visit(
        "positions", text=TEXT, to="zh", site="encoder.1.self", head=0, q=4, k=1, set="positions.rotary"
    ).sound()
    assert seen.view.row == 4


def test_picks_of_another_model_leave_the_link(visit, models) -> None:
    seen = visit("measures", text=TEXT, to="zh", picks="decoder.0.self.1,encoder.1.self.2").sound()
    seen.set("model", "gpt2").sound()
    assert seen.view.picks == "" and "picks" not in seen.link


def test_the_table_stays_the_same_when_heads_are_picked_elsewhere(visit) -> None:
    seen = visit("measures", text=TEXT, to="zh", picks="decoder.0.self.1").sound()
    before = seen.at.dataframe[0].proto.id
    seen.click("measures-unpick").sound()
    assert seen.at.dataframe[0].proto.id == before and not seen.at.dataframe[0].proto.selection_default
