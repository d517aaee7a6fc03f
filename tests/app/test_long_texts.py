"""A text that no link holds: the link says so, the text comes back while the server has it, and else its loss is said."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers")

from tests.app.acting import put
from tests.app.visit import Visit
from viz.ui.state import long_texts

LONG = "the cat sat on the mat " * 134  # 3,082 characters


@pytest.fixture
def long(visit, models: Path, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """A session that looks at cell (118, 30) of a text of more characters than a link carries, shortened for speed."""
    monkeypatch.setattr(long_texts, "LONGEST", 600)
    long_texts._texts.clear()
    return visit("heads", model="gpt2", text=LONG[:700], site="decoder.1.self", head=1, q=118, k=30).sound()


def test_the_link_leaves_the_text_out_and_says_so(long: Visit) -> None:
    assert long.view.text == LONG[:700] and (long.view.row, long.view.column) == (118, 30)
    assert "text" not in long.link and long.link["site"] == "decoder.1.self"
    assert (long.link["q"], long.link["k"]) == ("118", "30")
    assert long.link["text_cut"].startswith("700.") and long.link["text_cut"].endswith(LONG[:37])
    said = long.say("note.long", texts=f"{long.say('long.text')} ({long.say('long.characters', n='700')})", most="600")
    assert said in [caption.value for caption in long.at.caption]
    put(long, "text_area", "text", "the cat").sound()
    assert {"text", "q", "k"} <= long.link.keys() and "text_cut" not in long.link
    assert said not in [caption.value for caption in long.at.caption]


def test_reload_and_back_find_the_text_again(long: Visit) -> None:
    link = long.link
    again = Visit("heads", **link).sound()
    assert again.view.text == LONG[:700] and again.link == link
    assert (again.view.row, again.view.column) == (118, 30)
    put(long, "text_area", "text", "the cat").sound()
    long.at.query_params.clear()
    long.at.query_params.update(link)
    long.at.run()
    assert long.sound().view.text == LONG[:700] and long.view.head == 1


def test_a_text_that_is_gone_is_named(long: Visit) -> None:
    link = long.link
    long_texts._texts.clear()
    again = Visit(**link)
    said = again.complaint()
    assert said.startswith(again.say("note.long_lost", texts="\0").split("\0")[0])
    assert again.say("long.text") in said and "700" in said and LONG[:37] in said
    assert again.view.model == "gpt2" and again.view.text != LONG[:700] and "text_cut" not in again.link
    assert (again.view.row, again.view.column) != (118, 30)  # a cell of the text that is gone
    again.at.run()
    again.sound()


@pytest.mark.parametrize("mark", ["", "x", "1.2.3", "9.0123456789abcdef.![](//x)", "9" * 30])
def test_a_mark_that_somebody_made_up_is_no_exception(visit, mark: str) -> None:
    seen = visit(text_cut=mark)
    assert not seen.at.exception and seen.figures() == ["overview"]
    assert not any("![" in warning.value for warning in seen.at.warning)


def test_old_long_texts_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "_KEPT_CHARACTERS", 10_000)
    long_texts._texts.clear()
    texts = [str(i) * 3000 for i in range(5)]
    marks = [long_texts.shortened({"text": text}) for text in texts]
    assert [bool(long_texts.restored(mark)[0]) for mark in marks] == [False, False, True, True, True]
    assert long_texts.restored(marks[4])[0] == {"text": texts[4]}
