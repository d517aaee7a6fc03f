"""The page of families: a small one of each opens, says that it is untrained, and runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import open_model
from model.errors import NoCache
from model.families import CARDS
from tests import bounds
from tests.app.visit import Visit

pytest.importorskip("transformers")

from model.checkpoints.random_models import make

SMALL = [card.key for card in CARDS if card.small]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADLIGHT_CACHE", str(folder))
    return folder


def buttons(seen: Visit) -> set[str]:
    return {button.key for button in seen.at.button if (button.key or "").startswith("families-")}


@pytest.mark.parametrize("key", SMALL)
def test_a_small_one_opens(visit, cache: Path, key: str) -> None:
    seen = visit("families").sound().click(f"families-open-{key}")
    name = next(card.small for card in CARDS if card.key == key)
    assert seen.view.model == str(make.folder(name)) and make.folder(name).is_relative_to(cache)
    assert seen.figures() == ["overview"]
    assert seen.complaint() == seen.say("families.untrained", family=f"random-{name}")
    seen.go("heads").sound()
    weights = open_model(make.folder(name)).trace(seen.view.text).weights(seen.view.site, seen.view.head).numpy()
    assert abs(seen.figure("matrix")[1]["values"] - weights).max() < bounds.WEIGHT
    seen.go("encoder_decoder").sound()
    assert bool(seen.at.info) == (key not in ("t5", "bart"))


def test_the_transformer_is_the_one_that_ships(visit) -> None:
    seen = visit("families", model="dates").sound()
    seen.click("families-have-transformer-translate").sound()
    assert seen.view.model == "translate" and seen.figures() == ["overview"]


def test_every_family_is_on_the_page_in_both_languages(visit) -> None:
    seen = visit("families")
    for _ in range(2):
        text = " ".join(item.value for item in seen.sound().at.markdown)
        assert all(card.title in text and seen.say(f"families.changed_{card.key}") in text for card in CARDS)
        table = seen.at.dataframe[0].value
        assert list(table[seen.say("families.column_parameters")]) == [card.counted for card in CARDS]
        seen.set("ui_language", "zh")


def test_models_at_hand_are_offered(visit, models: Path) -> None:
    seen = visit("families").sound()
    assert {"families-have-bert-bert", "families-have-t5-t5", "families-have-gpt2-gpt2"} <= buttons(seen)
    seen.click("families-have-t5-t5").sound()
    assert seen.view.model == "t5"


def test_a_cache_without_room_is_one_sentence(visit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(name: str) -> Path:
        raise NoCache(path=name, folder=tmp_path, reason="no space left")

    monkeypatch.setattr(make, "write", full)
    seen = visit("families").click("families-open-bert")
    assert "no space left" in seen.complaint() and seen.view.model == "translate"
    seen.at.run()
    seen.sound()


def test_a_shared_server_writes_no_models(visit, monkeypatch: pytest.MonkeyPatch) -> None:
    from viz.ui.state import model_list as known

    monkeypatch.setattr(known, "confined", lambda: True)
    seen = visit("families").sound()
    assert all(seen.at.button(key=f"families-open-{key}").disabled for key in SMALL)
