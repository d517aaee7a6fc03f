"""What cannot be read is answered in one sentence that names it, and the last good picture stays."""

from __future__ import annotations

import pytest

GOOD = "the cat sat on the mat"
BAD = {
    "empty": ("", "error.empty_text"),
    "spaces": ("   ", "error.empty_text"),
    "an unknown word": ("I like catz", "error.unknown_words"),
    "ten thousand words": ("cat " * 10_000, "error.text_too_long"),
    "emoji": ("I like 🐱", "error.unknown_words"),
    "right to left": ("أحب القطط", "error.unknown_words"),
    "control characters": ("I like\x00 cats\x07", "error.unknown_words"),
    "markup": ("</script><b>x", "error.unknown_words"),
    "Chinese": ("我喜欢猫", "error.unknown_words"),
    "one endless word": ("a" * 10_000, "error.unknown_words"),
    "Markdown": ("# I **like** [cats](http://x)", "error.unknown_words"),
}


def start_of(seen, key: str) -> str:
    return seen.say(key, words="\0", got="\0", allowed="\0").split("\0")[0]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_sentence_is_explained_and_the_picture_stays(visit, name: str, language: str) -> None:
    text, key = BAD[name]
    seen = visit(text=GOOD, lang=language)
    before = seen.figure("overview")
    seen.set("text", text)
    said = seen.complaint()
    assert said.startswith(start_of(seen, key)) and len(said) < 700
    header, arrays = seen.figure("overview")
    assert header["source_text"] == GOOD and header["selection"] == before[0]["selection"]
    assert arrays.keys() == before[1].keys()
    assert any(GOOD in caption.value for caption in seen.at.caption)
    for page in ("heads", "steps"):
        assert seen.go(page).complaint() == said
    seen.go("overview").set("text", "I like cats").sound()
    assert seen.figure("overview")[0]["source_text"] == "I like cats"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_sentence_in_a_link_is_explained(visit, name: str) -> None:
    text, key = BAD[name]
    seen = visit("heads", text=text)
    if text:
        assert seen.complaint().startswith(start_of(seen, key))
    assert seen.figures() == ["matrix", "lines", "joint"]


def test_an_unknown_word_is_named_with_its_nearest_neighbours(visit, translator) -> None:
    said = visit(text="I like catz").complaint()
    assert "“catz”" in said and all(word in said for word in translator.source.nearest("catz"))
    assert "cats" in said


def test_the_sentence_is_never_changed_silently(visit) -> None:
    seen = visit(text="I LIKE Cats").sound()
    assert seen.view.text == "I LIKE Cats"
    note = seen.say("note.folded", pairs="\0").split("\0")[0]
    assert any(c.value.startswith(note) and "“Cats” → “cats”" in c.value for c in seen.at.caption)


@pytest.mark.parametrize("target", ["catz", "我 " * 200, "\x00", "</script><b>x"])
def test_a_bad_target_is_explained_and_the_picture_stays(visit, target: str) -> None:
    seen = visit(text=GOOD)
    before = seen.figure("overview")[0]["shifted"]
    seen.set("target", target).complaint()
    assert seen.figure("overview")[0]["shifted"] == before


def test_an_error_does_not_outlive_its_text(visit) -> None:
    seen = visit(text="I like catz")
    seen.complaint()
    seen.click("example-1").sound()
    assert seen.view.text == "I like cats"


@pytest.mark.parametrize("text", ["x", "2026", "the 99th of Nonember", "   "])
def test_the_character_model_answers_or_explains(visit, text: str) -> None:
    seen = visit(model="dates", text=text)
    assert not seen.at.exception and seen.figures() == ["overview"]
