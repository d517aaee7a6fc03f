"""Bytes that makers of hostile files put together: deflate's form of many zeros, files without end."""

from __future__ import annotations

import zlib
from pathlib import Path


def lines(folder: Path, name: str, size: int, start: bytes = b"") -> Path:
    """A file of one line without end, with nothing on the disk."""
    with (folder / name).open("wb") as file:
        file.write(start)
        file.truncate(size)
    return folder / name


def zeros(size: int) -> bytes:
    """`size` zeros (a multiple of 1 MiB) in deflate's form: the same piece again and again."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = squeeze.compress(bytes(2**20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return piece * (size // 2**20) + zlib.compressobj(9, zlib.DEFLATED, -15).flush()


def bomb(size: int) -> bytes:
    """The same as zlib writes it, without a true sum at its end, which nobody reaches."""
    return b"\x78\xda" + zeros(size) + bytes(4)


def put(data: bytes, place: int, value: bytes) -> bytes:
    """`data` with `value` in place of what stands at `place`."""
    return data[:place] + value + data[place + len(value) :]


def written(path: Path, data: bytes) -> Path:
    """A file of these bytes."""
    path.write_bytes(data)
    return path
