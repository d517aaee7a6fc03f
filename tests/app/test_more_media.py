"""SigLIP, TrOCR, Wav2Vec2 and Moonshine on the pages: patches and frames by name, what is said of a pair and of a frame."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("transformers")

from model import open_model
from model.checkpoints.disk.families import entry, small_model
from model.checkpoints.library.opening_check import OpeningCheck
from model.checkpoints.media import samples, sound
from model.checkpoints.media.picture_files import sample_picture
from model.checkpoints.media.samples import sample_read
from model.checkpoints.media.sound import sample_sound, trace_sound
from model.trace.site import Site
from tests import bounds
from tests.model.test_more_media import folder, wav2vec2
from viz.ui.language import catalogue
from viz.ui.state import default_head, uploads
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
            [seen.say("note.missing", names="`vision_model.head.attention`")] if name == "siglip" else []
        ), page


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("name", "sample"), [("trocr", "picture"), ("siglip", "picture"), ("wav2vec2", "tones")])
def test_the_first_screen_shows_what_was_read_and_that_it_is_a_sample(
    visit, monkeypatch, tmp_path: Path, name: str, sample: str, lang: str
) -> None:
    monkeypatch.setattr(sound, "SPOKEN", tmp_path / "none.wav")
    samples._sounds.cache_clear()
    seen = visit("overview", model=name, lang=lang)
    assert not seen.at.exception and not seen.at.error
    words = catalogue(lang)
    if sample == "picture":
        assert len(seen.at.get("image")) == 1 and not seen.at.get("audio")
        shown = words["overview.seen_size"].format(width=16, height=16, rows=4, columns=4)
    else:
        assert len(seen.at.get("audio")) == 1 and len(seen.at.get("vega_lite_chart")) == 1
        shown = words["overview.heard_length"].format(seconds=2, frames=99)
    assert f"{shown}  \n{words[f'overview.sample_{sample}']}" in said(seen)
    samples._sounds.cache_clear()


def test_what_a_visitor_gave_is_no_sample(visit, kinds: Path) -> None:
    picture = sample_picture(32).rgb[::-1]
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    seen = visit("overview", model="trocr", media=uploads.keep(file.getvalue(), "mine.png"), lang="en").sound()
    assert len(seen.at.get("image")) == 1 and seen.say("overview.sample_picture") not in said(seen)
    opened = open_model(kinds / "wav2vec2")
    read = {
        rate: sample_read(trace_sound(opened, wave, rate=rate))
        for wave, rate in (sample_sound(), (sample_sound()[0], 8000))
    }
    assert read == {16000: "tones", 8000: ""}


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
def test_a_picture_without_a_text_asks_for_one(visit, lang: str) -> None:
    seen = {text: visit("output", model="siglip", text=text, lang=lang).at for text in ("", "a red disc")}
    assert not any(at.exception or at.error for at in seen.values())
    infos = {text: [info.value for info in at.info] for text, at in seen.items()}
    assert infos == {"": [catalogue(lang)["output.captions_none"]], "a red disc": []}


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("uniform", [1, 2])
def test_one_and_many_are_said_as_such(visit, monkeypatch, lang: str, missing: int, uniform: int) -> None:
    names = ["vision_model.head.attention", "text_model.head.attention"][:missing]
    monkeypatch.setattr(OpeningCheck, "facts", lambda check: {"missing": names})
    heads = [(Site.parse("encoder.0.self"), head) for head in range(uniform)]
    monkeypatch.setattr(default_head, "uniform_heads", lambda trace: heads)
    seen = visit("heads", model="siglip", text=f"a red disc {missing}", lang=lang)
    words = catalogue(lang)
    (warning,) = (warning.value for warning in seen.at.warning)
    key = "note.missing" if missing == 1 else "note.missing_several"
    assert warning == words[key].format(n=missing, names=", ".join(f"`{name}`" for name in names))
    key = "note.uniform" if uniform == 1 else "note.uniform_several"
    before = words[key].format(n=uniform, names="\0").split("\0")[0]
    assert any(caption.value.startswith(before) for caption in seen.at.caption)
    if lang == "en":
        assert ("1 sub-layers" in warning, "1 heads" in said(seen)) == (False, False)


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


def test_an_end_that_is_written_at_once_is_drawn(visit) -> None:
    """Nobody trained this TrOCR: it ends its text at once, and that row has the ribbons."""
    header, arrays = visit("overview", model="trocr", lang="en").figure("overview")
    assert [token["text"] for token in header["target"]] == ["<end>"] and arrays["hero"].shape == (1, 17)
    assert arrays["hero"].sum() == pytest.approx(1, abs=bounds.WEIGHT * 17)
    header, arrays = visit("overview", model="trocr", target="the cat sat", lang="en").figure("overview")
    assert [token["text"] for token in header["target"]] == ["the", "cat", "sat", "<end>"] and arrays["hero"].shape == (
        4,
        17,
    )


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_written_is_drawn_on_the_picture_that_it_reads(visit, lang: str) -> None:
    link = {"model": "trocr", "target": "the cat sat", "head": 2, "q": 1, "k": 5, "lang": lang}
    seen = visit("heads", site="decoder.1.cross", **link).sound()
    assert seen.figures()[:2] == ["matrix", "patches"] and "lines" not in seen.figures()
    header, arrays = seen.figure("patches")
    matrix, values = seen.figure("matrix")
    assert [token["text"] for token in header["queries"]] == [label["text"] for label in matrix["rows"]]
    assert arrays["weights"].shape == (4, 17)
    np.testing.assert_allclose(arrays["weights"], values["values"], atol=bounds.WEIGHT, rtol=0)
    assert header["selection"] == {"row": 1, "column": 5}
    assert header["words"]["alt"].startswith(seen.say("patches.alt_written", site="\0", head=2).split("\0")[0])
    seen = visit("heads", site="decoder.1.self", **link).sound()
    assert "patches" not in seen.figures() and "lines" in seen.figures()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_one_token_that_was_written_is_compared_with_no_other(visit, lang: str) -> None:
    """Nobody trained this TrOCR: it ends its text at once."""
    link = {"model": "trocr", "tab": "block.activations", "lang": lang}
    seen = visit("block", site="decoder.1.self", **link).sound()
    assert seen.say("block.alike_alone") in said(seen) and "NaN" not in said(seen)
    assert not {"block-alike", "block-plane"} & set(seen.figures())
    seen = visit("block", site="encoder.1.self", **link).sound()
    assert seen.say("block.alike_alone") not in said(seen) and "block-alike" in seen.figures()


@pytest.mark.parametrize(
    ("name", "site", "form"),
    [("moonshine", "encoder.1.self", r"W_2 + b_2,\qquad h = \mathrm{GELU}(x W_1 + b_1)"),
     ("moonshine", "decoder.1.self", r"W_2 + b_2,\qquad h = \mathrm{SiLU}(x W_1 + b_1) \odot (x V + c)"),
     ("wav2vec2", "encoder.1.self", r"W_2 + b_2,\qquad h = \mathrm{GELU}(x W_1 + b_1)"),
     ("siglip", "encoder.1.self", r"W_2 + b_2,\qquad h = \mathrm{GELU (tanh)}(x W_1 + b_1)")],
)  # fmt: skip
def test_units_are_computed_as_the_formula_says(visit, name: str, site: str, form: str) -> None:
    text = {"text": "a red disc"} if name == "siglip" else {}
    seen = visit("block", model=name, site=site, tab="block.units", lang="en", **text)
    assert not seen.at.exception and not seen.at.error
    assert any(form in each.value for each in seen.at.latex), [each.value for each in seen.at.latex]


@pytest.mark.parametrize(("name", "keys"), [("siglip", "site.tower_{}"), ("trocr", "site.{}")])
def test_towers_are_named_by_what_they_read(visit, name: str, keys: str) -> None:
    text = {"text": "a red disc"} if name == "siglip" else {}
    seen = visit("block", model=name, lang="en", **text)
    (picker,) = [group for group in seen.at.button_group if group.label == seen.say("block.stack")]
    assert list(picker.options) == [seen.say(keys.format(side)) for side in ("encoder", "decoder")]


CARDS = {
    "siglip": {"built for": "vectors of pictures and texts, to compare", "positions": "learned", "longest text, in tokens": "9"},
    "trocr": {"built for": "writing a text about a picture", "positions": "learned", "longest text, in tokens": "24"},
    "wav2vec2": {"built for": "a label (in speech a character) for each frame",
                 "positions": "convolutional (the frames around a frame)", "vocabulary": "32"},
    "moonshine": {"built for": "writing down a sound", "positions": "rotary", "longest text, in tokens": "24"},
}  # fmt: skip
LAYERS = {"siglip": "layers, pictures + texts", "wav2vec2": "layers"}


@pytest.mark.parametrize("name", KINDS)
def test_the_card_is_in_the_words_of_what_is_read(visit, name: str) -> None:
    text = {"text": "a red disc"} if name == "siglip" else {}
    seen = visit("model_card", model=name, lang="en", **text).sound()
    facts = dict(seen.at.dataframe[0].value.itertuples(index=False))
    assert CARDS[name].items() <= facts.items() and "maximum length" not in facts
    assert (facts["attention"], facts["d_model"], facts["d_k"], facts["d_ff"]) == ("multi-head", "32", "8", "64")
    metrics = {metric.label: metric.value for metric in seen.at.metric}
    assert metrics[LAYERS.get(name, "layers, encoder + decoder")] == ("2" if name == "wav2vec2" else "2 + 2")
