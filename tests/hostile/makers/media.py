"""Pictures that unfold to gigabytes, and sounds whose headers lie."""

from __future__ import annotations

import io
import struct
import wave
import zlib

from tests.hostile.case import case
from tests.hostile.raw import bomb, put, written


def _png(width: int, height: int, depth: int = 8, color: int = 2, more: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    channels = {0: 1, 2: 3, 3: 1, 6: 4}[color]
    row = bytes(1 + (width * channels * depth + 7) // 8)
    squeeze, packed = zlib.compressobj(9), []
    for _ in range(min(height, 7_000)):
        packed.append(squeeze.compress(row))
    data = b"".join(packed) + squeeze.flush()
    palette = chunk(b"PLTE", bytes(768)) if color == 3 else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + palette + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _bomb_text() -> bytes:
    data = b"x\0\0" + bomb(2**30)
    return struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))


def _profile_of_colors() -> bytes:
    data = b"x\0\0" + bomb(2**30)
    return struct.pack(">I", len(data)) + b"iCCP" + data + struct.pack(">I", zlib.crc32(b"iCCP" + data))


def _gif(width: int, height: int) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\0" + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0" + bytes(6) + frame + b"\x3b"


def _bmp(width: int, height: int) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    )


def _webp() -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + bytes([0x02, 0, 0, 0]) + b"\xff\xff\xff" * 2
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _wav(rate: int = 16_000, seconds: float = 0.1, channels: int = 1) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * channels * int(rate * seconds)))
    return made.getvalue()


for _name, _data in {
    "PNG of 60,000 × 60,000": lambda: _png(60_000, 60_000, 1, 0), "PNG of 2 billion wide": lambda: _png(2, 2)[:16] + struct.pack(
        ">II", 2**31 - 1, 1) + _png(2, 2)[24:], "PNG of 7,000 × 7,000": lambda: _png(7000, 7000, 8, 2),
    "PNG of 16 bits, 7,000 × 7,000": lambda: _png(7000, 7000, 16, 6),
    "PNG with a palette, 7,000 × 7,000": lambda: _png(7000, 7000, 8, 3),
    "PNG with a text of a gigabyte": lambda: _png(4, 4, more=_bomb_text()),
    "PNG with colours of a gigabyte": lambda: _png(4, 4, more=_profile_of_colors()), "PNG of nothing": lambda: _png(0, 0),
    "PNG cut short": lambda: _png(64, 64)[:50], "GIF whose frame is larger": lambda: _gif(65_535, 65_535),
    "BMP of 2 billion": lambda: _bmp(2**31 - 1, 2**31 - 1), "BMP of less than nothing": lambda: _bmp(-5, -(2**31)),
    "WebP of 16 million": _webp, "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
    "SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "TIFF": lambda: b"II*\0" + bytes(64),
}.items():  # fmt: skip
    case(f"picture: {_name}", "picture", lambda f, s, data=_data: written(f / "p.png", data()))
_SOUND = _wav()
for _name, _data in {
    "a size of four gigabytes": lambda: put(_SOUND, 40, b"\xfe\xff\xff\xff"),
    "a size of nothing": lambda: put(_SOUND, 40, bytes(4)),
    "no channels": lambda: put(_SOUND, 22, bytes(2)), "60,000 channels": lambda: put(_SOUND, 22, b"\x60\xea"),
    "no rate": lambda: put(_SOUND, 24, bytes(4)), "four billion a second": lambda: put(_SOUND, 24, b"\xff" * 4),
    "191,999 a second": lambda: _wav(191_999), "no bits": lambda: put(_SOUND, 34, bytes(2)),
    "7 bits": lambda: put(_SOUND, 34, b"\7\0"),
    "format 0": lambda: put(_SOUND, 20, bytes(2)), "a fmt of no length": lambda: put(_SOUND, 16, bytes(4)),
    "ten million empty chunks": lambda: _SOUND[:12] + b"LIST\0\0\0\0" * 10_000_000,
    "half a sample": lambda: _SOUND[:45], "an extensible without its rest": lambda: put(_SOUND, 20, b"\xfe\xff")[:40],
    "floats of NaN": lambda: put(put(put(_SOUND, 20, b"\3\0"), 34, b"\x20\0"), 44, b"\0\0\xc0\x7f" * 100),
    "an hour": lambda: _wav(8000, 3600), "nothing": lambda: b"", "RIFF alone": lambda: b"RIFF\xff\xff\xff\xffWAVE",
}.items():  # fmt: skip
    case(f"sound: {_name}", "sound_file", lambda f, s, data=_data: written(f / "s.wav", data()))
