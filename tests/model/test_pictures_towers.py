"""One tower of CLIP saved alone, folders whose settings prepare no picture, and models that are asked for what they lack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from model import errors, open_model  # noqa: E402
from model.checkpoints.disk import discovery, packages  # noqa: E402
from model.checkpoints.disk.families import FAMILIES, small_model  # noqa: E402
from model.checkpoints.library.describe import describe  # noqa: E402
from model.checkpoints.media.pictures import pixels, sample_picture, trace_picture  # noqa: E402
from tests import bounds  # noqa: E402
from tests.model.test_hugging_face import write  # noqa: E402

VISION = ("CLIPVisionModel", "CLIPVisionModelWithProjection")
TEXT = ("CLIPTextModel", "CLIPTextModelWithProjection")


def tower(folder: Path, name: str) -> Path:
    """A small random tower as the library saves it."""
    whole = transformers.CLIPConfig(**next(f for f in FAMILIES if f.model_type == "clip").small)
    torch.manual_seed(0)
    config = whole.vision_config if name in VISION else whole.text_config
    module = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    module.save_pretrained(folder)
    return folder


def vit(folder: Path, settings: object = None, **changes: object) -> Path:
    family = next(f for f in FAMILIES if f.model_type == "vit")
    config = transformers.ViTConfig(**family.small | changes)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    if settings is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("name", VISION)
def test_a_vision_tower_alone_is_recorded(tmp_path: Path, name: str):
    folder = tower(tmp_path / "tower", name)
    model = open_model(folder)
    assert (model.reads, model.tokenizer, model.family) == ("pictures", None, "clip")
    trace = trace_picture(model, sample_picture())
    eager = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        given = pixels(model.module, sample_picture(), None)
        expected = getattr(eager, "vision_model", eager)(given, output_attentions=True)
    assert [str(site) for site in trace.sites] == ["encoder.0.self", "encoder.1.self"]
    for site, weights in zip(trace.sites, expected.attentions, strict=True):
        for head in range(4):
            torch.testing.assert_close(trace.weights(site, head), weights[0, head], atol=bounds.WEIGHT, rtol=0)
    assert trace.fidelity().holds and len(trace.tokens("encoder")) == 17
    found = describe(model)
    assert (found.layers, found.heads, found.d_model, found.vocabulary) == ((2,), (4,), (32,), None)
    # Prepared as CLIP's own processor does it where the folder has no settings.
    both = open_model(write(tmp_path / "clip", "clip"))
    assert torch.equal(given, pixels(both.module, sample_picture(), None))
    with pytest.raises(errors.NotInThisModel, match="caption"):
        trace_picture(model, sample_picture(), "a cat")
    with pytest.raises(errors.NotInThisModel, match="pictures"):
        model.trace("a cat")


@pytest.mark.parametrize("name", TEXT)
def test_a_text_tower_alone_is_recorded(tmp_path: Path, name: str):
    folder = tower(tmp_path / "tower", name)
    with pytest.raises(errors.NoTokenizer):
        open_model(folder)
    for file in write(tmp_path / "bert", "bert").glob("tokenizer*"):
        shutil.copy(file, folder)
    model = open_model(folder)
    trace = model.trace("the cat sat on the mat")
    eager = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.tensor([trace.side("decoder").ids])
    with torch.no_grad():
        expected = getattr(eager, "text_model", eager)(ids, output_attentions=True)
    for site, weights in zip(trace.sites, expected.attentions, strict=True):
        for head in range(4):
            torch.testing.assert_close(trace.weights(site, head), weights[0, head], atol=bounds.WEIGHT, rtol=0)
    assert trace.fidelity().holds
    with pytest.raises(errors.NotInThisModel, match="text"):
        trace_picture(model, sample_picture())


def test_a_vision_tower_is_listed_as_reading_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages, "PACKAGES", ())
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path))
    tower(tmp_path / "eyes", "CLIPVisionModel")
    assert discovery.discover()["eyes"].reads == "pictures" and "CLIP" in discovery.discover()["eyes"].title


SIZE = {"height": 16, "width": 16}


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"size": SIZE, "image_mean": "x"}, "mean"), ({"size": SIZE, "image_mean": [0.5]}, "mean"),
        ({"size": {"foo": 16}}, "size"), ({"size": {"height": -3, "width": 16}}, "-3"),
        ({"size": {"height": 200_000, "width": 200_000}}, "200000"), ({"size": "large"}, ""),
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_prepare_no_picture(tmp_path: Path, settings: dict, part: str):
    model = open_model(vit(tmp_path / "vit", settings))
    with pytest.raises(errors.DamagedCheckpoint, match=r"preprocessor_config\.json") as caught:
        trace_picture(model, sample_picture())
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_pictures_of_one_channel_are_said(tmp_path: Path):
    with pytest.raises(errors.NotInThisModel, match="1 channel"):
        trace_picture(open_model(vit(tmp_path / "grey", num_channels=1)), sample_picture())


def test_memory_that_runs_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from model.checkpoints.media import pictures

    monkeypatch.setattr(pictures, "record", lambda *_: torch.empty(10**16))
    with pytest.raises(errors.OutOfMemory):
        trace_picture(open_model(vit(tmp_path / "vit")), sample_picture())


def test_a_model_without_its_settings_is_prepared_as_its_family():
    family = next(f for f in FAMILIES if f.model_type == "vit")
    assert pixels(small_model(family), sample_picture(), None).shape == (1, 3, 16, 16)
