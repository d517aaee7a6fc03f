"""Every page in both languages, and what all pages owe: a title, the frame, figures that agree with the trace."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from model import open_model
from model.checkpoints.disk import packages
from model.measures.default_cell import first_cell
from tests import bounds
from tests.app.acting import pick
from tests.app.visit import APP, PAGES
from viz.base import export
from viz.heads import color_scale, thumbnails
from viz.ui.language import LANGUAGES, catalogue
from viz.ui.state import model_list as cards

EQUATIONS = 14


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_renders_in_every_language(visit, page: str, language: str) -> None:
    seen = visit(page, lang=language).sound()
    title = "headline" if page == "overview" else page
    assert [t.value for t in seen.at.title] == [catalogue(language)[f"{title}.title"]]
    texts = [] if page == "train" else [f"text-{language}", f"target-{language}"]  # it runs none
    assert [w.key for w in seen.at.sidebar.get("text_input")] == texts


@pytest.mark.parametrize(("locale", "language"), [("zh-CN", "zh"), ("zh-TW", "zh"), ("fr-FR", "en"), ("en-GB", "en")])
def test_the_first_language_is_the_browsers(visit, locale: str, language: str) -> None:
    assert visit(locale=locale).language == language


def test_pages_lie_one_folder_deep_and_their_stems_are_unique() -> None:
    found = sorted(path.stem for path in (APP.parent / "pages").rglob("*.py"))
    assert found == sorted(PAGES)
    assert not list((APP.parent / "pages").glob("*.py"))


def test_the_first_screen_shows_the_sentence_and_every_head(visit, translator) -> None:
    trace = translator.trace("she gave him a red apple", language="fr")
    header, arrays = visit().figure("overview")
    assert [token["text"] for token in header["source"]] == ["she", "gave", "him", "a", "red", "apple"]
    assert header["source_text"] == "she gave him a red apple"
    drawn = {
        (part["site"], head["head"]): arrays[head["array"]]
        for stack in header["stacks"]
        for layer in stack["layers"]
        for part in layer["parts"]
        if part["kind"] == "attention"
        for head in part["heads"]
    }
    assert len(drawn) == sum(trace.record(site).heads for site in trace.sites)
    for (site, head), picture in drawn.items():
        assert np.abs(picture / 255 - trace.weights(site, head).numpy()).max() <= 0.5 / 255 + bounds.WEIGHT


@pytest.mark.shipped
def test_the_shipped_weights_translate(visit) -> None:
    """And the first screen's ribbons cross where French changes the order of the words, not in Chinese."""
    seen = visit().sound()
    header, arrays = seen.figure("overview")
    words = [item["text"] for item in header["target"]]
    assert words == ["elle", "lui", "a", "donné", "une", "pomme", "rouge"] and seen.view.to == seen.link["to"] == "fr"
    points = {word: header["source"][int(arrays["hero"][i].argmax())]["text"] for i, word in enumerate(words)}
    assert points.items() >= {"donné": "gave", "pomme": "apple", "rouge": "red"}.items()
    assert seen.say("overview.notice") in " ".join(text.value for text in seen.at.markdown)
    seen.set("to", "zh").sound()
    assert [item["text"] for item in seen.figure("overview")[0]["target"]] == [
        "她",
        "给",
        "了",
        "他",
        "一",
        "个",
        "红",
        "苹果",
    ]


def test_matrix_and_lines_show_the_traces_weights(visit, translator) -> None:
    seen = visit("heads", text="the cat sat on the mat", site="decoder.1.cross", head=1)
    trace = translator.trace("the cat sat on the mat", language="zh")
    header, arrays = seen.figure("matrix")
    expected = trace.weights("decoder.1.cross", 1).numpy()
    np.testing.assert_allclose(arrays["values"], expected, atol=bounds.WEIGHT, rtol=0)
    assert [label["text"] for label in header["columns"]] == trace.tokens("encoder")
    lines, stacked = seen.figure("lines")
    np.testing.assert_allclose(stacked["weights"][1], expected, atol=bounds.WEIGHT, rtol=0)  # softmaxed in float64
    assert lines["selection"] == header["selection"]


def test_every_step_is_drawn_and_checks(visit) -> None:
    seen = visit("steps").sound()
    assert len(seen.figures()) == EQUATIONS
    assert not any(":red[" in caption.value for caption in seen.at.caption)
    assert any("✓" in caption.value for caption in seen.at.caption)


def test_the_matrix_of_the_steps_is_the_matrix_of_the_heads(visit, translator) -> None:
    seen = visit("steps", text="I like cats", to="zh", site="encoder.1.self", head=3, q=1, k=0)
    _, arrays = seen.figure("step-softmax")
    expected = translator.trace("I like cats", language="zh").weights("encoder.1.self", 3).numpy()
    np.testing.assert_allclose(arrays["A"], expected, atol=bounds.WEIGHT, rtol=0)


def test_a_table_of_more_weights_than_a_file_should_hold_is_not_offered(visit, models: Path, monkeypatch) -> None:
    for most, offered in ((10**9, True), (100, False)):
        monkeypatch.setattr(export, "MOST_ROWS", most)
        seen = visit(model="gpt2", text="the dog jumps over the cat").sound()
        keys = {button.key for button in seen.at.download_button}
        assert ("overview-csv" in keys) == offered and {"overview-npz", "overview-safetensors"} <= keys
        said = seen.say("overview.no_table", n="\0").split("\0")[0]
        assert any(said in caption.value for caption in seen.at.caption) != offered


def test_doors_and_downloads_are_on_every_figure(visit) -> None:
    for page, figures in (
        ("overview", ("overview",)),
        ("heads", ("matrix", "lines", "joint")),
        ("by_hand", ("by-hand",)),
    ):
        keys = {button.key for button in visit(page).at.download_button}
        trace = {"overview-safetensors"} if page == "overview" else set()
        stills = {f"{figure}-{kind}" for figure in figures for kind in ("svg", "png")}
        assert keys == {f"{figure}-{kind}" for figure in figures for kind in ("csv", "npz")} | stills | trace


def test_the_model_card_states_the_cards_scores(visit, translator) -> None:
    metrics = {metric.value for metric in visit("model_card").at.metric}
    assert {f"{score['exact_match']:.2%}" for score in translator.card["test"].values()} <= metrics
    assert f"{sum(p.numel() for p in translator.module.parameters()):,}" in metrics


# Every kind of click that the overview sends, the page it leads to and what of the view it changes.
CLICKS = {
    "a door": ({"page": "by_hand"}, "by_hand", {}),
    "a head": ({"page": "heads", "site": "encoder.0.self", "head": 2}, "heads", {"site": "encoder.0.self", "head": 2}),
    "a ribbon": (
        {"page": "heads", "site": "decoder.1.cross", "head": 1, "row": 2, "column": 0}, "heads",
        {"site": "decoder.1.cross", "head": 1, "row": 2, "column": 0},
    ),
    "a strip": ({"page": "steps", "site": "decoder.0.self"}, "steps", {"site": "decoder.0.self"}),
    "the next word": ({"page": "steps", "part": "output"}, "steps", {"step": -1}),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLICKS)
def test_a_click_in_the_overview_leads_somewhere(visit, kind: str) -> None:
    click, page, changed = CLICKS[kind]
    seen = pick(visit(text="I like cats", to="zh", step=3), "overview", click, event="go").sound()
    assert [title.value for title in seen.at.title] == [seen.say(f"{page}.title")]
    assert {name: getattr(seen.view, name) for name in changed} == changed
    assert seen.view.row >= 0 or page == "by_hand"


def test_a_sentence_edited_in_the_overview_is_run(visit, translator) -> None:
    seen = visit(text="I like cats", target="我", to="zh")
    seen = pick(seen, "overview", "the cat sat on the mat", event="text").sound()
    assert (seen.view.text, seen.view.target) == ("the cat sat on the mat", "")
    written = [word["text"] for word in seen.figure("overview")[0]["target"]]
    assert written == translator.trace("the cat sat on the mat", language="zh").written()[:-1]


def test_a_ribbon_between_words_leads_to_its_strongest_tokens(visit, models: Path) -> None:
    seen = visit(model="gpt2", text="Zorblatt Quimby jumps over Zorblatt", words=1).sound()
    header, arrays = seen.figure("overview")
    hero = header["hero"]
    row, column = np.unravel_index(int(arrays["hero"].argmax()), arrays["hero"].shape)
    assert hero["merged"] and len(hero["source"]) < len(header["shifted"])
    click = {"page": "heads", "site": hero["site"], "head": hero["head"], "row": int(row), "column": int(column)}
    seen = pick(seen, "overview", click, event="go").sound()
    shown = seen.figure("matrix")[0]["selection"]
    assert (shown["row"], shown["column"]) == (row, column)


LONG = " ".join(f"the dog {i} jumps over the cat" for i in range(12))


def test_a_long_sides_chips_lie_around_the_selected_tokens(visit, models: Path) -> None:
    header, _ = visit(model="gpt2", text=LONG, site="decoder.0.self", q=100, k=70).figure("overview")
    chips = header["shifted"]
    assert header["marked"]["decoder"] == [100, 70] and "hero" not in header
    places = [chip["at"] for chip in chips[1:-1]]
    assert places == list(range(places[0], places[0] + 64)) and {100, 70} <= set(places)
    assert (chips[0]["text"], chips[0]["at"]) == (f"+ {places[0]}", None) and chips[-1]["at"] is None
    far, _ = visit(model="gpt2", text=LONG, site="decoder.0.self", q=130, k=2).figure("overview")
    assert 130 in [chip.get("at") for chip in far["shifted"]]


def test_blocks_of_a_long_text_show_their_largest_weight_or_their_share(visit, models: Path) -> None:
    link = {"model": "gpt2", "text": LONG, "site": "decoder.0.self", "head": 0}
    seen = visit(**link).sound()
    record = open_model(models / "gpt2").trace(LONG).record("decoder.0.self")
    found = {}
    for how in thumbnails.HOW:
        seen.set("overview-how", how).sound()
        header, arrays = seen.figure("overview")
        for head, (picture, _) in enumerate(thumbnails.heads(record, how)):
            np.testing.assert_allclose(arrays[f"decoder.0.self.{head}"].astype(int), picture.astype(int), atol=1)
        assert header["words"]["legend"] == seen.say(f"overview.legend_{how}", max="{max}")
        assert any(seen.say(f"overview.pooled_{how}") in caption.value for caption in seen.at.caption)
        found[how] = arrays["decoder.0.self.0"]
    assert seen.link["set"] == "overview-how.mean" and (found["max"] != found["mean"]).any()
    again = visit(**seen.link).sound().figure("overview")[1]["decoder.0.self.0"]
    np.testing.assert_array_equal(again, found["mean"])
    assert not [each for each in visit(text="the cat").at.get("button_group") if "overview-how" in (each.key or "")]


def test_the_ribbons_know_the_selected_pair_of_any_head(visit, models: Path) -> None:
    at = {"model": "gpt2", "site": "decoder.0.self", "head": 0}
    header, _ = visit(text="the dog jumps over the cat", q=5, k=2, **at).figure("overview")
    assert header["hero_at"] == [5, 2]
    text = "Zorblatt Quimby jumps"
    words = open_model(models / "gpt2").trace(text).side("decoder").words
    header, _ = visit(text=text, q=9, k=1, words=1, **at).figure("overview")
    assert header["hero_at"] == [words[9] - words[0], words[1] - words[0]] and words[9] < 9


def test_the_colours_end_where_they_were_told_to(visit, translator) -> None:
    seen = visit("heads", text="the cat sat on the mat", site="encoder.0.self", head=0)
    most = float(translator.trace("the cat sat on the mat", language="zh").weights("encoder.0.self", 0).max())
    assert most >= color_scale.PALE
    for scale, end in (("max", color_scale.round_up(most)), ("1", 1.0)):
        seen = seen.set("scale", scale).sound()
        header, _ = seen.figure("matrix")
        assert header["scale"]["high"] == end and seen.link["scale"] == scale
        told = seen.say(f"matrix.legend_{scale}", end=color_scale.written(end), most="\0")
        assert told.split("\0")[0] in header["words"]["legend"]


def test_a_picture_without_large_weights_gets_its_own_scale_and_says_so(visit, models: Path) -> None:
    seen = visit("heads", model="gpt2", text=LONG, site="decoder.0.self", head=0).sound()
    header, arrays = seen.figure("matrix")
    end = header["scale"]["high"]
    most = float(arrays["values"].max())
    assert end == color_scale.end(most, "") and "scale" not in seen.link
    files = seen.say("matrix.files", queries="\0", keys="", size="").split("\0")[0]
    assert not any(files in caption.value for caption in seen.at.caption)  # all of it is drawn
    pale = seen.say("matrix.legend_pale", pale="0.2")
    assert (pale in header["words"]["legend"]) == (most < 0.2)


def test_a_picture_has_its_patches_beside_the_matrix_and_no_lines(visit, models: Path) -> None:
    seen = visit("heads", model="vit").sound()
    assert seen.figures() == ["matrix", "patches"]
    assert visit("heads", model="gpt2").figures() == ["matrix", "lines"]


def test_a_package_says_behind_which_token_its_head_is_read(visit, models: Path, monkeypatch) -> None:
    """Of a reaction, the rows of the product: elsewhere the same head answers another question."""
    told, card = {"head": ("encoder.1.self", 0), "rows_after": "over"}, cards.card
    monkeypatch.setattr(cards, "card", lambda name: card(name) | (told if name == "bert" else {}))
    text = "the quick fox jumps over the lazy dog"
    at = open_model(models / "bert").trace(text).tokens("encoder").index("over")
    view = visit("heads", model="bert", text=text).sound().view
    assert (view.site, view.head) == told["head"] and view.row > at > view.column
    other = visit("heads", model="bert", text=text, site="encoder.0.self", head=1).sound().view
    assert (other.row, other.column) == first_cell(open_model(models / "bert").trace(text), "encoder.0.self", 1)


def test_the_reaction_mapper_is_read_from_its_product(monkeypatch) -> None:
    (known,) = [package for package in packages.PACKAGES if package.name == "rxnmapper"]
    monkeypatch.setattr(packages, "installed", lambda: {"rxnmapper": (known, None)})
    monkeypatch.setattr(
        cards, "entry", lambda name: SimpleNamespace(kind="package", family="albert", reads="text", title=name)
    )
    assert cards.card("rxnmapper")["rows_after"] == ">>"
    assert all(">>" in example for example in cards.card("rxnmapper")["examples"])
