"""Quiet remarks stand where they are true: unknown tokens, untrained weights, what to look for, the head that is drawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from model import open_model
from model.checkpoints import own
from model.checkpoints.disk import other_folders, packages
from model.checkpoints.disk.packages import Package
from model.checkpoints.library import adapter, library_model
from model.jobs import device
from tests import bounds
from tests.app.acting import put
from tests.app.visit import Visit
from tests.model.test_quantised_folders import fp8, repacked, settings
from viz.ui.state.model_list import found


def captions(seen: Visit) -> list[str]:
    return [caption.value for caption in seen.at.caption]


def unknown(seen: Visit) -> list[str]:
    end = seen.say("note.unknown", n="\0", unknown="").split("\0")[1]
    return [caption for caption in captions(seen) if caption.endswith(end)]


def test_tokens_that_the_vocabulary_lacks_are_counted(visit, models: Path) -> None:
    seen = visit("heads", model="encoder", text="I like cats").sound()
    assert not unknown(seen)
    put(seen, "text_area", "text", "I like 🐱 and قط").sound()
    ids = open_model(models / "encoder").trace("I like 🐱 and قط").tokens("encoder").count("[UNK]")
    assert ids == 2 and unknown(seen) == [seen.say("note.unknown", n=2, unknown="`[UNK]`")]
    assert unknown(seen.go("output").sound())
    # Byte-level tokens spell everything, and GPT-2's sign for the unknown also ends its texts.
    assert not unknown(visit("heads", model="gpt2", text="I like 🐱").sound())


def test_random_weights_are_said_on_every_page(visit, models: Path, tmp_path: Path) -> None:
    for name in ("random-gpt2", "random-walks"):
        shutil.copytree(models / "gpt2", tmp_path / name)
    seen = visit(model=tmp_path / "random-gpt2").sound()
    for page in ("overview", "heads", "output", "heads"):
        assert seen.say("note.random") in captions(seen.go(page).sound())
    for name in ("gpt2", tmp_path / "random-walks"):
        assert seen.say("note.random") not in captions(visit("heads", model=name).sound())


def test_packed_weights_are_said(visit, models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "llama", tmp_path / "packed"))
    repacked(folder, fp8)
    settings(folder, quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]})
    seen = visit("heads", model=folder).sound()
    told = seen.say("note.unpacked", kind="FP8")
    assert told in captions(seen) and told not in captions(visit("heads", model="llama").sound())


def test_an_adapter_that_is_not_applied_is_said(visit, models: Path, tmp_path: Path, monkeypatch) -> None:
    for module in (adapter, other_folders):
        monkeypatch.setattr(module, "find_spec", lambda name: None)  # of a computer without peft
    settings(Path(shutil.copytree(models / "llama", tmp_path / "beside")), "adapter_config.json", peft_type="LORA")
    seen = visit("heads", model=tmp_path / "beside")
    assert seen.say("note.adapter", kind="`LORA`") in [warning.value for warning in seen.at.warning]
    (tmp_path / "alone").mkdir()
    settings(tmp_path / "alone", "adapter_config.json", peft_type="LORA", base_model_name_or_path=str(models / "llama"))
    told = {"path": tmp_path / "alone", "package": "peft", "command": "pip install peft"}
    assert seen.say("error.needs_package", **told) in visit(model=tmp_path / "alone").complaint()
    settings(tmp_path / "alone", "adapter_config.json", base_model_name_or_path="some/other")
    told = {"path": tmp_path / "alone", "kind": "LORA", "base": "some/other"}
    assert seen.say("error.adapter_alone", **told) in visit(model=tmp_path / "alone").complaint()


@pytest.mark.parametrize("name", ["gpt2", "translate"])
def test_another_device_than_the_processor_is_said(visit, models: Path, monkeypatch, name: str) -> None:
    def card(seen: Visit) -> dict[str, str]:
        (table,) = [
            f.value
            for f in seen.go("model_card").sound().at.dataframe
            if seen.say("card.hash") in f.value.iloc[:, 0].values
        ]
        return dict(zip(table.iloc[:, 0], table.iloc[:, 1], strict=True))

    seen = visit("heads", model=name, text="I like cats").sound()
    told = seen.say("note.device", device="`cuda:0`")
    assert told not in captions(seen) and seen.say("card.device") not in card(seen)
    # The tensors stay where they are: only what is asked for them says otherwise.
    monkeypatch.setattr(device, "device_of", lambda module: torch.device("cuda", 0))
    monkeypatch.setattr(library_model, "device_of", device.device_of)
    monkeypatch.setattr(own, "device_of", device.device_of)
    seen = visit("heads", model=name, text="I like dogs").sound()
    assert told in captions(seen)
    assert card(seen)[seen.say("card.device")] == "cuda:0"


@pytest.fixture
def package(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """The tiny encoder as if a package had brought it, with two examples and a notice about one of them."""
    (tmp_path / "tiny_package").mkdir()
    (tmp_path / "tiny_package" / "__init__.py").touch()
    shutil.copytree(models / "encoder", tmp_path / "tiny_package" / "model")
    made = Package(
        "minilm", "tiny_package", "model", "tiny==1", "Tiny", "bert", 1, "MIT",
        ("The bank raised its rates.", "I like cats"), {"en": "Compare where “bank” looks.", "zh": "比较 “bank”。"},
    )  # fmt: skip
    monkeypatch.setattr(packages, "PACKAGES", (made,))
    monkeypatch.setenv(packages.VARIABLE, str(tmp_path))
    found.clear()
    return made


def test_what_to_look_for_goes_with_the_text_it_is_about(visit, package: Package) -> None:
    seen = visit("heads", model="minilm").sound()
    notice = f"{seen.say('note.look')} {package.notice['en']}"
    assert seen.view.text == package.examples[0] and notice in captions(seen)
    for text in ("I like cats", "She sat on the bank of the river"):
        assert notice not in captions(put(seen, "text_area", "text", text).sound())
    assert notice in captions(put(seen, "text_area", "text", package.examples[0]).sound())


def test_the_gap_is_written_the_same_everywhere() -> None:
    assert not any("<mask>" in text for package in packages.PACKAGES for text in package.notice.values())


@pytest.mark.parametrize(
    "link", [{"site": "encoder.1.self", "head": 2}, {"site": "encoder.0.self", "head": 1}], ids=str
)
def test_the_ribbons_are_of_the_selected_head(visit, models: Path, link: dict) -> None:
    seen = visit(model="encoder", text="I like cats", **link).sound()
    for text in ("I like cats", "I like 🐱 and قط cats"):
        put(seen, "text_area", "text", text).sound()
        header, arrays = seen.figure("overview")
        hero, selected = header["hero"], header["selection"]
        assert (hero["site"], hero["head"]) == (selected["site"], selected["head"]) == (link["site"], link["head"])
        expected = open_model(models / "encoder").trace(text).weights(link["site"], link["head"]).numpy()
        np.testing.assert_allclose(arrays["hero"], expected, atol=bounds.WEIGHT)
        assert header["hero_at"] == [selected["row"], selected["column"]]


def test_ribbons_between_other_words_stay_with_their_own_best_head(visit, translator) -> None:
    best = translator.card["alignment"]["zh"]["predicting"]
    hero = visit(text="I like cats", to="zh", site="encoder.0.self", head=1).sound().figure("overview")[0]["hero"]
    assert (hero["site"], hero["head"]) == (best["site"], best["head"])
    hero = visit(text="I like cats", to="zh", site="decoder.0.cross", head=1).sound().figure("overview")[0]["hero"]
    assert (hero["site"], hero["head"]) == ("decoder.0.cross", 1)


def test_how_sharply_the_drawn_head_points_is_a_number(visit, translator) -> None:
    seen = visit(text="I like cats", to="zh", site="decoder.0.cross", head=1).sound()
    # Of the rows that have ribbons: the last wrote the end, which stands nowhere in the picture.
    weights = translator.trace("I like cats", language="zh").weights("decoder.0.cross", 1).double()[:-1]
    before, after = seen.say("overview.pointed_cross", weight="\0").split("\0")
    (told,) = [caption for caption in captions(seen) if before in caption]
    assert float(told.split(before)[1].split(after)[0]) == pytest.approx(float(weights.max(-1).values.mean()), rel=5e-3)


@pytest.mark.parametrize(("words", "too_many"), [(6, False), (84, True)])
def test_a_text_that_is_too_long_for_ribbons_is_told_so_where_they_would_be(visit, words: int, too_many: bool) -> None:
    seen = visit(text=" ".join(["the cat sat on the mat"] * (words // 6)), to="zh").sound()
    said = [
        caption for caption in captions(seen) if seen.say("overview.no_ribbons", n="§").partition("§")[2] in caption
    ]
    assert len(said) == too_many


def test_what_is_too_long_for_ribbons_is_not_told_of_them(visit, models: Path) -> None:
    seen = visit(model="whisper").sound()
    said = " ".join(markdown.value for markdown in seen.at.markdown)
    assert seen.say("overview_long.notice") in said and seen.say("overview_cross.notice") not in said
