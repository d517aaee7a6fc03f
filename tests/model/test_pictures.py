"""From a picture to a record: the library's own preparation, ViT and CLIP against the library's eager run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

from PIL import Image  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors  # noqa: E402

from model.checkpoints.disk.families import FAMILIES, small_model  # noqa: E402
from model.checkpoints.disk.processor_config import processor_config  # noqa: E402
from model.checkpoints.library.library_model import HuggingFaceModel  # noqa: E402
from model.checkpoints.media.pictures import Picture, cropped_input, pixels, sample_picture, trace_picture  # noqa: E402
from model.checkpoints.record.forward import prepare  # noqa: E402
from model.errors import (  # noqa: E402
    BadFile,
    DamagedCheckpoint,
    EmptyText,
    OutOfRange,
    TextTooLong,
)
from model.trace.trace import Trace  # noqa: E402
from tests import bounds  # noqa: E402

CLIP_WORDS = ["<start>", "<end>", "a", "red", "disc", "green", "square", "cat"]
VIT_SETTINGS = {
    "image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}, "resample": 2,
    "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "do_resize": True, "do_rescale": True,
}  # fmt: skip
OLD_VIT_SETTINGS = {"feature_extractor_type": "ViTFeatureExtractor", "size": 16, "resample": 3, "do_normalize": True}
CLIP_SETTINGS = {"image_processor_type": "CLIPImageProcessorFast", "size": {"shortest_edge": 20}, "crop_size": 16}


def random_picture(height: int, width: int, seed: int = 0) -> Picture:
    shape = (height, width, 3)
    return Picture(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def vit() -> HuggingFaceModel:
    family = next(f for f in FAMILIES if f.model_type == "vit")
    return HuggingFaceModel("tiny vit", prepare(small_model(family)), None, "vit", "0" * 16)


def clip(sharpen: float = 3.0) -> HuggingFaceModel:
    vocabulary = {word: i for i, word in enumerate(CLIP_WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="cat"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece()
    ends = [("<start>", 0), ("<end>", 1)]
    tokenizer.post_processor = processors.TemplateProcessing("<start> $A <end>", None, ends)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    torch.manual_seed(3)
    config = transformers.CLIPConfig(
        text_config=shape | {"vocab_size": 8, "max_position_embeddings": 7, "bos_token_id": 0, "eos_token_id": 1,
                             "pad_token_id": 1, "num_hidden_layers": 3},
        vision_config=shape | {"image_size": 16, "patch_size": 4}, projection_dim=16,
    )  # fmt: skip
    module = transformers.CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(sharpen)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<start>", eos_token="<end>")
    return HuggingFaceModel("tiny clip", prepare(module), fast, "clip", "1" * 16)


@pytest.mark.parametrize("shape", [(50, 70), (70, 50), (16, 16), (3, 40), (1, 1)])
@pytest.mark.parametrize("settings", [VIT_SETTINGS, OLD_VIT_SETTINGS, CLIP_SETTINGS], ids=["vit", "old vit", "clip"])
def test_preparation_is_the_librarys(settings: dict, shape: tuple[int, int], tmp_path: Path):
    kind = "clip" if settings is CLIP_SETTINGS else "vit"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    library = transformers.AutoImageProcessor.from_pretrained(tmp_path, local_files_only=True)
    picture, module = random_picture(*shape), (clip() if kind == "clip" else vit()).module
    expected = library(Image.fromarray(picture.rgb), return_tensors="pt")["pixel_values"]
    found = pixels(module, picture, processor_config(tmp_path))
    assert torch.equal(found, expected)
    assert found.shape == (1, 3, 16, 16)


def test_preparation_by_hand():
    """Resized by Pillow, then (x / 255 − mean) / std, without the library."""
    picture = random_picture(50, 70)
    resized = np.asarray(Image.fromarray(picture.rgb).resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(cropped_input(vit().module, picture, VIT_SETTINGS).numpy(), resized)
    expected = (resized / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.3, 0.4])
    found = pixels(vit().module, picture, VIT_SETTINGS)[0].permute(1, 2, 0).numpy()
    bounds.close(found, expected, 64)


def test_preparation_without_settings_is_assumed_and_says_so():
    picture = random_picture(30, 20)
    resized = np.asarray(Image.fromarray(picture.rgb).resize((16, 16), Image.Resampling.BILINEAR))
    found = pixels(vit().module, picture, None)[0].permute(1, 2, 0).numpy()
    bounds.close(found, resized / 127.5 - 1, 64)
    facts = trace_picture(vit(), picture).facts
    assert facts["preparation"] == {"from": "assumed", "mean": [0.5] * 3, "std": [0.5] * 3}
    assert facts["original"] == [30, 20]
    assert pixels(clip().module, picture, None).shape == (1, 3, 16, 16)


def test_settings_of_a_folder(tmp_path: Path):
    assert processor_config(tmp_path) is None
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": VIT_SETTINGS}))
    assert processor_config(tmp_path) == VIT_SETTINGS
    (tmp_path / "preprocessor_config.json").write_text("[1]")
    with pytest.raises(BadFile):
        processor_config(tmp_path)


def test_vit_is_recorded():
    model, picture = vit(), sample_picture(60)
    trace = trace_picture(model, picture, processor_config=VIT_SETTINGS)
    side = trace.side("encoder")
    assert side.tokens[:3] == ("[CLS]", "r0c0", "r0c1") and side.tokens[-1] == "r3c3"
    assert side.special == (True, *[False] * 16)
    assert [str(site) for site in trace.sites] == ["encoder.0.self", "encoder.1.self"]
    assert trace.facts["grid"] == [4, 4] and trace.facts["reads"] == "picture"
    assert trace.activation("image").shape == (16, 16, 3) and trace.activation("image").dtype == torch.uint8
    assert trace.activation("encoder.2.stream").shape == (17, 32)
    given = pixels(model.module, picture, VIT_SETTINGS)
    model.module.set_attn_implementation("eager")
    with torch.no_grad():
        output = model.module(given, output_attentions=True)
    for layer, expected in enumerate(output.attentions):
        found = torch.stack([trace.weights(f"encoder.{layer}.self", head) for head in range(4)])
        torch.testing.assert_close(found, expected[0], atol=bounds.WEIGHT, rtol=0)
    assert trace.fidelity().holds


def test_the_classes_are_the_models():
    model = vit()
    model.module.config.id2label = {0: "dog", 1: "cat"}
    (first, p), (second, q) = trace_picture(model, sample_picture(), processor_config=VIT_SETTINGS).facts["classes"]
    with torch.no_grad():
        expected = model.module(pixels(model.module, sample_picture(), VIT_SETTINGS)).logits[0].double().softmax(-1)
    assert {first: p, second: q} == pytest.approx(
        {"dog": expected[0].item(), "cat": expected[1].item()}, abs=bounds.WEIGHT
    )
    assert p >= q


def test_clip_records_both_towers():
    model = clip()
    trace = trace_picture(model, sample_picture(), "a red disc", processor_config=CLIP_SETTINGS)
    assert trace.tokens("decoder") == ["<start>", "a", "red", "disc", "<end>"]
    assert trace.side("decoder").words == (-1, 0, 1, 2, -1)
    assert [str(s) for s in trace.sites] == [*(f"encoder.{i}.self" for i in (0, 1)),
                                             *(f"decoder.{i}.self" for i in (0, 1, 2))]  # fmt: skip
    assert trace.activation("decoder.3.stream").shape == (5, 32)
    assert not trace.predicts and trace.fidelity().holds
    model.module.set_attn_implementation("eager")
    given = {"pixel_values": pixels(model.module, sample_picture(), CLIP_SETTINGS),
             "input_ids": torch.tensor([trace.token_ids("decoder")])}  # fmt: skip
    with torch.no_grad():
        output = model.module(**given, output_attentions=True)
    for stack, tower in (("encoder", output.vision_model_output), ("decoder", output.text_model_output)):
        for layer, expected in enumerate(tower.attentions):
            found = torch.stack([trace.weights(f"{stack}.{layer}.self", head) for head in range(4)])
            torch.testing.assert_close(found, expected[0], atol=bounds.WEIGHT, rtol=0)
    assert trace.record("decoder.0.self").mask.causal and not trace.record("encoder.0.self").mask.causal


@pytest.mark.parametrize("selected", [0, 2])
def test_captions_are_compared_as_clip_compares_them(selected: int):
    model, captions = clip(), ["a red disc", "a cat", "a green green square"]
    trace = trace_picture(model, sample_picture(), captions, selected=selected, processor_config=CLIP_SETTINGS)
    assert trace.key.target == captions[selected]
    found = trace.facts["captions"]
    model.tokenizer.pad_token = "<end>"
    ids = model.tokenizer(captions, return_tensors="pt", padding=True)
    given = pixels(model.module, sample_picture(), CLIP_SETTINGS)
    with torch.no_grad():
        expected = model.module(ids.input_ids, given, ids.attention_mask).logits_per_image[0]
    scale = model.module.logit_scale.exp().item()
    assert [row["text"] for row in found] == captions
    assert [row["similarity"] * scale for row in found] == bounds.near(expected.tolist(), 64)
    assert [row["probability"] for row in found] == pytest.approx(expected.softmax(0).tolist(), abs=bounds.WEIGHT)


def test_clip_without_a_caption_is_its_vision_tower():
    trace = trace_picture(clip(), sample_picture(), processor_config=CLIP_SETTINGS)
    assert list(trace.sides) == ["encoder"]
    assert {site.stack for site in trace.sites} == {"encoder"}
    assert "captions" not in trace.facts and "classes" not in trace.facts


def test_what_cannot_be_is_said_in_a_sentence():
    model, picture = clip(), sample_picture()
    with pytest.raises(EmptyText):
        trace_picture(model, picture, ["a cat", " "])
    with pytest.raises(TextTooLong):
        trace_picture(model, picture, "a cat a cat a cat")
    with pytest.raises(OutOfRange):
        trace_picture(model, picture, "a cat", selected=1)
    with pytest.raises(DamagedCheckpoint, match="makes pictures of 32 × 32, and its model reads 16 × 16"):
        trace_picture(vit(), picture, processor_config=VIT_SETTINGS | {"size": {"height": 32, "width": 32}})


def test_the_card_of_the_model_has_its_settings():
    model = vit()
    carded = HuggingFaceModel("tiny vit", model.module, None, "vit", "0" * 16, {"processor": VIT_SETTINGS})
    assert trace_picture(carded, sample_picture()).facts["preparation"]["mean"] == [0.5, 0.4, 0.3]


def test_a_record_of_a_picture_is_saved_whole(tmp_path: Path):
    trace = trace_picture(clip(), sample_picture(), ["a cat", "a disc"], processor_config=CLIP_SETTINGS)
    found = Trace.open(trace.save(tmp_path / "picture.trace"))
    assert found.key == trace.key and found.sides == trace.sides and dict(found.facts) == dict(trace.facts)
    assert torch.equal(found.activation("image"), trace.activation("image"))


def test_large_patches_and_oblong_pictures():
    family = next(f for f in FAMILIES if f.model_type == "vit")
    config = transformers.ViTConfig(**family.small | {"image_size": (8, 20), "patch_size": (4, 5)})
    module = prepare(transformers.ViTForImageClassification(config).eval())
    model = HuggingFaceModel("oblong", module, None, "vit", "0" * 16)
    trace = trace_picture(model, random_picture(9, 9))
    assert trace.facts["grid"] == [2, 4] and len(trace.tokens("encoder")) == 9 == trace.record("encoder.0.self").keys
