"""WAV files read, written and brought to another rate, by numpy and scipy."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np

from model.errors import SoundTooLong, UnreadableSound
from model.files.regular import no_file

RATE = 16_000  # samples a second that Whisper reads
LONGEST = 30  # seconds: Whisper's window
_MOST_BYTES = 200 * 2**20  # 30 s of 8 channels of 32 bits at 192 kHz
_MOST_CHUNKS = 1000  # before the samples
_LARGEST_RATIO = 2**16  # of rates: 16,001 to 16,000 is one that is there
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# Of the filter that brings a sound to another rate: half its length in periods of the lower rate, how steep its window is,
# and where it begins to cut, as a part of the lower band limit.
_ZERO_CROSSINGS, _BETA, _ROLLOFF = 48, 12.0, 0.95


def read_wav(data: bytes | Path, name: str = "sound") -> tuple[np.ndarray, int]:
    """A WAV file of 8, 16, 24 or 32-bit whole numbers or 32-bit floats -> (float32 [n] in −1 … 1, samples a second).

    Channels are averaged. name: what errors call bytes. Raises UnreadableSound, or SoundTooLong beyond 30 s.
    """
    name = data.name if isinstance(data, Path) else name
    if isinstance(data, Path):
        try:
            if reason := no_file(data):
                raise UnreadableSound(name=name, reason=reason)
            with data.open("rb") as file:
                data = file.read(_MOST_BYTES)
        except OSError as error:
            raise UnreadableSound(name=name, reason=error.strerror or "it cannot be opened") from error
    try:
        form, channels, rate, bits, start, size = _header(data)
    except (struct.error, IndexError, KeyError) as error:
        raise UnreadableSound(name=name, reason="it is not a WAV file, or its header is damaged") from error
    known = (form == _PCM and bits in (8, 16, 24, 32)) or (form == _FLOAT and bits == 32)
    if not known or not 1 <= channels <= 8 or not 1_000 <= rate <= 192_000:
        reason = f"its format {form} has {channels} channels of {bits} bits at {rate} Hz"
        raise UnreadableSound(name=name, reason=reason)
    frame = channels * bits // 8
    # A recorder that was cut off leaves a size of 0 or of all ones: then the file's own end counts.
    size = len(data) - start if size in (0, 0xFFFFFFFF) else size
    if size // frame > LONGEST * rate:
        raise SoundTooLong(got=f"{size / frame / rate:.2f}", allowed=LONGEST)
    count = min(size, len(data) - start) // frame
    if not count:
        raise UnreadableSound(name=name, reason="it holds no samples")
    samples = _decoded(data[start : start + count * frame], form, bits).reshape(count, channels).mean(axis=1)
    if not np.isfinite(samples).all():
        raise UnreadableSound(name=name, reason="some of its samples are no numbers")
    return samples.astype(np.float32), rate


def _header(data: bytes) -> tuple[int, int, int, int, int, int]:
    """(format, channels, rate, bits, where the samples start, their bytes); the chunks may come in any order."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise KeyError("RIFF")
    chunks: dict[bytes, tuple[int, int]] = {}
    position = 12
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data) or (b"data" in chunks and b"fmt " in chunks):
            break
        name, size = struct.unpack_from("<4sI", data, position)
        chunks.setdefault(name, (position + 8, size))
        position += 8 + size + size % 2
    at, size = chunks[b"fmt "]
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
    if form == _EXTENSIBLE:
        (form,) = struct.unpack_from("<H", data, at + 24)
    return form, channels, rate, bits, *chunks[b"data"]


def _decoded(data: bytes, form: int, bits: int) -> np.ndarray:
    """float64, full scale 1."""
    if form == _FLOAT:
        return np.frombuffer(data, "<f4").astype(np.float64)
    if bits == 8:  # the only size without a sign
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    if bits == 24:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float64) / 2**31
    return np.frombuffer(data, f"<i{bits // 8}").astype(np.float64) / 2.0 ** (bits - 1)


def wav_bytes(samples: np.ndarray, rate: int) -> bytes:
    """Mono samples in −1 … 1 as a WAV file of 16-bit numbers."""
    whole = np.clip(np.round(np.asarray(samples, np.float64) * 32768), -32768, 32767).astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, rate, 2 * rate, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", 36 + len(whole)) + b"WAVE" + form + struct.pack("<4sI", b"data", len(whole)) + whole
    )


def resample(samples: np.ndarray, rate: int, to: int = RATE) -> np.ndarray:
    """float [n] at `rate` -> float32 [⌈n · to / rate⌉] at `to`, band-limited by a sinc under a Kaiser window, phase by phase."""
    if rate == to or not len(samples):
        return np.ascontiguousarray(samples, dtype=np.float32)
    from scipy import signal

    # Rates that share no factor would take a filter of millions of numbers; to 10⁻⁶ any is a ratio of small ones.
    ratio = Fraction(to, rate).limit_denominator(_LARGEST_RATIO)
    up, down = ratio.numerator, ratio.denominator
    widest = max(up, down)
    filter_ = signal.firwin(2 * _ZERO_CROSSINGS * widest + 1, _ROLLOFF / widest, window=("kaiser", _BETA))
    return signal.resample_poly(samples, up, down, window=filter_).astype(np.float32)
