"""The texts of a file, one after the other, never all at once: lines, JSON lines, CSV or Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from model.data_files import rows
from model.data_files.encoding import Encoding, NoText
from model.errors import TextsFile
from model.files.regular import NotRegular, no_file

COLUMN = "text"
_UTF8 = Encoding("utf-8-sig", "UTF-8")


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
    if reason := no_file(path):
        raise TextsFile(path=path, reason=reason)
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
    except (NoText, NotRegular) as error:
        raise TextsFile(path=path, reason=str(error)) from error
    except OSError as error:
        raise TextsFile(path=path, reason=error.strerror or "it is damaged") from error


def _lines(path: Path) -> Iterator[str]:
    for row in rows.lines(path, _UTF8):
        yield row.cells[0]


def _json_lines(path: Path) -> Iterator[str]:
    said = {"not_json": "line {} is not JSON", "columns": f"line {{}} has no “{COLUMN}”",
            "not_text": f"the “{COLUMN}” of line {{}} is not a text"}  # fmt: skip
    for row in rows.of_columns(rows.json_lines(path, _UTF8), [COLUMN]):
        if row.fault:
            raise TextsFile(path=path, reason=said[row.fault].format(row.number))
        yield row.cells[0]


def _csv(path: Path) -> Iterator[str]:
    found = rows.comma_separated(path, _UTF8)
    names = next(found, rows.Row(0, ())).cells
    if COLUMN not in names:
        raise _no_column(path, names)
    place = names.index(COLUMN)
    for row in found:
        if row.cells:
            yield row.cells[place] if place < len(row.cells) else ""


def _parquet(path: Path) -> Iterator[str]:
    columns = rows.parquet_columns(path)
    if COLUMN not in columns:
        raise _no_column(path, columns)
    if not columns[COLUMN]:
        raise TextsFile(path=path, reason=f"the “{COLUMN}” of row 0 is not a text")
    for row in rows.parquet(path, [COLUMN]):
        if row.fault:
            raise TextsFile(path=path, reason=f"the “{COLUMN}” of row {row.number - 1} is not a text")
        yield row.cells[0]


def _no_column(path: Path, names: object) -> TextsFile:
    there = ", ".join(map(str, names)) or "none"
    return TextsFile(path=path, reason=f"it has no column “{COLUMN}” (its columns: {there[:200]})")
