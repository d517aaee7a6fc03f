"""The page of families: a small one of each opens, says that it is untrained, and runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import open_model
from model.checkpoints.disk import packages
from model.checkpoints.disk.shipped import shipped
from model.errors import NoCache
from model.families import CARDS, random_title
from tests import bounds
from tests.app.visit import Visit
from viz.base import numbers
from viz.ui.state import model_list

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


def shown_models(seen: Visit) -> list[str]:
    """The list of models as a person reads it."""
    return list(next(box.options for box in seen.at.selectbox if (box.key or "").startswith("model-")))


@pytest.mark.parametrize("key", SMALL)
def test_a_small_one_opens(visit, cache: Path, key: str) -> None:
    seen = visit("families").sound().click(f"families-open-{key}")
    name = next(card.small for card in CARDS if card.key == key)
    assert seen.view.model == str(make.folder(name)) and make.folder(name).is_relative_to(cache)
    assert seen.figures() == ["overview"]
    assert seen.complaint() == seen.say("families.untrained", family=random_title(name))
    assert seen.say("families.open_small", family=random_title(name)) in shown_models(seen)
    seen.go("heads").sound()
    weights = open_model(make.folder(name)).trace(seen.view.text).weights(seen.view.site, seen.view.head).numpy()
    assert abs(seen.figure("matrix")[1]["values"] - weights).max() < bounds.WEIGHT
    seen.go("encoder_decoder").sound()
    assert bool(seen.at.info) == (key not in ("t5", "bart"))


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", ["shaw", "gpt2", "mbert"])
def test_a_small_one_has_a_name_that_a_person_reads(visit, cache: Path, name: str, lang: str) -> None:
    """Its folder's, "random-shaw", is for a path."""
    seen = visit("model_card", model=make.write(name), lang=lang).sound()
    wanted = seen.say("families.open_small", family=random_title(name))
    assert any(text.value.startswith(f"### {wanted}") for text in seen.at.markdown)
    assert wanted in shown_models(seen) and not any("random-" in option for option in shown_models(seen))


def test_the_transformer_is_the_one_that_ships(visit) -> None:
    seen = visit("families", model="dates").sound()
    seen.click("families-trained-transformer").sound()
    assert seen.view.model == "translate" and seen.figures() == ["overview"]


@pytest.mark.parametrize("key", ["bert", "gpt2", "t5"])
def test_the_trained_one_is_offered_first_and_the_list_keeps_it(visit, key: str) -> None:
    card = next(card for card in CARDS if card.key == key)
    seen = visit("families").sound()
    keys = [button.key for button in seen.at.button]
    assert keys.index(f"families-trained-{key}") + 1 == keys.index(f"families-open-{key}")
    assert not any(name.startswith(f"families-have-{key}") and "small-" in name for name in buttons(seen))
    assert listed(seen) == {"translate", "dates", "induction"}
    seen.click(f"families-trained-{key}").sound()
    told = shipped()[card.trained]
    assert seen.view.model == card.trained and seen.view.text == told["examples"][0]
    assert (seen.view.site, seen.view.head) == tuple(told["head"])
    assert seen.figures() == ["overview"] and any(told["notice"]["en"] in said.value for said in seen.at.caption)
    assert listed(seen) == {"translate", "dates", "induction", card.trained}
    metrics = {metric.label: metric.value for metric in seen.go("model_card").sound().at.metric}
    loss = seen.say("card.held_out", guess=numbers.short(told["guess"]))
    assert metrics[loss] == numbers.short(told["loss"])
    seen.set("model", "translate").sound()
    assert listed(seen) == {"translate", "dates", "induction", card.trained}  # opened lately


def listed(seen: Visit) -> set[str]:
    """The models of the list of the side bar, less its last two entries, which lead elsewhere."""
    (box,) = [box for box in seen.at.selectbox if (box.key or "").startswith("model-")]
    known = {model_list.described(name): name for name in model_list.found()}
    assert list(box.options[-2:]) == [seen.say("bar.small"), seen.say("bar.yours")]
    return {known[option] for option in box.options[:-2]} - packages.installed().keys()


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
