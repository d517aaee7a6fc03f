"""What a model in training writes: pieces that changed are marked, nothing else is, and no text is markup."""

from __future__ import annotations

import re

import pytest

from viz.text.written import changed, table

WORDS = {"given": "Given", "wanted": "Wanted", "wrote": "Written", "changed": "changed"}


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ("le chat dort", "le chien dort", ["chien"]),
        ("abc", "abd", ["d"]),
        ("abc", "abc", []),
        (None, "abc", []),
        ("", "ab", ["a", "b"]),
        ("le", "le chat", ["chat"]),
    ],
)
def test_what_changed_is_marked(before: str | None, now: str, new: list[str]) -> None:
    told = changed(before, now)
    assert [piece for piece, is_new in told if is_new] == new
    assert (" " if " " in now else "").join(piece for piece, _ in told) == now


def test_a_row_a_sentence_and_a_sign_where_it_is_right() -> None:
    probes = [
        {"given": "a<b>", "wanted": "x y", "written": "x y"},
        {"given": "c", "wanted": "z", "written": ""},
    ]
    told = table(probes, [probes[0] | {"written": "x q"}], WORDS, "light")
    assert told.count("<tr>") == 3 and told.count("✓") == 1 and "a&lt;b&gt;" in told and "∅" in told
    assert re.findall(r"<mark[^>]*>(.*?)</mark>", told) == ["y"]
