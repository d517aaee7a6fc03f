"""A model that was trained here and lies where no list looks: pages know it for one of ours, by its path."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from model import open_model
from model.training.train import train
from tests.app.visit import Visit

SIZES = {"d_model": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 2, "d_ff": 16, "train_size": 300}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "reverse-7"
    train("reverse", path, steps=30, snapshots=0, evaluate_every=100, average=0.0, **SIZES)
    return path


def shares(folder: Path) -> dict[tuple[str, int], float]:
    """Of every cross-attention head the rows whose strongest key is the letter that is written, by hand."""
    trace = open_model(folder).trace("abcdef", "fedcba")
    found = {}
    for layer in range(2):
        for head in range(2):
            weights = trace.weights(f"decoder.{layer}.cross", head).double().numpy()[:6]
            found[f"decoder.{layer}.cross", head] = float(np.mean(weights.argmax(1) == np.arange(5, -1, -1)))
    return found


def test_the_best_aligned_head_of_a_training_of_ones_own_is_offered(folder: Path) -> None:
    seen = Visit("heads", straight=True, model=str(folder), text="abcdef", target="fedcba").sound()
    told = [button for button in seen.at.button if (button.key or "").startswith("notable-")]
    aligned = [
        button for button in told if button.label.startswith(seen.say("notable.aligned", value="§").split("(")[0])
    ]
    assert len(aligned) == 1, [button.label for button in told]  # by its card, which measured held-out examples


def test_measures_have_a_column_of_the_alignment(folder: Path) -> None:
    seen = Visit("measures", straight=True, model=str(folder), text="abcdef", target="fedcba").sound()
    (table,) = [one.value for one in seen.at.dataframe if "alignment" in one.value]
    known = table.dropna(subset=["alignment"])
    assert list(known["alignment"]) == pytest.approx(list(shares(folder).values()))
    seen = Visit("measures", straight=True, model="induction").sound()
    assert not [one for one in seen.at.dataframe if "alignment" in one.value]


@pytest.mark.parametrize("page", ["generation", "encoder_decoder", "overview", "positions"])
def test_no_page_takes_it_for_a_strangers(folder: Path, page: str) -> None:
    seen = Visit(page, straight=True, model=str(folder), text="abcdef").sound()
    assert seen.say("positions.without_none") not in [info.value for info in seen.at.info]
    assert seen.say("encoder_decoder.gold_foreign") not in " ".join(one.value for one in seen.at.caption)


def test_its_card_has_the_guess_beside_the_loss(folder: Path) -> None:
    seen = Visit("model_card", straight=True, model=str(folder)).sound()
    size = open_model(folder).module.project.out_features
    shown = {metric.label: metric.value for metric in seen.at.metric}
    card = json.loads((folder / "card.json").read_text("utf-8"))["held_out"]
    label = seen.say("card.validation_loss", guess=f"{math.log(size):.2f}", v=size)
    assert float(shown[label]) == pytest.approx(card["validation_loss"], abs=5e-4)
    assert any(str(size) in name for name in shown)  # of the perplexity


def test_a_card_that_tells_how_well_it_does_does_not_say_that_nothing_is_known() -> None:
    pytest.importorskip("transformers")
    seen = Visit("model_card", straight=True, model="small-bert").sound()
    said = " ".join(one.value for one in seen.at.markdown)
    assert seen.say("library_card.limits") not in said and seen.say("own_card.limits") in said
