"""A link restores what was seen; one that is wrong is answered in a sentence, never with an exception."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.acting import put
from tests.app.visit import PAGES, Visit

LINK = {
    "model": "translate", "text": "the cat sat on the mat", "to": "fr", "site": "decoder.0.cross", "head": "3", "q": "2",
    "k": "4", "heads": "0.3", "step": "2", "scale": "max", "other": "she gave him a red apple", "lang": "zh",
}  # fmt: skip


def test_a_link_restores_everything(visit) -> None:
    seen = visit("heads", **LINK).sound()
    header, _ = seen.figure("matrix")
    assert header["selection"] == {"row": 2, "column": 4} and seen.figure("lines")[0]["shown"] == [0, 3]
    assert [label["text"] for label in header["columns"]] == LINK["text"].split()
    assert (seen.view.site, seen.view.head, seen.view.to, seen.language) == ("decoder.0.cross", 3, "fr", "zh")
    assert (seen.view.scale, seen.view.other) == ("max", LINK["other"])
    assert len(seen.go("steps").sound().figures()) == 3
    assert seen.link == LINK


def test_a_link_restores_a_forced_target(visit, translator) -> None:
    words = translator.trace("I like cats", language="zh").written()[:-1]
    seen = visit(text="I like cats", target=" ".join(reversed(words)), to="zh").sound()
    assert [t["text"] for t in seen.figure("overview")[0]["shifted"]][1:] == words[::-1]


@pytest.mark.parametrize("page", PAGES)
def test_what_the_app_writes_restores_the_same_view(visit, page: str) -> None:
    first = visit("heads", text="the cat sat on the mat").set("to", "fr").set("head", 1)
    again = Visit(page, **first.link)
    assert again.view == first.view and again.link == first.link


def test_a_pasted_link_replaces_the_view_of_a_running_session(visit) -> None:
    seen = visit("heads", **LINK)
    seen.at.query_params.update(head="0", q="1", k="1")
    seen.at.run()
    assert seen.figure("matrix")[0]["selection"] == {"row": 1, "column": 1} and seen.view.head == 0


def test_a_quick_second_click_is_not_undone_by_the_old_link(visit) -> None:
    """A browser that has not yet heard of the first click's link sends the old one along with the second click."""
    seen = visit("heads", site="decoder.1.cross", head=0, q=1, k=1)
    old = seen.link
    seen.set("head", 2)
    for name, value in (("site", "encoder.1.self"), ("ui_language", "zh"), ("text", "the cat sat on the mat")):
        seen.at.query_params.clear()
        seen.at.query_params.update(old)
        seen.set(name, value).sound()
        assert seen.view.head == 2
    assert (seen.view.site, seen.language, seen.view.text) == ("encoder.1.self", "zh", "the cat sat on the mat")


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"model": "nope"}, "error.unknown_model"),
        ({"model": "../dates"}, "error.nothing_there"),
    ],
)
def test_a_name_that_does_not_exist_is_said_in_one_sentence(visit, link: dict[str, str], said: str) -> None:
    seen = visit(**link)
    assert seen.complaint().startswith(seen.say(said, name="nope", site="x", allowed="x").split("“")[0])
    assert seen.figures() == ["overview"]


@pytest.mark.parametrize(
    "link",
    [
        {"head": "99"}, {"head": "-1"}, {"head": "two"}, {"head": "²"}, {"q": "-5", "k": "0"}, {"q": "99", "k": "99"},
        {"q": "--5", "k": "1"}, {"q": "0", "k": "9" * 400}, {"lang": "xx"}, {"to": "de"}, {"to": "![](//x)"},
        {"head": "99", "q": "-5", "k": "0", "lang": "xx"},
    ],
)  # fmt: skip
def test_a_value_that_does_not_exist_is_said_and_leads_to_one_that_does(visit, link: dict[str, str]) -> None:
    seen = visit(site="decoder.1.cross", **link)
    said = seen.complaint()
    asked, shown = said.removesuffix(".").split("; shown instead: ")
    assert asked.startswith("The link asks for ") and len(said) <= 300
    now = {"head": seen.view.head, "q": seen.view.row, "k": seen.view.column, "lang": "English"}
    now["to"] = seen.say(f"language.{seen.view.to}")
    for name, value in link.items():
        named = seen.say(f"note.link_{name}", got="\0").split("\0")[0]
        assert f"{named}{value[:40]}" in asked and f"{named}{now[name]}" in shown
    exists(seen)


@pytest.mark.parametrize(("link", "there"), [
    ({"head": "99"}, "0–3"), ({"q": "99", "k": "0"}, "0–3"), ({"lang": "xx"}, "English, 中文"),
    ({"to": "de"}, "中文, français"), ({"q": "99"}, "0–3"),
])  # fmt: skip
def test_a_wrong_value_is_answered_with_what_there_is(visit, link: dict[str, str], there: str) -> None:
    said = visit(site="decoder.1.cross", text="I like cats", **({"to": "zh"} | link)).complaint()
    assert f"(there is {there})" in said


def test_of_a_cell_only_the_wrong_half_is_said_not_to_be_there(visit) -> None:
    said = visit(site="decoder.1.cross", q="0", k="99").complaint()
    assert "query 0, key 99 (there is" in said


@pytest.mark.parametrize(("site", "called"), [
    ("encoder.9.self", "encoder 9 · self-attention"), ("encoder.0.cross", "encoder 0 · cross-attention"),
    ("<b>x", "<b>x"), ("x" * 900, "x" * 40),
])  # fmt: skip
@pytest.mark.parametrize("page", ["overview", "heads", "steps"])
def test_a_wrong_site_is_answered_in_the_words_of_the_page(visit, page: str, site: str, called: str) -> None:
    seen = visit(page, straight=True, site=site, head="2", q="9", k="99")
    said = seen.complaint()
    assert said.startswith(f"There is no “{called} · head 2 · query 9 · key 99” here") and len(said) <= 300
    for there in ("encoder 0–1 · self-attention", "decoder 0–1 · self-attention", "decoder 0–1 · cross-attention"):
        assert there in said
    shown = f"{seen.view.site.split('.')[0]} {seen.view.site.split('.')[1]} · "
    assert f"Shown is {shown}" in said and said.endswith(f"head {seen.view.head}.")
    assert not any(name in said for name in ("decoder.", "encoder.0", ".self", ".cross"))


@pytest.mark.parametrize(
    "link", [{"site": "encoder.9.self"}, {"head": "99"}, {"site": "decoder.1.cross", "q": "99", "k": "1"}]
)
def test_after_a_wrong_link_the_next_click_works(visit, link: dict[str, str]) -> None:
    seen = visit("heads", straight=True, **link)
    assert seen.complaint()
    another = (seen.view.head + 1) % 4
    seen.set("head", another).sound()
    assert seen.view.head == another
    seen.set("site", "encoder.0.self").sound()
    assert (seen.view.site, seen.view.head) == ("encoder.0.self", another)


def test_a_wrong_link_is_answered_in_chinese(visit) -> None:
    assert (
        visit(site="encoder.9.self", lang="zh")
        .complaint()
        .startswith("这里没有“编码器 9 · 自注意力”：此模型有编码器 0–1 · 自注意力、")
    )
    assert visit(head="99", lang="zh").complaint().startswith("链接要的是头 99（这里有 0–3）；现在显示的是头 ")


@pytest.mark.parametrize(
    "link",
    [
        {"q": "1"}, {"scale": "2"}, {"scale": "<b>"},
        {"heads": "7.x.-1"}, {"heads": "²"}, {"step": "1e9"}, {"step": "-9"}, {"step": "99"}, {"foo": "1"},
        {"text": ""},
    ],
)  # fmt: skip
@pytest.mark.parametrize("page", ["heads", "steps"])
def test_what_is_half_said_is_filled_in(visit, page: str, link: dict[str, str]) -> None:
    exists(visit(page, site="decoder.1.cross", **link).sound())


def exists(seen: Visit) -> None:
    """The view is one that its own link restores."""
    assert 0 <= seen.view.head < 4 and seen.view.row >= 0 and seen.view.column >= 0 and seen.figures()
    assert Visit(**seen.link).sound().view == seen.view


@pytest.mark.parametrize("name", ["model", "site", "head", "to", "lang", "text", "target"])
def test_a_link_cannot_smuggle_markup_in(visit, name: str) -> None:
    seen = visit(**{name: "![x](http://example.com/a.png) $y$ :red[z]"})
    said = [e.value for kind in (seen.at.error, seen.at.warning, seen.at.caption, seen.at.markdown) for e in kind]
    assert not any(mark in text for text in said for mark in ("![", "x](http", "$y$", " :red[z"))


def test_another_language_selects_its_own_best_head(visit, translator) -> None:
    best = {name: found["predicting"] for name, found in translator.card["alignment"].items()}
    seen = visit("overview", text="I like cats", to="zh").set("to", "fr").sound()
    assert (seen.view.site, seen.view.head) == (best["fr"]["site"], best["fr"]["head"])
    hero, selection = (seen.figure("overview")[0][part] for part in ("hero", "selection"))
    assert (hero["site"], hero["head"]) == (selection["site"], selection["head"])


def test_a_head_that_was_chosen_stays_when_the_language_changes(visit) -> None:
    seen = visit("heads", text="I like cats", to="zh").set("site", "encoder.0.self").set("head", 2).set("to", "fr")
    assert (seen.view.site, seen.view.head) == ("encoder.0.self", 2)


def test_another_model_is_compared_with_nothing_of_the_last_one(visit, models: Path) -> None:
    seen = visit("heads", model="encoder", text="I like cats", other="The dog jumps", scale="max")
    seen = put(seen, "text_area", "text", "The cat sat")
    assert (seen.view.other, seen.view.scale) == ("The dog jumps", "max")
    seen.set("model", "bert")
    assert (seen.view.other, seen.link.get("other")) == ("", None)


@pytest.mark.parametrize(("page", "name", "part"), [
    ("positions", "positions", "alibi"), ("variants", "variants", "sink"), ("masks", "masks", "causal"),
    ("masks", "mistake", "finite"), ("block", "block", "norm"),
    ("generation", "generation", "sampling"),
])  # fmt: skip
def test_the_open_part_of_a_page_is_in_the_link(visit, page: str, name: str, part: str) -> None:
    seen = visit(page, text="the cat sat", site="encoder.0.self").set(name, part).sound()
    assert seen.link["tab"] == f"{name}.{part}"
    again = visit(page, **seen.link).sound()
    assert again.at.session_state[f"{name}-en"] == part


def test_a_link_to_a_part_that_is_not_there_opens_the_usual_one(visit) -> None:
    seen = visit("masks", text="the cat sat", site="decoder.0.cross", tab="masks.causal,block.<b>,mistake.zero").sound()
    assert seen.at.session_state["masks-en"] == "padding" and seen.at.session_state["mistake-en"] == "zero"
