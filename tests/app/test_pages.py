"""Every page in both languages, and what all pages owe: a title, the frame, figures that agree with the trace."""

from __future__ import annotations

import numpy as np
import pytest

from tests.app.visit import APP, PAGES
from viz.ui.language import LANGUAGES, catalogue

EQUATIONS = 14


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_renders_in_every_language(visit, page: str, language: str) -> None:
    seen = visit(page, lang=language).sound()
    title = "headline" if page == "overview" else page
    assert [t.value for t in seen.at.title] == [catalogue(language)[f"{title}.title"]]
    assert [w.key for w in seen.at.sidebar.get("text_input")] == [f"text-{language}", f"target-{language}"]


@pytest.mark.parametrize(("locale", "language"), [("zh-CN", "zh"), ("zh-TW", "zh"), ("fr-FR", "en"), ("en-GB", "en")])
def test_the_first_language_is_the_browsers(visit, locale: str, language: str) -> None:
    assert visit(locale=locale).language == language


def test_pages_lie_one_folder_deep_and_their_stems_are_unique() -> None:
    found = sorted(path.stem for path in (APP.parent / "pages").rglob("*.py"))
    assert found == sorted(PAGES)
    assert not list((APP.parent / "pages").glob("*.py"))


def test_the_first_screen_shows_the_sentence_and_every_head(visit, translator) -> None:
    trace = translator.trace("I like cats", language="zh")
    header, arrays = visit().figure("overview")
    assert [token["text"] for token in header["source"]] == ["I", "like", "cats"]
    assert header["source_text"] == "I like cats"
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
        assert np.abs(picture / 255 - trace.weights(site, head).numpy()).max() <= 0.5 / 255 + 1e-6


@pytest.mark.shipped
def test_the_shipped_weights_translate(visit) -> None:
    assert visit().figure("overview")[0]["target"] == [{"text": t, "kind": "word"} for t in ("我", "喜欢", "猫")]


def test_matrix_and_lines_show_the_traces_weights(visit, translator) -> None:
    seen = visit("heads", text="the cat sat on the mat", site="decoder.1.cross", head=1)
    trace = translator.trace("the cat sat on the mat", language="zh")
    header, arrays = seen.figure("matrix")
    expected = trace.weights("decoder.1.cross", 1).numpy()
    np.testing.assert_array_equal(arrays["values"], expected)
    assert [label["text"] for label in header["columns"]] == trace.tokens("encoder")
    lines, stacked = seen.figure("lines")
    np.testing.assert_array_equal(stacked["weights"][1], expected)
    assert lines["selection"] == header["selection"]


def test_every_step_is_drawn_and_checks(visit) -> None:
    seen = visit("steps").sound()
    assert len(seen.figures()) == EQUATIONS
    assert not any(":red[" in caption.value for caption in seen.at.caption)
    assert any("✓" in caption.value for caption in seen.at.caption)


def test_the_matrix_of_the_steps_is_the_matrix_of_the_heads(visit, translator) -> None:
    seen = visit("steps", site="encoder.1.self", head=3, q=1, k=0)
    _, arrays = seen.figure("step-softmax")
    expected = translator.trace("I like cats", language="zh").weights("encoder.1.self", 3).numpy()
    np.testing.assert_allclose(arrays["A"], expected, atol=2e-6, rtol=0)


def test_doors_and_downloads_are_on_every_figure(visit) -> None:
    for page, figures in (("overview", ("overview",)), ("heads", ("matrix", "lines")), ("by_hand", ("by-hand",))):
        keys = {button.key for button in visit(page).at.download_button}
        trace = {"overview-safetensors"} if page == "overview" else set()
        assert keys == {f"{figure}-{kind}" for figure in figures for kind in ("csv", "npz")} | trace


def test_the_model_card_states_the_cards_scores(visit, translator) -> None:
    metrics = {metric.value for metric in visit("model_card").at.metric}
    assert {f"{score['exact_match']:.2%}" for score in translator.card["test"].values()} <= metrics
    assert f"{sum(p.numel() for p in translator.module.parameters()):,}" in metrics
