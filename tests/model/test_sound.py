"""From samples to a record: the library's features, and Whisper against the library's eager run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402

from model.checkpoints.disk.families import FAMILIES, small_model  # noqa: E402
from model.checkpoints.library.library_model import HuggingFaceModel  # noqa: E402
from model.checkpoints.media.sound import extractor, features, sample_sound, trace_sound  # noqa: E402
from model.checkpoints.media.wav import RATE, resample  # noqa: E402
from model.checkpoints.record.forward import prepare  # noqa: E402
from model.checkpoints.record.untouched import untouched  # noqa: E402
from model.errors import SoundTooLong, TextTooLong, UnreadableSound  # noqa: E402
from model.trace.trace import Trace  # noqa: E402
from tests import bounds  # noqa: E402

SPECIAL = ["<pad>", "<start>", "<end>", "<|notimestamps|>"]


def whisper(sharpen: float = 3.0, **changes: object) -> HuggingFaceModel:
    family = next(f for f in FAMILIES if f.model_type == "whisper")
    module = small_model(family, sharpen=sharpen)
    for name, value in changes.items():
        setattr(module.generation_config, name, value)
    words = [*SPECIAL, *(f"w{i}" for i in range(4, 97))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="w4"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(SPECIAL)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")
    return HuggingFaceModel("tiny whisper", prepare(untouched(module)), fast, "whisper", "2" * 16, untouched=module)


def short(seconds: float = 0.25) -> np.ndarray:
    return sample_sound()[0][1600 : 1600 + round(RATE * seconds)]


class Full(torch.nn.Module):
    """As much of a full-sized Whisper as its features need."""

    config = transformers.WhisperConfig(num_mel_bins=80)


def test_features_are_the_librarys():
    samples = short(1.3)
    library = transformers.WhisperFeatureExtractor()
    expected = library(samples, sampling_rate=RATE, return_tensors="pt")["input_features"]
    assert torch.equal(features(Full(), samples), expected)
    assert expected.shape == (1, 80, 3000)
    settings = library.to_dict() | {"mel_filters": [[0.0]]}  # older folders hold the filters as well
    assert torch.equal(features(Full(), samples, settings), expected)
    assert extractor(Full(), settings).hop_length == 160


def test_features_of_a_tone_are_loudest_at_its_pitch():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    found = features(Full(), tone)[0]
    filters = extractor(Full()).mel_filters  # [frequencies, bins], a frequency every 40 Hz
    assert found[:, 50].argmax() == filters[1000 // 40].argmax()
    assert (found[:, 110:] == found[:, 110:].min()).all()  # padding


def test_whisper_is_recorded():
    model = whisper()
    trace = trace_sound(model, short(0.25), max_new_tokens=6)
    encoder, decoder = trace.side("encoder"), trace.side("decoder")
    assert encoder.tokens[:3] == ("0.00s", "0.02s", "0.04s") and len(encoder.tokens) == 20
    # 4,000 samples are 12.5 positions of 320.
    assert trace.facts["sound_end"] == 12 and trace.facts["padding"] == 7 and trace.facts["seconds"] == 0.25
    assert encoder.special == (*[False] * 13, *[True] * 7)
    assert decoder.tokens[0] == "<start>" and decoder.special[0]
    assert trace.record("decoder.0.cross").keys == 20 and trace.record("encoder.0.self").queries == 20
    assert trace.activation("features").shape == (8, 40) and trace.activation("samples").shape == (4000,)
    assert trace.activation("decoder.2.stream").shape == (len(decoder.tokens), 32)
    fidelity = trace.fidelity()
    assert fidelity.holds and fidelity.logits_error == 0


def test_weights_equal_eager():
    model = whisper()
    trace = trace_sound(model, short(), max_new_tokens=6)
    model.module.set_attn_implementation("eager")
    with torch.no_grad():
        output = model.module(
            input_features=features(model.module, short()), decoder_input_ids=torch.tensor([trace.token_ids("decoder")]),
            output_attentions=True,
        )  # fmt: skip
    parts = (("encoder", "self", "encoder_attentions"), ("decoder", "self", "decoder_attentions"),
             ("decoder", "cross", "cross_attentions"))  # fmt: skip
    for stack, kind, name in parts:
        for layer, expected in enumerate(getattr(output, name)):
            found = torch.stack([trace.weights(f"{stack}.{layer}.{kind}", head) for head in range(4)])
            torch.testing.assert_close(found, expected[0], atol=bounds.WEIGHT, rtol=0)


def by_hand(model: HuggingFaceModel, samples: np.ndarray, ids: list[int], steps: int, banned: list[int]) -> list[int]:
    """Greedy writing without the library's generation."""
    given = features(model.module, samples)
    for _ in range(steps):
        with torch.no_grad():
            row = model.module(input_features=given, decoder_input_ids=torch.tensor([ids])).logits[0, -1]
        row[banned] = -torch.inf
        ids = [*ids, int(row.argmax())]
        if ids[-1] == 2:
            break
    return ids


@pytest.mark.parametrize("steps", [1, 6])
def test_writing_is_greedy_and_ends_with_what_was_written_last(steps: int):
    model = whisper()
    trace = trace_sound(model, short(), max_new_tokens=steps)
    expected = by_hand(model, short(), [1, 3], steps, [])
    assert trace.token_ids("decoder") == expected[:-1]
    assert trace.written() == list(model.tokenizer.convert_ids_to_tokens(expected[1:]))
    assert trace.facts["generated"] and trace.facts["prompt"] == 2
    assert trace.next_tokens()[0][1] == expected[-1]


def test_forced_and_suppressed_tokens_are_those_of_the_model():
    """A multilingual Whisper is given language and task; what it must not write it does not write."""
    first = by_hand(whisper(), short(), [1, 10, 11, 3], 1, [])[-1]
    model = whisper(
        lang_to_id={"<|en|>": 10}, task_to_id={"transcribe": 11}, language="en", task="transcribe",
        suppress_tokens=[first], is_multilingual=True,
    )  # fmt: skip
    trace = trace_sound(model, short(), max_new_tokens=4)
    expected = by_hand(model, short(), [1, 10, 11, 3], 4, [first])
    assert trace.token_ids("decoder")[:4] == [1, 10, 11, 3] and trace.facts["prompt"] == 4
    assert trace.token_ids("decoder") == expected[:-1]
    assert trace.written()[-1] == model.tokenizer.convert_ids_to_tokens(expected[-1])


def test_a_forced_text_follows_the_models_own_prompt():
    model = whisper()
    trace = trace_sound(model, short(), "w7 w9")
    assert trace.tokens("decoder") == ["<start>", "<|notimestamps|>", "w7", "w9"]
    assert not trace.facts["generated"] and trace.key.target == "w7 w9"
    assert trace.written() == ["<|notimestamps|>", "w7", "w9", trace.next_tokens()[0][0]]
    assert trace_sound(model, short(), "  ").facts["generated"]


def test_more_text_than_the_positions_hold_is_refused_or_cut():
    model = whisper()
    with pytest.raises(TextTooLong, match="22 tokens, and this model reads at most 16"):
        trace_sound(model, short(), "w7 " * 20)
    model.module.generation_config.eos_token_id = None
    assert len(trace_sound(model, short(), max_new_tokens=100).tokens("decoder")) <= 16


def test_a_sound_at_another_rate_is_brought_to_sixteen_thousand():
    slow = resample(short(), RATE, 8_000)
    trace = trace_sound(whisper(), slow, rate=8_000, max_new_tokens=2)
    assert torch.equal(trace.activation("samples"), torch.from_numpy(resample(slow, 8_000)))
    assert trace.facts["sound_end"] == 12


@pytest.mark.parametrize(("samples", "end"), [(1, 0), (320, 0), (321, 1), (6400, 19)])
def test_where_the_sound_ends(samples: int, end: int):
    trace = trace_sound(whisper(), short(0.4)[:samples], max_new_tokens=1)
    assert trace.facts["sound_end"] == end and sum(trace.side("encoder").special) == 19 - end


def test_what_cannot_be_is_said_in_a_sentence():
    with pytest.raises(SoundTooLong, match=r"0\.40 s long, and at most 0\.4 s"):
        trace_sound(whisper(), np.zeros(6401, np.float32))
    with pytest.raises(UnreadableSound, match="no samples"):
        trace_sound(whisper(), np.zeros(0, np.float32))
    with pytest.raises(UnreadableSound, match="no numbers"):
        trace_sound(whisper(), np.array([np.inf], np.float32))


def test_a_record_of_a_sound_is_saved_whole(tmp_path: Path):
    trace = trace_sound(whisper(), short(), max_new_tokens=3)
    found = Trace.open(trace.save(tmp_path / "sound.trace"))
    assert found.key == trace.key and found.sides == trace.sides and dict(found.facts) == dict(trace.facts)
    assert torch.equal(found.weights("decoder.1.cross", 2), trace.weights("decoder.1.cross", 2))


@pytest.mark.skipif("HEADLIGHT_TEST_WHISPER" not in os.environ, reason="names the folder of a trained Whisper")
def test_a_trained_whisper():
    from model.checkpoints.library.load import load as opened

    model = opened(Path(os.environ["HEADLIGHT_TEST_WHISPER"]))
    trace = trace_sound(model, sample_sound()[0], "Hello world.")
    assert len(trace.tokens("encoder")) == 1500 and trace.facts["sound_end"] == 99
    assert trace.tokens("decoder")[:2] == ["<|startoftranscript|>", "<|notimestamps|>"]
    assert trace.side("decoder").texts[2:] == (" Hello", " world", ".")
    assert trace.written()[-1] == "<|endoftext|>" and trace.fidelity().holds
