"""WAV files read, written and brought to another rate, with numpy and torch alone."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch

from model.errors import SoundTooLong, UnreadableSound

RATE = 16_000  # samples a second that Whisper reads
LONGEST = 30  # seconds: Whisper's window
_MOST_BYTES = 200 * 2**20  # 30 s of 8 channels of 32 bits at 192 kHz
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_ZERO_CROSSINGS, _BETA, _ROLLOFF = 48, 12.0, 0.95
_BLOCK = 1024


def read_wav(data: bytes | Path, name: str = "sound") -> tuple[np.ndarray, int]:
    """A WAV file of 8, 16, 24 or 32-bit whole numbers or 32-bit floats -> (float32 [n] in −1 … 1, samples a second).

    Channels are averaged. name: what errors call bytes. Raises UnreadableSound, or SoundTooLong beyond 30 s.
    """
    name = data.name if isinstance(data, Path) else name
    if isinstance(data, Path):
        try:
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
    while position + 8 <= len(data) and not (b"data" in chunks and b"fmt " in chunks):
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
    """float [n] at `rate` -> float32 [⌈n · to / rate⌉] at `to`, band-limited by a windowed sinc.

    y(t) = Σ_i x_i · c · sinc(c (t − i)) · kaiser((t − i) / w), with c the lower of the two rates over `rate`, a little
    below; t runs through to / gcd phases only, each of which has its weights once (Smith 1984; Kaiser, β = 12).
    """
    if rate == to or not len(samples):
        return np.ascontiguousarray(samples, dtype=np.float32)
    common = math.gcd(rate, to)
    step, phases = rate // common, to // common
    cutoff = min(1.0, to / rate) * _ROLLOFF
    half = math.ceil(_ZERO_CROSSINGS / cutoff)
    offsets = torch.arange(-half + 1, half + 1, dtype=torch.float64)
    between = torch.arange(phases, dtype=torch.float64)[:, None] * step % phases / phases
    away = offsets - between  # [phases, taps]: how far each sample lies from the moment asked for
    inside = (1 - (away / half).square()).clamp(min=0)
    window = torch.special.i0(_BETA * inside.sqrt()) / torch.special.i0(torch.tensor(_BETA, dtype=torch.float64))
    weights = (cutoff * torch.sinc(cutoff * away) * window).float()
    padded = torch.nn.functional.pad(torch.as_tensor(samples, dtype=torch.float32), (half - 1, half + 1))
    found = torch.empty(-(-len(samples) * to // rate))
    for phase in range(min(phases, len(found))):
        mine = found[phase::phases]
        windows = padded[phase * step // phases :].unfold(0, 2 * half, step)[: len(mine)]
        for start in range(
            0, len(mine), _BLOCK
        ):  # the windows overlap in memory; their product needs them side by side
            rows = slice(start, start + _BLOCK)
            mine[rows] = windows[rows] @ weights[phase]
    return found.numpy()
