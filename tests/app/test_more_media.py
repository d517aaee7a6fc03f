"""SigLIP, TrOCR, Wav2Vec2 and Moonshine on the pages: patches and frames by name, what is said of a pair and of a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from model.checkpoints.disk.families import entry, small_model
from tests.model.test_more_media import folder, wav2vec2
from viz.ui.state.model_list import found

KINDS = {"siglip": "siglip", "trocr": "vision-encoder-decoder", "wav2vec2": "", "moonshine": "moonshine"}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("media")
    for name, family in KINDS.items():
        if family:
            folder(root / name, small_model(entry(family), sharpen=3.0))
    # About 50 frames a second, as the models that people have.
    wav2vec2(root / "wav2vec2", conv_dim=(16,) * 4, conv_stride=(5, 4, 4, 4), conv_kernel=(10, 8, 4, 4),
             num_feat_extract_layers=4)  # fmt: skip
    return root


@pytest.fixture(autouse=True)
def offered(kinds: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name, value in (("HEADLIGHT_MODELS", kinds), ("HF_HUB_CACHE", tmp_path), ("HF_HUB_OFFLINE", "1")):
        monkeypatch.setenv(name, str(value))
    found.clear()
    yield
    found.clear()


def said(seen) -> str:
    return "\n".join(each.value for kind in (seen.at.markdown, seen.at.caption, seen.at.warning) for each in kind)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", KINDS)
def test_every_page_of_a_run_is_there(visit, name: str, lang: str) -> None:
    text = {"text": "a red disc"} if name == "siglip" else {}
    for page in (
        "overview",
        "heads",
        "atlas",
        "map",
        "steps",
        "output",
        "measures",
        "block",
        "encoder_decoder",
        "masks",
    ):
        seen = visit(page, model=name, lang=lang, **text)
        assert not seen.at.exception, (page, seen.at.exception[0].value)
        assert not seen.at.error, (page, seen.at.error[0].value)
        assert [warning.value for warning in seen.at.warning] == (
            [seen.say("note.missing", n=1, names="`vision_model.head.attention`")] if name == "siglip" else []
        ), page


def test_two_towers_hand_nothing_over(visit) -> None:
    header, _ = visit("overview", model="siglip", text="a red disc", lang="en").figure("overview")
    assert header["words"]["memory"] == "" and header["words"]["shifted"] == "the text it is compared with"
    header, _ = visit("overview", model="trocr", lang="en").figure("overview")
    assert header["words"]["memory"] and header["words"]["shifted"] == "what it wrote so far, shifted right"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_pair_stands_by_itself(visit, lang: str) -> None:
    seen = visit("output", model="siglip", text="a red disc", lang=lang)
    assert seen.say("output.captions_singly") in said(seen)
    assert seen.say("output.captions_what") not in said(seen)
    # "Probabilities sum to 1" is not said of these.
    assert seen.say("output.notice") not in said(seen) and seen.say("output.alone.notice") in said(seen)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_frames_of_a_sound_spell_a_text(visit, lang: str) -> None:
    seen = visit("output", model="wav2vec2", lang=lang)
    assert seen.say("output.frames") in said(seen) and seen.say("output.tags") not in said(seen)
    table = seen.at.dataframe[0].value
    assert table.iloc[1, 1] == "0.02s" and len(table) > 50
    assert seen.say("sound.whole") in said(visit("heads", model="wav2vec2", lang=lang))


def test_what_a_picture_is_read_as_is_forced_in_the_side_bar(visit) -> None:
    seen = visit("overview", model="trocr", target="the cat sat", lang="en")
    header, _ = seen.figure("overview")
    assert [chip["text"] for chip in header["shifted"]][1:] == ["the", "cat", "sat"]
