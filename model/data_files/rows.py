"""The rows of a file of texts, one after the other, bounded by what they unfold to: lines, JSON lines, CSV, TSV, Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.data_files.encoding import LARGEST, Encoding, NoText, binary
from model.files.parquet_pages import largest_page, pages

LONGEST = 2**22  # characters of a line or a field: no model reads a thousandth of it
LARGEST_PAGE = 2**27  # bytes that a page of a Parquet file unfolds to; writers make pages of 1 MB
LARGEST_GIVEN = 2**28  # bytes that the pages of a file that was handed in unfold to, all together
_AT_ONCE, _NAMED = 512, 80


@dataclass(frozen=True)
class Row:
    """One line (of Parquet: row), counted from 1. fault: "" or what it is instead: "columns", "not_json", "not_text"."""

    number: int
    cells: tuple[str, ...]
    fault: str = ""


def text_of(place: Path | bytes, encoding: Encoding, newline: str | None = None) -> io.TextIOWrapper:
    return io.TextIOWrapper(binary(place), encoding=encoding.codec, newline=newline)


def bounded_lines(file: io.TextIOBase) -> Iterator[tuple[int, str]]:
    """(number from 1, line with its end); none is read whole that is longer than any text. Raises NoText."""
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise NoText(f"line {number} has more than {LONGEST:,} characters")
        yield number, line


def lines(place: Path | bytes, encoding: Encoding) -> Iterator[Row]:
    with text_of(place, encoding) as file:
        for number, line in bounded_lines(file):
            yield Row(number, (line.removesuffix("\n"),))


def tabbed(place: Path | bytes, encoding: Encoding) -> Iterator[Row]:
    """Columns with a tab between them, without quotation: what parallel corpora are kept in."""
    for row in lines(place, encoding):
        yield Row(row.number, tuple(row.cells[0].split("\t")))


def comma_separated(place: Path | bytes, encoding: Encoding, delimiter: str = ",") -> Iterator[Row]:
    """CSV with quotation; a field may run over several lines, and the row has the number of its first. Raises NoText."""
    csv.field_size_limit(LONGEST)
    with text_of(place, encoding, newline="") as file:
        reader = csv.reader((line for _, line in bounded_lines(file)), delimiter=delimiter, strict=True)
        number = 1
        try:
            for cells in reader:
                yield Row(number, tuple(cells))
                number = reader.line_num + 1
        except csv.Error as error:
            why = "a quotation mark that is never closed" if "unexpected end" in str(error) else str(error)
            raise NoText(f"it is a damaged CSV from line {number} on ({why})") from error


def json_lines(place: Path | bytes, encoding: Encoding) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(number, object), None where a line is no JSON object; lines of spaces are left out."""
    with text_of(place, encoding) as file:
        for number, line in bounded_lines(file):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            yield number, found if isinstance(found, dict) else None


def of_columns(found: Iterable[tuple[int, dict[str, Any] | None]], columns: Sequence[str]) -> Iterator[Row]:
    """The columns of objects; a missing or null text is an empty one."""
    for number, row in found:
        if row is None:
            yield Row(number, (), "not_json")
            continue
        cells = [row.get(name) for name in columns]
        if any(name not in row for name in columns):
            yield Row(number, (), "columns")
        elif not all(cell is None or (isinstance(cell, str) and _is_whole(cell)) for cell in cells):
            yield Row(number, (), "not_text")
        else:
            yield Row(number, tuple(cell or "" for cell in cells))


def _is_whole(text: str) -> bool:
    """Whether it holds no half of a character, which JSON can spell and no file can hold."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def parquet_columns(place: Path | bytes) -> dict[str, bool]:
    """The columns of a Parquet file, and whether each holds texts. Raises NoText or OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(_source(place))
    except (pa.ArrowException, ValueError) as error:
        raise NoText("it is damaged or not a Parquet file") from error

    def text(kind: pa.DataType) -> bool:
        return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)

    if twice := [name for name, count in Counter(schema.names).items() if count > 1]:
        raise NoText(f"two of its columns are called “{twice[0][:_NAMED]}”")
    return {name: text(schema.field(name).type) for name in schema.names}


def parquet(place: Path | bytes, columns: Sequence[str]) -> Iterator[Row]:
    """These columns of a Parquet file, a few rows at a time. Raises NoText."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(_source(place))
        if (largest := largest_page(place, metadata, columns)) > LARGEST_PAGE:
            raise NoText(f"a page of it unfolds to {largest:,} bytes")
        whole = LARGEST_GIVEN if isinstance(place, bytes) else LARGEST
        if (size := sum(pages(place, metadata, columns))) > whole:
            raise NoText(f"it unfolds to {size:,} bytes, and at most {whole:,} are read")
        number = 0
        # One text may stand there a million times, and in the file once.
        with pq.ParquetFile(_source(place), read_dictionary=list(columns)) as file:
            for batch in file.iter_batches(batch_size=_AT_ONCE, columns=list(columns)):
                for cells in zip(*(_words(batch.column(name)) for name in columns), strict=True):
                    number += 1
                    if not all(cell is None or isinstance(cell, str) for cell in cells):
                        yield Row(number, (), "not_text")
                    elif any(len(cell or "") >= LONGEST for cell in cells):
                        raise NoText(f"row {number} has more than {LONGEST:,} characters")
                    else:
                        yield Row(number, tuple(cell or "" for cell in cells))
    except (pa.ArrowException, ValueError) as error:
        if isinstance(error, NoText):
            raise
        raise NoText("it is damaged or not a Parquet file") from error


def _words(column: Any) -> list[Any]:
    """The values of a column, of which a dictionary holds each once."""
    if not hasattr(column, "dictionary"):
        return column.to_pylist()
    words = column.dictionary.to_pylist()
    return [None if i is None else words[i] for i in column.indices.to_pylist()]


def _source(place: Path | bytes) -> Any:
    return io.BytesIO(place) if isinstance(place, bytes) else place
