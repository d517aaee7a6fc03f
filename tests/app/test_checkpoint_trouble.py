"""What goes wrong with a checkpoint is one sentence and nothing is lost; long work is stopped; drawing and training."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
import torch

from model import open_model
from model.checkpoints.library import library_model, outputs
from model.compare import aligned_runs
from tests.app.acting import put
from tests.app.visit import PAGES, Visit
from tests.model import tiny
from viz.ui.state import model_cache


def start_of(seen: Visit, key: str) -> str:
    return seen.say(key, **dict.fromkeys(("got", "allowed", "path", "reason", "name", "what", "does"), "\0")).split(
        "\0"
    )[0]


def upload(seen: Visit, key: str, data: bytes, name: str) -> Visit:
    (field,) = [field for field in seen.at.file_uploader if field.key == key]
    field.set_value((name, data, "application/octet-stream"))
    seen.at.run()
    return seen


@pytest.mark.parametrize("name", ["vit", "clip"])
def test_a_broken_picture_is_one_sentence_and_the_last_one_stays(visit, models: Path, name: str) -> None:
    from PIL import Image

    good = io.BytesIO()
    Image.new("RGB", (20, 30), (200, 10, 10)).save(good, "PNG")
    seen = visit("heads", model=name).sound()
    sample = seen.figure("matrix")[1]["values"]
    upload(seen, "media_pictures", good.getvalue(), "red.png").sound()
    own = seen.figure("matrix")[1]["values"]
    assert seen.view.media not in ("", "sample") and (own != sample).any()
    link = seen.link
    upload(seen, "media_pictures", good.getvalue()[:60], "torn.png")
    assert seen.link == link and Visit("heads", **link).sound().link == link  # the bad file is in no link
    assert seen.complaint().startswith(start_of(seen, "error.unreadable_picture"))
    assert (seen.figure("matrix")[1]["values"] == own).all() and seen.view.model == name
    (back,) = [button for button in seen.at.button if button.label == seen.say("bar.sample")]
    back.click()
    seen.at.run()
    assert (seen.sound().figure("matrix")[1]["values"] == sample).all()


def test_a_broken_sound_is_one_sentence(visit, models: Path) -> None:
    seen = visit("heads", model="whisper").sound()
    upload(seen, "media_sound", b"RIFF not a sound", "torn.wav")
    assert seen.complaint().startswith(start_of(seen, "error.unreadable_sound"))
    assert seen.view.model == "whisper" and "matrix" in seen.figures()


def test_a_picture_of_another_day_is_one_sentence(visit, models: Path) -> None:
    seen = visit(model="vit", media="0123456789abcdef")
    assert seen.complaint() == seen.say("error.not_handed_in")
    assert seen.view.model == "vit" and "overview" in seen.figures()
    assert seen.link["media"] == "sample"  # which is what is shown


def test_a_text_file_is_read_and_one_that_is_no_text_is_said(visit, models: Path) -> None:
    seen = upload(visit("heads", model="gpt2"), "text_file", "the cat\nsat".encode("utf-8-sig"), "a.txt").sound()
    assert seen.view.text == "the cat\nsat"
    upload(seen, "text_file", b"\xff\xfe\x00a", "b.txt")
    assert seen.complaint() == seen.say("error.not_text", name="b.txt") and seen.view.text == "the cat\nsat"


def test_a_saved_trace_has_no_text_to_type(visit, models: Path) -> None:
    seen = visit("heads", model="trace").sound()
    assert not seen.at.sidebar.get("text_input") and not seen.at.sidebar.get("text_area")
    assert seen.say("bar.saved") in [caption.value for caption in seen.at.sidebar.caption]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_only_what_may_be_a_hubs_name_is_said_to_be_looked_for(visit, models: Path, lang: str) -> None:
    seen = visit("models", model="gpt2", lang=lang)
    places = ("/nowhere", "~/nowhere", "./nowhere", "file:///nowhere", "C:/nowhere")
    for typed in (*places, "nobody/nothing"):
        seen.at.session_state["models-path"] = typed
        seen.at.run()
        assert (seen.complaint() == seen.say("models.no_path")) == (typed == "nobody/nothing"), typed


def test_a_path_that_does_not_exist_is_said(visit, models: Path) -> None:
    seen = visit("models", model="gpt2")
    (field,) = [field for field in seen.at.text_input if field.key == "models-path"]
    field.set_value("/nowhere/at/all")
    seen.at.run()
    assert seen.complaint() == seen.say("models.near", existing="/", missing="nowhere")
    (button,) = [button for button in seen.at.button if button.key == "open-path"]
    assert button.disabled and seen.view.model == "gpt2" and not seen.figures()  # the page with the path stays


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_a_refused_folder_is_told_fits_its_cause(visit, models: Path, tmp_path: Path, lang: str) -> None:
    def refused(name: str, key: str, at_once: bool = False, **values: object) -> None:
        seen = visit("models", model="gpt2", lang=lang)
        field = next(field for field in seen.at.text_input if field.key == "models-path")
        field.set_value(str(tmp_path / name))
        seen.at.run()
        said = seen.say(key, path=tmp_path / name, **values)
        if at_once:  # before anything is opened
            assert seen.at.button(key="open-path").disabled
            assert said in seen.complaint()
            return
        assert said in seen.complaint()  # Enter opened it
        assert seen.view.model == "gpt2"

    for name, told in (
        ("gptq", {"quantization_config": {"quant_method": "gptq", "bits": 4}, "_name_or_path": "some/base"}),
        ("mlx", {"quantization": {"group_size": 64, "bits": 4}}), ("act", {"activation_function": "wiggle"}), ("onnx", {}),
    ):  # fmt: skip
        folder = Path(shutil.copytree(models / "gpt2", tmp_path / name))
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | told))
    (folder / "model.safetensors").rename(folder / "model.onnx")
    refused("gptq", "error.quantised_from", True, kind="GPTQ, 4 bits", base="some/base")
    refused("mlx", "error.quantised", True, kind="MLX, 4 bits")
    refused("act", "error.bad_config", file="config.json", reason="the library does not know 'wiggle', which it names")
    refused("onnx", "error.other_weights", file="model.onnx", kind="a graph for ONNX", allowed="model.safetensors")


def test_a_second_text_stays_with_its_model(visit, models: Path) -> None:
    seen = put(visit("heads", model="encoder", text="the cat"), "text_input", "pair", "a dog").sound()
    assert seen.view.pair == "a dog"
    seen.set("model", "gpt2").sound()
    assert seen.view.pair == "" and seen.go("output").sound().view.pair == ""


@pytest.mark.parametrize("name", ["gpt2", "t5", "vit", "clip", "whisper", "encoder", "ours", "trace"])
def test_a_path_opens_what_lies_there(visit, models: Path, name: str, tmp_path: Path) -> None:
    path = {"ours": tmp_path / "tiny", "trace": models / "saved" / "trace.safetensors"}.get(name, models / name)
    if name == "ours":
        tiny.write_checkpoint(path)
    seen = visit(model=path).sound()
    assert seen.view.model == str(path)
    for page in ("heads", "output", "steps", *(["model_card"] if name != "ours" else [])):
        seen.go(page).sound()


@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_checkpoint_is_one_sentence_and_the_last_model_stays(visit, models: Path, page: str) -> None:
    seen = visit(page, model="gpt2").sound()
    seen.set("model", "damaged")
    if page == "by_hand":  # runs nothing
        return
    if page in ("models", "families", "corpus", "train"):  # they ask for no run
        seen.go("heads")
    assert start_of(seen, "error.bad_file") in seen.complaint()
    assert seen.view.model == "gpt2"
    seen.go("overview").sound()
    assert seen.view.model == "gpt2"


@pytest.mark.parametrize("name", ["nope", "../bert", "/nowhere/model", "who/what", "\0/a", "/x.safetensors"])
def test_an_unknown_model_in_a_link_is_one_sentence(visit, models: Path, name: str) -> None:
    seen = visit(model=name)
    assert len(seen.complaint()) < 700 and seen.view.model == "translate" and seen.figures() == ["overview"]
    path = name.startswith(("/", ".")) and not name.endswith(".safetensors")  # a saved trace has its own sentence
    assert path == seen.complaint().startswith(start_of(seen, "error.nothing_there"))
    assert not seen.click("models-again").at.exception
    assert seen.at.text_input(key="models-path").value == name  # where it can be corrected


def test_a_text_that_is_too_long_is_refused_everywhere(visit, models: Path) -> None:
    for name, text in (("bert", "cat " * 100), ("gpt2", "the cat sat " * 400), ("bart", "the cat " * 60)):
        seen = visit("heads", model=name).sound()
        before = seen.figure("matrix")[1]["values"]
        put(seen, "text_area", "text", text)
        assert seen.complaint().startswith(start_of(seen, "error.text_too_long"))
        assert (seen.figure("matrix")[1]["values"] == before).all()
    # What is drawn and learned goes with the run that is shown, which is the last good one.
    seen = visit("output", model="gpt2", text="zq " * 500).click("sample-draw")
    assert seen.complaint().startswith(start_of(seen, "error.text_too_long"))
    assert len(seen.at.session_state["sampled"]) == 3
    seen.at.text_input(key="train-target").set_value("and on")
    seen.click("train-step")
    assert seen.complaint() and seen.at.session_state["trained"].loss_before > 0


def test_little_memory_is_said_before_the_run(visit, models: Path, monkeypatch) -> None:
    seen = visit("heads", model="gpt2").sound()
    monkeypatch.setenv("HEADLIGHT_MEMORY_LIMIT", "1kB")
    put(seen, "text_area", "text", "another text")
    assert seen.complaint().startswith(start_of(seen, "error.too_large")) and seen.view.model == "gpt2"


@pytest.mark.parametrize(
    "link",
    [
        {"model": "vit", "text": "hello"}, {"model": "gpt2", "media": "sample"}, {"model": "translate", "media": "sample"},
        {"model": "whisper", "text": "hello", "new": "5"}, {"model": "vit", "target": "x", "chat": "1", "pair": "y"},
        {"model": "bert", "new": "9"}, {"model": "t5", "new": "3"}, {"model": "translate", "pair": "I", "chat": "1"},
        {"model": "trace", "text": "x", "chat": "1"}, {"model": "gpt2", "text": "x", "new": "200"},
        {"model": "gpt2", "new": "-1"}, {"model": "llama", "chat": "-1"}, {"model": "ours", "words": "1"},
        {"model": "ours", "media": "sample", "to": "fr"},
        {"model": "encoder", "pair": "x", "words": "1"}, {"model": "clip", "words": "1"},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_model_does_not_take_is_no_exception(visit, models: Path, link: dict[str, str]) -> None:
    seen = visit(**link).sound()
    for page in ("heads", "output", "steps"):
        assert seen.go(page).sound().view.model == link["model"]


def test_continuations_are_drawn_by_their_seed(visit, models: Path) -> None:
    def draw(seed: int) -> list[str]:
        seen.at.number_input(key="sample-seed").set_value(seed)
        seen.click("sample-draw").sound()
        return [m.value for m in seen.at.markdown if m.value[:3] in ("1. ", "2. ", "3. ")]

    seen = visit("output", model="gpt2", text="Once upon a time").sound()
    first = draw(0)
    assert len(first) == 3 and draw(1) != first
    assert draw(0) == first
    found = outputs.sample(open_model(models / "gpt2"), "Once upon a time", 3)
    seen.click("sample-look-1").sound()
    assert seen.view.text == found[1].text
    assert seen.go("heads").sound().view.text == found[1].text


def test_a_continuation_of_an_encoder_decoder_becomes_its_target(visit, models: Path) -> None:
    seen = visit("output", model="bart", text="I like cats").click("sample-draw").sound()
    found = outputs.sample(open_model(models / "bart"), "I like cats", 3)
    seen.click("sample-look-0").sound()
    assert seen.view.target == found[0].text and seen.view.text == "I like cats"


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_a_training_step_leaves_the_model_as_it_is(visit, models: Path, name: str) -> None:
    seen = visit("output", model=name, text="I like cats").sound()
    module = model_cache.opened(name).module
    before = {key: value.clone() for key, value in module.state_dict().items()}
    seen.at.text_input(key="train-target").set_value("and dogs")
    seen.at.run()
    seen.click("train-step").sound()
    found = outputs.training_step(open_model(models / name), "I like cats", "and dogs", learning_rate=1e-4)
    losses = [float(metric.value) for metric in seen.at.metric[:2]]
    assert losses == pytest.approx([found.loss_before, found.loss_after], rel=1e-3) and losses[0] != losses[1]
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert not module.training and all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_training_step_shows_the_attention_that_it_changed(visit, models: Path, lang: str) -> None:
    seen = visit("output", model="t5", text="I like cats", site="decoder.1.cross", head=0, lang=lang).sound()
    assert not [key for key in seen.figures() if key.startswith("comparing-step")]
    seen.at.text_input(key="train-target").set_value("and dogs")
    seen.at.run()
    seen.click("train-step").sound()
    step = outputs.training_step(open_model(models / "t5"), "I like cats", "and dogs", learning_rate=1e-4)

    def drawn(head: int, site: str) -> None:
        frames = [seen.figure(f"comparing-step-{place}") for place in range(3)]
        before, after = (run.weights(site, head).numpy() for run in (step.before, step.after))
        for (header, arrays), wanted in zip(frames, (before, after, after - before), strict=True):
            assert arrays["values"].shape == wanted.shape and abs(arrays["values"] - wanted).max() < 1e-5
            assert header["rows"][-1]["text"].endswith("</s>") and header["words"]["legend"]
        scale = frames[2][0]["scale"]
        assert scale["kind"] == "diverging" and scale["low"] == -scale["high"] < 0
        assert scale["high"] == pytest.approx(abs(after - before).max(), rel=0.05)

    drawn(0, "decoder.1.cross")
    assert seen.say("output.attention_limits") in [caption.value for caption in seen.at.caption]
    both = step.before, step.after
    most = aligned_runs.ranked_changes(*both, aligned_runs.aligned_sides(*both))[0]
    seen.click("train-most").sound()
    assert (seen.view.site, seen.view.head) == (str(most.site), most.head)
    drawn(most.head, str(most.site))
    assert not [button for button in seen.at.button if button.key == "train-most"]


def test_what_nobody_foresaw_is_one_sentence(visit, models: Path, monkeypatch) -> None:
    seen = visit("heads", model="gpt2", text="the cat").sound()

    def broken(*_args: object, **_more: object):
        raise RuntimeError("shapes do not match\nand a second line")

    monkeypatch.setattr(library_model, "record", broken)
    put(seen, "text_area", "text", "another text")
    assert "RuntimeError: shapes do not match" in seen.complaint() and "second line" not in seen.complaint()
    assert any("the cat" in caption.value for caption in seen.at.caption)
