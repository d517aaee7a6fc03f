"""Lines that are typed into a field: a source alone, or a pair with a tab, a bar or an arrow between."""

from __future__ import annotations

from model.data_files.read import Line
from model.data_files.typed import typed_lines


def test_a_bar_an_arrow_or_a_tab_stands_between() -> None:
    text = "a cat | un chat\n\na dog => un chien\n the mouse\tla souris \na|b\nx = y\na | b | c\n"
    assert typed_lines(text) == [
        Line(1, "a cat", "un chat"), Line(3, "a dog", "un chien"), Line(4, "the mouse", "la souris"), Line(5, "a|b"),
        Line(6, "x = y"), Line(7, "a", "b | c"),
    ]  # fmt: skip
