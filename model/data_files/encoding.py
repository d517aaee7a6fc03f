"""Which encoding a file of text is in: UTF-8 with or without a byte order mark, UTF-16, Latin-1; or that it is no text."""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from model.files.regular import opened

LARGEST = 2**36  # bytes of a file that is read line by line
_PIECE = 2**20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_PACKED = {
    b"\x1f\x8b": "it is packed with gzip: unpack it first",
    b"PK\x03\x04": "it is a zip archive or an Excel sheet: save it as CSV or TSV first",
    b"BZh": "it is packed with bzip2: unpack it first",
    b"\xfd7zXZ": "it is packed with xz: unpack it first",
    b"%PDF": "it is a PDF, not a text",
}
_CONTROLS = tuple(c for c in range(1, 32) if c not in b"\t\n\r\x0b\x0c\x1b")
_BROKEN = re.compile("[\udc80-\udcff]")
_UNDEFINED = "\udc81\udc8d\udc8f\udc90\udc9d"  # of Windows-1252
_LOOKED_AT = 2**16  # damaged bytes that are held
_UTF16_ZEROS = 0.2  # of all bytes of a text in UTF-16 that is mostly in Latin letters, about a half is zero


class NoText(ValueError):
    """What keeps a file from being read, in words."""


@dataclass(frozen=True)
class Encoding:
    """codec: Python's name; name: in words; line: where the first byte stands that is not UTF-8, 0 where there is none."""

    codec: str
    name: str
    line: int = 0


def binary(place: Path | bytes) -> BinaryIO:
    """The bytes of a file, or those that were handed in, from their beginning. Raises NotRegular or OSError."""
    return io.BytesIO(place) if isinstance(place, bytes) else opened(place, LARGEST)


def encoding_of(place: Path | bytes) -> Encoding:
    """Read once from end to end, a piece at a time. Raises NoText, NotRegular or OSError.

    Bytes that are not UTF-8 in a text without any other letter of it are Latin-1 (Windows-1252 where it uses that table's
    quotation marks); in a text that is UTF-8 otherwise they are damage, and are said with their line.
    """
    with binary(place) as file:
        head = file.read(8)
        for start, why in _PACKED.items():
            if head.startswith(start):
                raise NoText(why)
        if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
            raise NoText("it is in UTF-32: save it as UTF-8")
        for mark, codec, name in _MARKS:
            if head.startswith(mark):
                _decoded(file, codec, name)
                return Encoding(codec, name)
        file.seek(0)
        return _unmarked(file)


def _decoded(file: BinaryIO, codec: str, name: str) -> None:
    """Raises NoText where the file is not what its first bytes say."""
    file.seek(0)
    decoder, line = codecs.getincrementaldecoder(codec)(), 1
    while True:
        piece = file.read(_PIECE)
        try:
            text = decoder.decode(piece, not piece)
            if "\0" in text:
                raise NoText("it holds bytes of zero: it is not a text")
            line += text.count("\n")
        except UnicodeDecodeError as error:
            raise NoText(f"it begins as {name} and is damaged at line {line} or after") from error
        if not piece:
            return


def _unmarked(file: BinaryIO) -> Encoding:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    size = zeros = odd_zeros = controls = good = first = 0
    line, bad = 1, ""
    while piece := file.read(_PIECE):
        zeros += piece.count(0)
        odd_zeros += piece[(size + 1) % 2 :: 2].count(0)
        size += len(piece)
        controls += sum(map(piece.count, _CONTROLS))
        if not piece.isascii() or decoder.getstate()[0]:
            text = decoder.decode(piece)
            if (broken := _BROKEN.findall(text)) and not first:
                first = line + text[: text.index(broken[0])].count("\n")
            good += len(text) - len(text.encode("ascii", "ignore")) - len(broken)
            bad = (bad + "".join(broken))[:_LOOKED_AT]
        line += piece.count(b"\n")
    if zeros:
        if zeros < _UTF16_ZEROS * size or size % 2:
            raise NoText("it holds bytes of zero: it is not a text")
        codec = "utf-16-le" if odd_zeros > zeros / 2 else "utf-16-be"
        _decoded(file, codec, "UTF-16")
        return Encoding(codec, "UTF-16 without a byte order mark")
    if controls > size // 100:
        raise NoText("much of it is control characters: it is not a text")
    cut = decoder.getstate()[0]
    if cut and good and not bad:
        raise NoText(f"it ends in the middle of a character, at line {line}: copy it again")
    return _not_utf8(bad, good, first or line) if bad or cut else Encoding("utf-8", "UTF-8")


def _not_utf8(bad: str, good: int, line: int) -> Encoding:
    """bad: the bytes that are not UTF-8, as surrogates; good: how many characters beyond ASCII are; line: of the first byte."""
    if good and good >= len(bad):
        raise NoText(f"it is UTF-8 with damaged bytes, the first at line {line}: save it as UTF-8 again")
    if any(c in _UNDEFINED for c in bad):
        raise NoText(f"line {line} is neither UTF-8, UTF-16 nor Latin-1: save it as UTF-8")
    windows = any(c < "\udca0" for c in bad)
    return Encoding("cp1252", "Windows-1252", line) if windows else Encoding("latin-1", "Latin-1", line)
