"""WAV files of every kind read, written and brought to another rate."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from model.checkpoints.media.sound import sample_sound
from model.checkpoints.media.wav import RATE, read_wav, resample, wav_bytes
from model.errors import SoundTooLong, UnreadableSound


def written_by_the_library(whole: np.ndarray, width: int, channels: int, rate: int = RATE) -> bytes:
    """`whole` [n, channels] as integers, through the standard library's own writer."""
    shift = {1: 0, 2: 0, 3: 8, 4: 0}[width]
    if width == 1:
        data = (whole + 128).astype(np.uint8).tobytes()
    elif width == 3:
        data = (whole.astype("<i4") << shift).astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    else:
        data = whole.astype(f"<i{width}").tobytes()
    with io.BytesIO() as file:
        with wave.open(file, "wb") as writer:
            writer.setnchannels(channels)
            writer.setsampwidth(width)
            writer.setframerate(rate)
            writer.writeframes(data)
        return file.getvalue()


def riff(form: int, bits: int, data: bytes, channels: int = 1, rate: int = RATE, extra: bytes = b"", **parts) -> bytes:
    frame = channels * bits // 8
    fmt = struct.pack("<HHIIHH", form, channels, rate, rate * frame, frame, bits) + extra
    chunks = parts.get("before", b"") + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    size = parts.get("size", len(data))
    return b"RIFF" + struct.pack("<I", 0) + b"WAVE" + chunks + b"data" + struct.pack("<I", size) + data


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_whole_numbers_of_every_width(width: int, channels: int):
    full = 2 ** (8 * width - 1)
    whole = np.random.default_rng(width).integers(-full, full, (37, channels))
    whole[:2] = [[-full], [full - 1]]
    samples, rate = read_wav(written_by_the_library(whole, width, channels, 8_000))
    assert rate == 8_000 and samples.dtype == np.float32
    np.testing.assert_allclose(samples, (whole / full).mean(1), atol=6e-8, rtol=0)


def test_floats_extensible_headers_and_other_chunks():
    values = np.array([0.0, 0.5, -1.0, 0.25], "<f4")
    expected = values.astype(np.float32)
    extensible = struct.pack("<HHIH14x", 22, 32, 0, 3)
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    for data in (
        riff(3, 32, values.tobytes()),
        riff(0xFFFE, 32, values.tobytes(), extra=extensible),
        riff(3, 32, values.tobytes(), before=odd),
        riff(3, 32, values.tobytes(), size=0xFFFFFFFF),  # written to a pipe
        riff(3, 32, values.tobytes(), size=400),  # cut off
        riff(3, 32, values.tobytes() + b"xy", size=18),  # half a sample at the end
    ):
        np.testing.assert_array_equal(read_wav(data)[0], expected)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a WAV file"),
        (b"ID3 an mp3 file", "not a WAV file"),
        (b"RIFF\0\0\0\0WAVE", "not a WAV file"),
        (riff(1, 16, b"\0\0")[:30], "not a WAV file"),
        (riff(1, 16, b""), "no samples"),
        (riff(1, 16, b"\0\0", channels=2), "no samples"),
        (riff(2, 4, b"\0\0"), "format 2 has 1 channels of 4 bits"),
        (riff(3, 64, b"\0" * 8), "format 3 has 1 channels of 64 bits"),
        (riff(1, 16, b"\0\0", channels=0), "0 channels"),
        (riff(1, 16, b"\0\0", rate=0), "at 0 Hz"),
        (riff(3, 32, struct.pack("<f", np.nan)), "no numbers"),
    ],
)
def test_what_is_no_sound_is_refused(data: bytes, reason: str):
    with pytest.raises(UnreadableSound, match=f"cannot be read .*{reason}.*: give a WAV file"):
        read_wav(data)


def test_a_missing_file_says_so(tmp_path: Path):
    with pytest.raises(UnreadableSound, match=r"no\.wav cannot be read \(there is no such file"):
        read_wav(tmp_path / "no.wav")


def test_thirty_seconds_and_no_more():
    assert len(read_wav(riff(1, 8, b"\x80" * 30_000, rate=1_000))[0]) == 30_000
    with pytest.raises(SoundTooLong, match=r"30\.00 s long, and at most 30 s"):
        read_wav(riff(1, 8, b"\x80" * 30_001, rate=1_000))


def test_what_is_written_is_read_again(tmp_path: Path):
    samples, rate = sample_sound()
    assert (rate, samples.dtype, samples.shape) == (RATE, np.float32, (32_000,))
    assert 0.3 < np.abs(samples).max() <= 0.5
    file = tmp_path / "sample.wav"
    file.write_bytes(wav_bytes(samples, rate))
    found, again = read_wav(file)
    assert again == rate
    np.testing.assert_allclose(found, samples, atol=2**-16 + 1e-9, rtol=0)
    with wave.open(str(file)) as reader:
        assert (reader.getframerate(), reader.getnframes(), reader.getnchannels()) == (RATE, 32_000, 1)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_001, 22_050, 44_100, 48_000, 192_000])
def test_a_sine_stays_a_sine_at_another_rate(rate: int):
    """Away from the ends, where the sound is cut off; below 0.87 of the lower band limit."""
    time, moments = np.arange(rate // 2) / rate, np.arange(RATE // 2) / RATE
    for pitch in (60.0, 1_000.0, 0.43 * min(rate, RATE)):
        found = resample(np.sin(2 * np.pi * pitch * time).astype(np.float32), rate)
        assert len(found) == -(-len(time) * RATE // rate)
        wanted = np.sin(2 * np.pi * pitch * moments)
        np.testing.assert_allclose(found[400:-400], wanted[400 : len(found) - 400], atol=2e-5, rtol=0)


@pytest.mark.parametrize("pitch", [8_300.0, 12_000.0, 21_000.0])
def test_what_the_lower_rate_cannot_hold_is_gone(pitch: float):
    time = np.arange(22_050) / 44_100
    found = resample(np.sin(2 * np.pi * pitch * time), 44_100)
    assert np.abs(found[400:-400]).max() < 5e-6


def test_the_same_rate_is_left_alone():
    samples = sample_sound()[0]
    assert np.array_equal(resample(samples, RATE), samples)
    assert resample(np.array([1.0]), 48_000).shape == (1,)
