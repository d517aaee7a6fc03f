"""SigLIP, TrOCR, Wav2Vec2 and Moonshine from a folder: weights as the library's eager run has them, logits bit for bit, what
each says of its input; and the kinds that are refused, or read their text alone, when they are opened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: E402

from model import errors, open_model  # noqa: E402
from model.checkpoints.disk.families import entry, small_model  # noqa: E402
from model.checkpoints.library.library_model import HuggingFaceModel  # noqa: E402
from model.checkpoints.media.pictures import pixels, sample_picture, trace_picture  # noqa: E402
from model.checkpoints.media.sound import features, sample_sound, trace_sound  # noqa: E402
from model.trace.trace import Trace  # noqa: E402
from tests import bounds  # noqa: E402

pytestmark = pytest.mark.float32
SPECIAL = ["<pad>", "<start>", "<end>", "<unk>"]
WORDS = [*SPECIAL, *["the", "cat", "sat", "on", "mat", "because", "it", "was", "red", "disc", "green", "square", "a"]]
SOUND = sample_sound()[0][1600:5600]
CAPTIONS = ["a red disc", "the cat", "a green green square"]
V = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48, "image_size": 16,
     "patch_size": 4}  # fmt: skip
X = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 97,
     "max_position_embeddings": 64}  # fmt: skip


def folder(path: Path, module: torch.nn.Module, words: list[str] = WORDS) -> Path:
    """A model with a tokenizer of whole words, which ends each text with <end>."""
    module.eval().save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing("$A <end>", None, [("<end>", 2)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", unk_token="<unk>", bos_token="<start>"
    ).save_pretrained(path)
    return path


def opened(tmp_path: Path, family: str) -> HuggingFaceModel:
    return open_model(folder(tmp_path / family, small_model(entry(family), sharpen=3.0)))


def exact(trace: Trace, model: HuggingFaceModel, inputs: dict[str, torch.Tensor], parts: dict[str, str]) -> None:
    """Every weight as eager attention has it, up to the rounding of both, the logits of the untouched model bit for bit.

    parts: `encoder.{}.self` -> where the library's output has its weights.
    """
    assert trace.fidelity().holds and trace.fidelity().logits_error in (None, 0.0)
    eager = type(model.untouched).from_pretrained(model.untouched.name_or_path, attn_implementation="eager").eval()
    with torch.no_grad():
        plain, told = model.untouched(**inputs), eager(**inputs, output_attentions=True)
    named = "label_logits" if "label_logits" in trace.store else "logits"
    if getattr(plain, "logits", None) is not None:
        assert torch.equal(trace.store[named], plain.logits[0])
    seen = set()
    for site, where in parts.items():
        found = told
        for name in where.split("."):
            found = getattr(found, name)
        for layer, weights in enumerate(found):
            seen.add(site.format(layer))
            record = trace.record(site.format(layer))
            for head in range(4):
                rounding = 2 * bounds.weight(record.scores(head, dtype=torch.float64), record.d_k, torch.float32)
                torch.testing.assert_close(record.weights(head), weights[0, head], atol=max(2e-6, rounding), rtol=0)
    assert {str(site) for site in trace.sites} == seen


BOTH = {"encoder.{}.self": "encoder_attentions", "decoder.{}.self": "decoder_attentions",
        "decoder.{}.cross": "cross_attentions"}  # fmt: skip


def siglip_inputs(model: HuggingFaceModel, text: str) -> dict[str, torch.Tensor]:
    """As SigLIP's own processor makes them: the text filled up to its length, no mask."""
    ids = model.tokenizer(text, padding="max_length", max_length=9, return_tensors="pt").input_ids
    return {"input_ids": ids, "pixel_values": pixels(model.module, sample_picture(), None)}


def test_siglip_is_recorded(tmp_path: Path):
    model = opened(tmp_path, "siglip")
    trace = trace_picture(model, sample_picture(), "a red disc")
    parts = {"encoder.{}.self": "vision_model_output.attentions", "decoder.{}.self": "text_model_output.attentions"}
    exact(trace, model, siglip_inputs(model, "a red disc"), parts)
    # No [CLS], no mask in either tower, and the filling is a part of what is read.
    assert trace.tokens("encoder")[0] == "r0c0" and len(trace.tokens("encoder")) == 16
    assert trace.tokens("decoder") == ["a", "red", "disc", "<end>", *["<pad>"] * 5]
    assert not any(trace.record(site).mask.causal for site in trace.sites)
    # Its pooling is torch's own attention, outside the library's registry: said, not shown.
    assert trace.facts["opening"]["missing"] == ["vision_model.head.attention"]
    alone = trace_picture(model, sample_picture())
    assert {site.stack for site in alone.sites} == {"encoder"} and "captions" not in alone.facts


@pytest.mark.parametrize("selected", [0, 2])
def test_siglip_says_of_each_pair_by_itself_whether_it_fits(tmp_path: Path, selected: int):
    model = opened(tmp_path, "siglip")
    with torch.no_grad():
        model.module.logit_scale.fill_(1.5)  # as it begins to be trained: exp(t) = 10, b = −10 would leave no digits
        model.module.logit_bias.fill_(-0.7)
    trace = trace_picture(model, sample_picture(), CAPTIONS, selected=selected)
    with torch.no_grad():
        expected = torch.stack([
            model.untouched(**siglip_inputs(model, text)).logits_per_image[0, 0].double().sigmoid() for text in CAPTIONS
        ])  # fmt: skip
    found = [row["probability"] for row in trace.facts["captions"]]
    assert found == pytest.approx(expected.tolist(), abs=1e-6) and trace.facts["captions_how"] == "sigmoid"
    assert abs(sum(found) - 1) > 0.05 and len(set(found)) == 3
    alone = trace_picture(model, sample_picture(), CAPTIONS[0]).facts["captions"][0]["probability"]
    assert alone == pytest.approx(found[0], abs=1e-6)  # another batch may add up in another order


def test_a_vision_tower_and_a_classifier_of_siglip(tmp_path: Path):
    config = transformers.SiglipConfig(**entry("siglip").small)
    tower = transformers.SiglipVisionModel(config.vision_config)
    tower.save_pretrained(tmp_path / "tower")
    model = open_model(tmp_path / "tower")
    assert (model.reads, model.tokenizer, model.family) == ("pictures", None, "siglip")
    trace = trace_picture(model, sample_picture())
    assert len(trace.tokens("encoder")) == 16 and trace.fidelity().holds
    transformers.SiglipForImageClassification(config).save_pretrained(tmp_path / "classes")
    model = open_model(tmp_path / "classes")
    trace = trace_picture(model, sample_picture())
    assert model.task == "classification" and len(trace.facts["classes"]) == 2
    assert trace.fidelity().logits_error == 0.0


def test_trocr_is_recorded_as_it_writes(tmp_path: Path):
    model = opened(tmp_path, "vision-encoder-decoder")
    assert (model.task, model.reads, model.decodes) == ("seq2seq", "pictures", True)
    given = pixels(model.module, sample_picture(), None)
    trace = trace_picture(model, sample_picture())
    written = model.untouched.generate(pixel_values=given, max_new_tokens=23, do_sample=False, num_beams=1)[0].tolist()
    ids = trace.token_ids("decoder")
    assert ids == written[: len(ids)] and len(ids) == len(written) - 1 and trace.facts["generated"]
    assert trace.written()[-1] == model.vocabulary[written[-1]] if written[-1] < len(model.vocabulary) else True
    assert trace.tokens("encoder")[:2] == ["[CLS]", "r0c0"] and trace.facts["grid"] == [4, 4]
    exact(trace, model, {"pixel_values": given, "decoder_input_ids": torch.tensor([ids])}, BOTH)


def test_trocr_is_forced_as_the_library_shifts_a_target(tmp_path: Path):
    model = opened(tmp_path, "vision-encoder-decoder")
    trace = trace_picture(model, sample_picture(), "the cat sat")
    labels = model.tokenizer("the cat sat", return_tensors="pt").input_ids
    model.untouched.config.decoder_start_token_id, model.untouched.config.pad_token_id = 2, 0
    expected = model.untouched.prepare_decoder_input_ids_from_labels(labels)
    assert trace.token_ids("decoder") == expected[0].tolist() and trace.written() == ["the", "cat", "sat", "<end>"]
    assert trace.facts["generated"] is False and trace.key.target == "the cat sat"
    exact(
        trace,
        model,
        {"pixel_values": pixels(model.module, sample_picture(), None), "decoder_input_ids": expected},
        BOTH,
    )
    with pytest.raises(errors.TextTooLong):
        trace_picture(model, sample_picture(), "cat " * 30)
    with pytest.raises(errors.NotInThisModel):
        model.trace("the cat")


def test_another_decoder_behind_a_picture_goes_through_the_registry(tmp_path: Path):
    """ViT and GPT-2 (captions), where TrOCR's decoder has attention of its own."""
    encoder = transformers.ViTConfig(**V)
    decoder = transformers.GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=24, add_cross_attention=True,
                                      is_decoder=True, bos_token_id=1, eos_token_id=2)  # fmt: skip
    torch.manual_seed(0)
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    module = transformers.VisionEncoderDecoderModel(config)
    module.generation_config.decoder_start_token_id = 1
    model = open_model(folder(tmp_path / "captions", module))
    trace = trace_picture(model, sample_picture(), "the cat")
    given = {"pixel_values": pixels(model.module, sample_picture(), None),
             "decoder_input_ids": torch.tensor([trace.token_ids("decoder")])}  # fmt: skip
    exact(trace, model, given, BOTH)


@pytest.mark.parametrize("swin", ["DonutSwinConfig", "SwinConfig"])
@pytest.mark.parametrize("decoder", ["MBart", "TrOCR"])
def test_a_picture_in_windows_is_refused_by_name(tmp_path: Path, swin: str, decoder: str):
    """Donut: Swin looks through windows that shift, and halves its patches from stage to stage."""
    encoder = getattr(transformers, swin)(image_size=16, patch_size=2, embed_dim=16, depths=[1, 2], num_heads=[2, 4],
                                          window_size=4)  # fmt: skip
    own = (
        {"cross_attention_hidden_size": 32} if decoder == "TrOCR" else {"is_decoder": True, "add_cross_attention": True}
    )
    decoder = getattr(transformers, f"{decoder}Config")(
        vocab_size=97, d_model=32, decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=48, max_position_embeddings=24,
        **own,
    )  # fmt: skip
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    path = folder(tmp_path / "donut", transformers.VisionEncoderDecoderModel(config))
    with pytest.raises(errors.UnsupportedFamily, match="vision-encoder-decoder") as refused:
        open_model(path)
    assert str(refused.value).count(". ") <= 1 and "\n" not in str(refused.value)


def wav2vec2(path: Path, **changes: object) -> Path:
    """With the tokenizer of characters that CTC models have."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**entry("wav2vec2").small | changes)
    module = transformers.Wav2Vec2ForCTC(config)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    module.save_pretrained(path)
    characters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
    (path / "vocab.json").write_text(json.dumps({c: i for i, c in enumerate(characters)}))
    transformers.Wav2Vec2CTCTokenizer(str(path / "vocab.json")).save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps(
        {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True, "sampling_rate": 16_000}))  # fmt: skip
    return path


def test_wav2vec2_spells_what_it_hears(tmp_path: Path):
    model = open_model(wav2vec2(tmp_path / "ctc"))
    assert (model.task, model.reads, model.decodes) == ("tagging", "sound", False)
    trace = trace_sound(model, SOUND)
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "ctc")
    given = {"input_values": extractor(SOUND, sampling_rate=16_000, return_tensors="pt").input_values}
    assert abs(float(given["input_values"].mean())) < 1e-5  # do_normalize: scaled as the folder says
    assert torch.equal(features(model.module, SOUND, model.card["processor"]), given["input_values"])
    exact(trace, model, given, {"encoder.{}.self": "attentions"})
    # 4,000 samples through kernels of 10 and 8 in steps of 5 and 4.
    frames = ((4000 - 10) // 5 + 1 - 8) // 4 + 1
    assert len(trace.tokens("encoder")) == frames and trace.facts["frame_seconds"] == 20 / 16_000
    assert trace.facts["padding"] == 0 and trace.facts["sound_end"] == frames - 1
    with torch.no_grad():
        logits = model.untouched(**given).logits
    best = logits[0].double().softmax(-1).max(-1)
    assert [name for name, _ in trace.facts["labels"]] == model.tokenizer.convert_ids_to_tokens(best.indices)
    assert [p for _, p in trace.facts["labels"]] == pytest.approx(best.values.tolist())
    spelt = model.tokenizer.batch_decode(logits.argmax(-1), skip_special_tokens=False)[0]
    assert trace.facts["spelt"] == spelt and len(trace.facts["labels"]) == frames


def test_sounds_that_are_too_short_or_too_long_are_one_sentence(tmp_path: Path):
    model = open_model(wav2vec2(tmp_path / "ctc"))
    assert trace_sound(model, SOUND[:45]).sites  # 10 + 7 · 5
    with pytest.raises(errors.UnreadableSound, match="44 samples at 16,000 Hz, and this model reads 45 or more"):
        trace_sound(model, SOUND[:44])
    with pytest.raises(errors.SoundTooLong, match="30"):
        trace_sound(model, np.zeros(31 * 16_000, np.float32))


def test_wav2vec2_without_a_head_needs_no_tokenizer(tmp_path: Path):
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**entry("wav2vec2").small)).save_pretrained(
        tmp_path / "bare"
    )
    model = open_model(tmp_path / "bare")
    trace = trace_sound(model, SOUND)
    assert model.tokenizer is None and trace.fidelity().holds and "labels" not in trace.facts


@pytest.mark.parametrize("changes", [{}, {"pad_head_dim_to_multiple_of": 16}, {"partial_rotary_factor": 0.5}], ids=str)
def test_moonshine_is_recorded(tmp_path: Path, changes: dict):
    torch.manual_seed(0)
    config = transformers.MoonshineConfig(**entry("moonshine").small | changes)
    model = open_model(folder(tmp_path / "moonshine", transformers.MoonshineForConditionalGeneration(config)))
    assert (model.task, model.reads, model.decodes) == ("seq2seq", "sound", True)
    given = features(model.module, SOUND)
    for target in (None, "the cat sat"):
        trace = trace_sound(model, SOUND, target, max_new_tokens=6)
        ids = torch.tensor([trace.token_ids("decoder")])
        exact(trace, model, {"input_values": given, "decoder_input_ids": ids}, BOTH)
        assert trace.facts["generated"] is (target is None) and trace.facts["frame_seconds"] == 384 / 16_000
    assert trace.tokens("decoder")[1:] == ["the", "cat", "sat"]
    written = model.untouched.generate(input_values=given, max_new_tokens=6, do_sample=False, num_beams=1)[0].tolist()
    trace = trace_sound(model, SOUND, max_new_tokens=6)
    assert trace.token_ids("decoder") == written[: len(trace.token_ids("decoder"))]


def test_a_record_of_each_is_saved_whole(tmp_path: Path):
    for trace in (
        trace_picture(opened(tmp_path, "siglip"), sample_picture(), CAPTIONS),
        trace_picture(opened(tmp_path, "vision-encoder-decoder"), sample_picture()),
        trace_sound(open_model(wav2vec2(tmp_path / "ctc")), SOUND),
        trace_sound(opened(tmp_path, "moonshine"), SOUND),
    ):
        found = Trace.open(trace.save(tmp_path / "run.safetensors"))
        assert found.key == trace.key and found.sides == trace.sides and dict(found.facts) == dict(trace.facts)
        bounds.close(found.fidelity().max_error, trace.fidelity().max_error, 64, size=1.0)


_AUDIO = entry("wav2vec2").small
_LLAMA = X | {"num_key_value_heads": 2}
_ROTARY = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}


@pytest.mark.parametrize("name", ["Hubert", "UniSpeech", "UniSpeechSat", "Data2VecAudio"])
def test_encoders_of_sound_like_wav2vec2_open_as_it_does(tmp_path: Path, name: str):
    config = getattr(transformers, f"{name}Config")(**_AUDIO, **({"conv_pos_kernel_size": 3} if "Data" in name else {}))
    config.num_conv_pos_embeddings = 2 if "Data" in name else config.num_conv_pos_embeddings
    torch.manual_seed(0)
    model = open_model(folder(tmp_path / name, getattr(transformers, f"{name}ForCTC")(config)))
    trace = trace_sound(model, SOUND)
    given = {"input_values": features(model.module, SOUND)}
    exact(trace, model, given, {"encoder.{}.self": "attentions"})
    assert len(trace.facts["labels"]) == len(trace.tokens("encoder")) == 198


def test_the_classes_of_a_sound(tmp_path: Path):
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**_AUDIO, id2label={0: "dog", 1: "cat", 2: "owl"}, classifier_proj_size=8)
    transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(tmp_path / "classes")
    model = open_model(tmp_path / "classes")
    trace = trace_sound(model, SOUND)
    with torch.no_grad():
        expected = model.untouched(features(model.module, SOUND)).logits[0].double().softmax(-1)
    assert dict(trace.facts["classes"]) == pytest.approx(
        dict(zip(["dog", "cat", "owl"], expected.tolist(), strict=True))
    )
    assert trace.fidelity().logits_error == 0.0


def bert2bert() -> torch.nn.Module:
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.BertConfig(**X), transformers.BertConfig(**X, is_decoder=True, add_cross_attention=True),
        decoder_start_token_id=1, pad_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return transformers.EncoderDecoderModel(config)


def llava() -> torch.nn.Module:
    config = transformers.LlavaConfig(vision_config=transformers.CLIPVisionConfig(**V), image_token_id=90,
                                      text_config=transformers.LlamaConfig(**_LLAMA))  # fmt: skip
    return transformers.LlavaForConditionalGeneration(config)


def qwen2_vl() -> torch.nn.Module:
    vision = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2, "patch_size": 4}
    config = transformers.Qwen2VLConfig(text_config=_LLAMA | {"rope_parameters": _ROTARY}, vision_config=vision,
                                        image_token_id=90, video_token_id=91, vision_start_token_id=92,
                                        vision_end_token_id=93)  # fmt: skip
    return transformers.Qwen2VLForConditionalGeneration(config)


def paligemma() -> torch.nn.Module:
    text = transformers.GemmaConfig(**_LLAMA, head_dim=8).to_dict()
    config = transformers.PaliGemmaConfig(vision_config=transformers.SiglipVisionConfig(**V).to_dict(), text_config=text,
                                          image_token_index=90, projection_dim=32)  # fmt: skip
    return transformers.PaliGemmaForConditionalGeneration(config)


@pytest.mark.parametrize(
    ("make", "task", "stacks"),
    [
        (bert2bert, "seq2seq", {"encoder", "decoder"}),
        (llava, "causal", {"decoder"}),
        (qwen2_vl, "causal", {"decoder"}),
        (paligemma, "causal", {"encoder"}),  # it sees the whole of what it is given, and masks what it then writes
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_task_is_what_the_model_does_with_a_text(tmp_path: Path, make, task: str, stacks: set[str]):
    torch.manual_seed(0)
    model = open_model(folder(tmp_path / "model", make()))
    assert (model.task, model.reads) == (task, "text")
    trace = model.trace("the cat sat on the mat", **({"new_tokens": 4} if task == "seq2seq" else {}))
    assert {site.stack for site in trace.sites} == stacks and trace.facts["task"] == task
    assert trace.fidelity().holds and trace.fidelity().logits_error == 0.0
    if task == "causal":
        assert model.trace("the cat", new_tokens=3).token_ids(*stacks)[:3] == [*trace.token_ids(*stacks)[:2], 2]


def clipseg(name: str) -> torch.nn.Module:
    config = transformers.CLIPSegConfig(text_config=X | {"eos_token_id": 2}, vision_config=V, projection_dim=16, reduce_dim=16,
                                        extract_layers=[0], decoder_num_attention_heads=4)  # fmt: skip
    return getattr(transformers, name)(config)


def siglip2() -> torch.nn.Module:
    vision = {name: value for name, value in V.items() if name != "image_size"} | {"num_patches": 16}
    return transformers.Siglip2Model(transformers.Siglip2Config(text_config=X, vision_config=vision))


REFUSED = {
    "clipseg": (lambda: clipseg("CLIPSegForImageSegmentation"), "pictures"),
    "clipseg, its towers": (lambda: clipseg("CLIPSegModel"), "pictures"),
    "siglip2": (siglip2, "pictures"),
    "dinov2": (lambda: transformers.Dinov2Model(transformers.Dinov2Config(**V)), "pictures"),
    "blip": (lambda: transformers.BlipForConditionalGeneration(transformers.BlipConfig(
        text_config=X | {"encoder_hidden_size": 32, "bos_token_id": 1, "sep_token_id": 2}, vision_config=V)), "pictures"),
    "wavlm": (lambda: transformers.WavLMForCTC(transformers.WavLMConfig(**_AUDIO)), "sound"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_recorded_is_refused_by_its_kind(tmp_path: Path, kind: str):
    make, reads = REFUSED[kind]
    path = folder(tmp_path / "model", make())
    with pytest.raises(errors.UnsupportedFamily) as refused:
        open_model(path)
    said = str(refused.value)
    assert f"“{kind.split(',')[0]}”, which reads {reads} in a way that is not recorded" in said and "\n" not in said


def test_one_token_of_a_decoder_behind_a_picture_is_masked_as_more_of_them_are(tmp_path: Path):
    """A mask of one cell says nothing, and TrOCR's decoder is heard by its operators."""
    model = opened(tmp_path, "vision-encoder-decoder")
    model.module.generation_config.begin_suppress_tokens = [number for number in range(97) if number != 2]
    one, more = trace_picture(model, sample_picture()), trace_picture(model, sample_picture(), "the cat")
    assert (len(one.tokens("decoder")), len(more.tokens("decoder"))) == (1, 3)
    for trace in (one, more):
        assert trace.record("decoder.0.self").mask.causal and not trace.record("encoder.0.self").mask.causal
