"""The way to a model of one's own: a picker that walks the listed folders, and what was opened lately."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("transformers")

from streamlit import config

from viz.ui.language import plain
from viz.ui.models import folders
from viz.ui.shared import recent_models
from viz.ui.state import model_list


@pytest.fixture
def listed(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A listed folder: four levels down a checkpoint, beside it a link that leads outside, a text, a hidden folder."""
    root, outside = tmp_path / "listed", tmp_path / "outside"
    shutil.copytree(models / "gpt2", root / "people" / "ann" / "tries" / "gpt2-7")
    shutil.copytree(models / "gpt2", outside / "secret")
    (root / "people" / "away").symlink_to(outside)
    (root / "people" / ".hidden").mkdir()
    (root / "people" / "notes.txt").write_text("no model")
    monkeypatch.setenv("HEADLIGHT_MODELS", str(root))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    model_list.found.clear()
    folders.listing.clear()
    return root


def labels(seen, place: str) -> list[str]:
    return [button.label for button in seen.sound().at.button if (button.key or "").startswith(place)]


def press(seen, label: str) -> None:
    (button,) = [button for button in seen.at.button if button.label == label and not button.disabled]
    button.click()
    seen.at.run()


def test_the_picker_walks_down_to_a_checkpoint_and_opens_it(visit, listed: Path) -> None:
    seen = visit("models")
    assert not labels(seen, "models-root-")  # closed until it is asked for
    seen.at.toggle(key="models-browse").set_value(True).run()
    assert labels(seen, "models-root-")[0] == plain(listed)
    for name in ("people", "ann", "tries"):
        press(seen, name)
    assert [label.removeprefix("▸ ") for label in labels(seen, "models-way-")] == ["people", "ann", "tries"]
    assert any(item.value == r"**gpt2-7**" for item in seen.at.markdown)
    press(seen, "▸ people")
    assert labels(seen, "models-enter-") == ["ann", "away"]
    for name in ("ann", "tries"):
        press(seen, name)
    seen.click("models-pick-0")
    assert seen.sound().view.model == str(listed / "people" / "ann" / "tries" / "gpt2-7")


def test_without_a_folder_of_models_it_begins_at_home(visit, listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADLIGHT_MODELS")
    monkeypatch.setenv("HOME", str(listed / "people"))
    seen = visit("models")
    seen.at.toggle(key="models-browse").set_value(True).run()
    assert labels(seen, "models-root-") == [plain(listed / "people")] and labels(seen, "models-enter-") == [
        "ann",
        "away",
    ]


def test_it_stands_where_the_typed_path_ends(visit, listed: Path) -> None:
    seen = visit("models")
    seen.at.toggle(key="models-browse").set_value(True).run()
    seen.at.text_input(key="models-path").set_value(str(listed / "people" / "ann" / "nothing" / "here")).run()
    shown = [button.label for button in seen.at.button if (button.key or "").startswith("models-enter-")]
    assert shown == ["tries"]


def test_a_folder_above_checkpoints_offers_them_and_a_mistyped_name_is_named(visit, listed: Path) -> None:
    seen = visit("models")
    tries = listed / "people" / "ann" / "tries"
    seen.at.text_input(key="models-path").set_value(str(listed / "people" / "ann")).run()
    assert labels(seen, "models-below-") == [plain("tries/gpt2-7")]
    seen.at.text_input(key="models-path").set_value(str(tries / "gtp2-7")).run()
    assert seen.complaint() == seen.say("models.near", existing=tries, missing="gtp2-7")
    seen.click("models-meant")
    assert seen.sound().view.model == str(tries / "gpt2-7")


def test_to_others_a_mistyped_name_tells_nothing_of_the_folders(visit, listed: Path) -> None:
    config.set_option("server.address", "0.0.0.0")
    try:
        seen = visit("models")
        seen.at.text_input(key="models-path").set_value(str(listed.parent / "outsid")).run()
        assert seen.complaint() == seen.say("models.nothing")
        assert not [button for button in seen.at.button if button.key == "models-meant"]
        seen.at.text_input(key="models-path").set_value(str(listed / "people")).run()
        assert not [button for button in seen.at.button if "secret" in button.label or "away" in button.label]
    finally:
        config.set_option("server.address", "127.0.0.1")


def test_served_to_others_there_is_no_picker(visit, listed: Path) -> None:
    config.set_option("server.address", "0.0.0.0")
    try:
        seen = visit("models").sound()
        assert not [toggle for toggle in seen.at.toggle if toggle.key == "models-browse"]
    finally:
        config.set_option("server.address", "127.0.0.1")


def test_a_path_that_was_opened_stays_in_the_list_of_models_while_it_is_there(
    visit, models: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(models / "gpt2", tmp_path / "mine"))
    seen = visit("models")
    seen.at.text_input(key="models-path").set_value(str(path)).run()
    assert seen.sound().view.model == str(path)
    seen.set("model", "translate")
    box = seen.sound().at.sidebar.selectbox[0]
    assert "mine" in " ".join(box.options) and box.options[-1] == seen.say("bar.yours")
    told = quote(json.dumps([str(path)]))
    (address,) = [element for element in seen.at.get("bidi_component") if element.key == "address"]
    assert json.loads(address.proto.json)["recent"] == told
    seen.go("models")
    assert len(labels(seen, "models-recent-")) == 1
    seen.click("models-recent-0")
    assert seen.sound().view.model == str(path)
    seen.set("model", "translate")
    shutil.rmtree(path)
    model_list._typed.clear()
    seen.go("models")
    assert not labels(seen, "models-recent-") and "mine" not in " ".join(seen.at.sidebar.selectbox[0].options)
    lost = seen.say("models.recent_lost", names="`").partition("`")[0]
    assert any(caption.value.startswith(lost) for caption in seen.at.caption)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (quote('["a", 3, "b", "a", ""]'), ["a", "b"]), ("[", []), ('{"a": 1}', []), ("%ff", []),
        (quote(json.dumps(["x" * 400, "c\n", *"abcdefgh"])), list("abcdef")), ("[" * 10_000, []),
    ],
)  # fmt: skip
def test_a_cookie_is_a_list_of_short_names_or_nothing(value: str, names: list[str]) -> None:
    assert recent_models._read(value) == names
