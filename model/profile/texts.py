"""The texts of a file, one after the other, never all at once: lines, JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from model.errors import HeadlightError, TextsFile
from model.profile.page_sizes import largest_page

COLUMN = "text"
_LARGEST_PAGE = 2**27  # bytes that a page of a Parquet file unfolds to; writers make pages of 1 MB
_LONGEST = 2**22  # characters of a line or a field: no model reads a thousandth of it


@dataclass(frozen=True)
class Texts:
    """A file that was read once from end to end: every text can be had. count: how many of them are taken."""

    path: Path
    count: int
    sha256: str
    seen: tuple[int, int]

    def changed(self) -> bool:
        """Whether the file is another than it was."""
        return _seen(self.path) != self.seen

    def __iter__(self) -> Iterator[str]:
        return islice(stream(self.path), self.count)


def scan(path: Path, limit: int | None = None) -> Texts:
    """Read the file once, keeping nothing. Raises TextsFile: missing, no column text, damaged, no text at all."""
    if not path.is_file():
        raise TextsFile(path=path, reason="there is no such file")
    seen = _seen(path)
    count = sum(1 for _ in stream(path))
    if not count:
        raise TextsFile(path=path, reason="there is no text in it")
    with _said(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Texts(path, count if limit is None else min(count, limit), digest, seen)


def _seen(path: Path) -> tuple[int, int]:
    """Time and size; zeros where the file is gone."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def stream(path: Path) -> Iterator[str]:
    """The texts in their order. Of .jsonl, .csv and .parquet the column `text`; of any other file the lines, empty ones too."""
    reader: Callable[[Path], Iterator[str]] = {
        ".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet,
    }.get(path.suffix.lower(), _lines)  # fmt: skip
    with _said(path):
        yield from reader(path)


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read, as one sentence."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise TextsFile(path=path, reason="it is not a text in UTF-8") from error
    except csv.Error as error:
        raise TextsFile(path=path, reason=f"it is a damaged CSV ({error})") from error
    except OSError as error:
        raise TextsFile(path=path, reason=error.strerror or "it is damaged") from error


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig") as file:
        for line in _bounded(file, path):
            yield line.removesuffix("\n")


def _bounded(file: TextIO, path: Path) -> Iterator[str]:
    """The lines of a file, none of which is read whole where it is longer than any text."""
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        if len(line) == _LONGEST:
            raise TextsFile(path=path, reason=f"line {number} has more than {_LONGEST:,} characters")
        yield line


def _json_lines(path: Path) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TextsFile(path=path, reason=f"line {number} is not JSON") from error
        if not isinstance(found, dict) or COLUMN not in found:
            raise TextsFile(path=path, reason=f"line {number} has no “{COLUMN}”")
        yield _text(found[COLUMN], path, f"line {number}")


def _text(value: object, path: Path, where: str) -> str:
    """A missing text is an empty one, which the model refuses; anything else is a mistake in the file."""
    if value is not None and not isinstance(value, str):
        raise TextsFile(path=path, reason=f"the “{COLUMN}” of {where} is not a text")
    if value and len(value) >= _LONGEST:
        raise TextsFile(path=path, reason=f"{where} has more than {_LONGEST:,} characters")
    return value or ""


def _csv(path: Path) -> Iterator[str]:
    csv.field_size_limit(_LONGEST)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(_bounded(file, path))
        if COLUMN not in (rows.fieldnames or ()):
            raise _no_column(path, rows.fieldnames or ())
        for row in rows:
            yield row[COLUMN] or ""


def _parquet(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
        if COLUMN not in schema.names:
            raise _no_column(path, schema.names)
        kind = schema.field(COLUMN).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
            raise TextsFile(path=path, reason=f"the “{COLUMN}” of row 0 is not a text")
        if (largest := largest_page(path, metadata, [COLUMN])) > _LARGEST_PAGE:
            raise TextsFile(path=path, reason=f"a page of it unfolds to {largest:,} bytes")
        # One text may stand there a million times, and in the file once.
        with pq.ParquetFile(path, read_dictionary=[COLUMN]) as file:
            for batch in file.iter_batches(batch_size=512, columns=[COLUMN]):
                told = batch.column(0)
                words = told.dictionary.to_pylist()
                for row, number in enumerate(told.indices.to_pylist()):
                    yield _text(None if number is None else words[number], path, f"row {row}")
    except (pa.ArrowException, ValueError) as error:
        if isinstance(error, HeadlightError):
            raise
        raise TextsFile(path=path, reason="it is damaged or not a Parquet file") from error


def _no_column(path: Path, names: object) -> TextsFile:
    there = ", ".join(map(str, names)) or "none"
    return TextsFile(path=path, reason=f"it has no column “{COLUMN}” (its columns: {there[:200]})")
