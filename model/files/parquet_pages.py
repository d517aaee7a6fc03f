"""How large the pages of a Parquet file are once they are unfolded, told by their own headers, before any is.

The footer says it too, but a reader takes the memory that the page's header names. A header is a struct of Thrift's compact
protocol: i32 type, i32 uncompressed size, i32 compressed size, … (apache/parquet-format, src/main/thrift/parquet.thrift).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_HEADER = 2**16  # bytes that are looked at for a header; statistics may stand in it
_MOST_PAGES = 10**6
_I32, _STRUCT = 5, 12


def largest_page(place: Path | bytes, metadata: pq.FileMetaData, columns: Iterable[str]) -> int:
    """Bytes of the largest page of these columns. Raises ValueError where the pages are not where the footer says."""
    return max(pages(place, metadata, columns), default=0)


def pages(place: Path | bytes, metadata: pq.FileMetaData, columns: Iterable[str]) -> Iterator[int]:
    """The unfolded size of each page."""
    wanted, left = set(columns), _MOST_PAGES
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            if column.path_in_schema.split(".")[0] not in wanted:
                continue
            starts = [column.data_page_offset, column.dictionary_page_offset]
            at = min(start for start in starts if start is not None and start > 0)
            end = at + column.total_compressed_size
            while at < end:
                size, packed, header = _header(_read(place, at, min(_HEADER, end - at)))
                left -= 1
                if packed < 0 or size < 0 or left < 0:
                    raise ValueError("a page of no size")
                yield size
                at += header + packed


def _read(place: Path | bytes, at: int, size: int) -> bytes:
    if isinstance(place, bytes):
        return place[at : at + size]
    with place.open("rb") as file:
        file.seek(at)
        return file.read(size)


def _header(data: bytes) -> tuple[int, int, int]:
    """(unfolded size, size in the file, bytes of the header). Raises ValueError."""
    try:
        told: dict[int, int] = {}
        at = _struct(data, 0, told)
        return told[2], told[3], at
    except (IndexError, KeyError) as error:
        raise ValueError("a page without a header") from error


def _struct(data: bytes, at: int, told: dict[int, int] | None, depth: int = 8) -> int:
    """Where the struct at `at` ends; its whole numbers of 32 bits go into `told`."""
    if not depth:
        raise ValueError("nested too deeply")
    number = 0
    while kind := data[at]:
        number, at = number + (kind >> 4), at + 1
        if not kind >> 4:
            number, at = _varint(data, at)
            number = _signed(number)
        kind &= 15
        if kind in (4, 5, 6):
            value, at = _varint(data, at)
            if told is not None and kind == _I32:
                told[number] = _signed(value)
        elif kind == _STRUCT:
            at = _struct(data, at, None, depth - 1)
        elif kind == 8:  # bytes
            length, at = _varint(data, at)
            at += length
        elif kind == 3:
            at += 1
        elif kind == 7:
            at += 8
        elif kind not in (1, 2):  # true, false; lists and maps a page's header has none
            raise ValueError("a page without a header")
    return at + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128 or shift > 63:
            return value, at


def _signed(value: int) -> int:
    """A number that was written in zigzag."""
    return (value >> 1) ^ -(value & 1)
