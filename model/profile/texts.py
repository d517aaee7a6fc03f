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

from model.errors import TextsFile

COLUMN = "text"
_LONGEST = 2**31 - 1  # characters of a field of a CSV


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
        for line in file:
            yield line.removesuffix("\n")


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
    return value or ""


def _csv(path: Path) -> Iterator[str]:
    csv.field_size_limit(_LONGEST)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if COLUMN not in (rows.fieldnames or ()):
            raise _no_column(path, rows.fieldnames or ())
        for row in rows:
            yield row[COLUMN] or ""


def _parquet(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if COLUMN not in file.schema_arrow.names:
                raise _no_column(path, file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=512, columns=[COLUMN]):
                for row, value in enumerate(batch.column(0).to_pylist()):
                    yield _text(value, path, f"row {row}")
    except pa.ArrowException as error:
        raise TextsFile(path=path, reason="it is damaged or not a Parquet file") from error


def _no_column(path: Path, names: object) -> TextsFile:
    there = ", ".join(map(str, names)) or "none"
    return TextsFile(path=path, reason=f"it has no column “{COLUMN}” (its columns: {there[:200]})")
