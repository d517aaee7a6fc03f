"""`DataFile`: a file of texts that somebody brings, opened: what it is, and its lines one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from model.data_files import rows
from model.data_files.columns import chosen, is_header
from model.data_files.encoding import Encoding, NoText, binary, encoding_of
from model.data_files.rows import Row
from model.errors import DataFileRefused
from model.files.regular import NotRegular

KINDS = ("text", "tsv", "csv", "jsonl", "parquet")
_SUFFIXES = {".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
             ".parquet": "parquet"}  # fmt: skip
_LOOKED_AT = 20  # first rows by which a file without a telling name is known
_PARQUET = Encoding("utf-8", "Parquet")
_LONGEST_PIECE = 100_000


@dataclass(frozen=True)
class Line:
    """One example: `number` counts from 1, as an editor does. target: None of a plain text."""

    number: int
    source: str
    target: str | None = None


@dataclass(frozen=True)
class DataFile:
    """An opened file of `KINDS`; iterating gives every whole `Line`, `rows` also what is none.

    columns: the names of the one or two that are read, () where they have none. header: whether the first row holds names.
    piece: characters of a piece that a running text is cut into, 0 where a line is an example. width: columns of a row.
    """

    place: Path | bytes = field(repr=False)
    name: str
    kind: str
    encoding: Encoding
    parallel: bool
    columns: tuple[str, ...] = ()
    header: bool = False
    piece: int = 0
    width: int = 1
    places: tuple[int, ...] = (0,)
    delimiter: str = ","

    @staticmethod
    def open(
        place: Path | str | bytes, name: str = "", *, parallel: bool | None = None, columns: Sequence[str] = (), piece: int = 0
    ) -> DataFile:  # fmt: skip
        """A path, or bytes that were handed in under `name`, whose ending says what they are.

        parallel: two columns (True), one (False), or whichever there are. columns: their names. piece: cut a running text
        into pieces of so many characters, at spaces. Raises DataFileRefused, in one sentence.
        """
        place = place if isinstance(place, bytes) else Path(place).expanduser()
        name = name or (place.name if isinstance(place, Path) else "text")
        if piece and not 1 <= piece <= _LONGEST_PIECE:
            raise DataFileRefused(
                path=name, reason=f"pieces of {piece:,} characters were asked for: 1 to {_LONGEST_PIECE:,}"
            )
        with said(name):
            if isinstance(place, Path) and not place.exists():
                raise NoText("there is no such file")
            with binary(place) as file:
                packed = file.read(4) == b"PAR1"
            kind = "parquet" if packed else _SUFFIXES.get(Path(name).suffix.lower(), "text")
            encoding = _PARQUET if kind == "parquet" else encoding_of(place)
            found = _described(DataFile(place, name, kind, encoding, False, piece=piece), parallel, tuple(columns))
            if next(iter(found.rows()), None) is None:
                raise NoText("there is no text in it")
            return found

    def rows(self) -> Iterator[Row]:
        """Every row with its columns of texts; `fault` says what is none. Raises DataFileRefused."""
        with said(self.name):
            if self.piece:
                yield from _pieces(rows.lines(self.place, self.encoding), self.piece)
            elif self.kind in ("jsonl", "parquet"):
                yield from _raw(self)
            else:
                for row in islice(_raw(self), int(self.header), None):
                    if self.kind != "csv" or row.cells:  # a CSV's empty lines are no rows
                        yield self._picked(row)

    def _picked(self, row: Row) -> Row:
        if self.kind == "text" and not self.parallel:
            return row
        if not any(cell.strip() for cell in row.cells):
            return Row(row.number, ("",) * len(self.places))
        if len(row.cells) != self.width:
            return Row(row.number, row.cells, "columns")
        return Row(row.number, tuple(row.cells[i] for i in self.places))

    def __iter__(self) -> Iterator[Line]:
        for row in self.rows():
            if not row.fault:
                yield line_of(row, self.parallel)

    def digest(self) -> str:
        """SHA-256 of the bytes."""
        with said(self.name), binary(self.place) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def line_of(row: Row, parallel: bool) -> Line:
    return Line(row.number, row.cells[0].strip(), row.cells[1].strip() if parallel else None)


@contextmanager
def said(name: str) -> Iterator[None]:
    """What goes wrong while a file is read, as one sentence."""
    try:
        yield
    except (NoText, NotRegular) as error:
        raise DataFileRefused(path=name, reason=str(error)) from error
    except UnicodeDecodeError as error:
        raise DataFileRefused(path=name, reason="its encoding changes in the middle: save it as UTF-8") from error
    except OSError as error:
        raise DataFileRefused(path=name, reason=error.strerror or "it is damaged") from error


def _raw(file: DataFile) -> Iterator[Row]:
    if file.kind == "parquet":
        return rows.parquet(file.place, file.columns)
    if file.kind == "jsonl":
        return rows.of_columns(_unnested(rows.json_lines(file.place, file.encoding)), file.columns)
    if file.kind == "csv":
        return rows.comma_separated(file.place, file.encoding, file.delimiter)
    if file.kind == "tsv" or file.parallel:
        return rows.tabbed(file.place, file.encoding)
    return rows.lines(file.place, file.encoding)


def _unnested(found: Iterator[tuple[int, dict | None]]) -> Iterator[tuple[int, dict | None]]:
    """The languages of {"translation": {"en": …, "fr": …}}, as the library's data sets have them, as columns."""
    for number, row in found:
        inner = row.get("translation") if row else None
        yield number, (row | inner) if isinstance(inner, dict) else row


def _described(file: DataFile, parallel: bool | None, columns: tuple[str, ...]) -> DataFile:
    """The file with its columns found by its first rows. Raises NoText."""
    if file.kind == "parquet":
        texts = [name for name, text in rows.parquet_columns(file.place).items() if text]
        picked = chosen(texts, columns, parallel)
        return replace(file, columns=picked, parallel=len(picked) == 2)
    if file.kind == "jsonl":
        return _described_json(file, parallel, columns)
    if file.piece and parallel:
        raise NoText("a running text has no two columns: leave the pieces or the pairs out")
    if file.kind == "text":
        first = [
            row.cells[0] for row in islice(rows.lines(file.place, file.encoding), _LOOKED_AT) if row.cells[0].strip()
        ]
        tabs = parallel is not False and not file.piece and bool(first) and all(line.count("\t") == 1 for line in first)
        if not tabs and not parallel:
            return replace(file, width=1, places=(0,))
        file = replace(file, kind="tsv")
    if file.kind == "csv":
        file = replace(file, delimiter=_delimiter(file))
    first_row = next(_raw(file), Row(0, ())).cells
    header = bool(columns) or is_header(first_row)
    if header:
        picked = chosen(first_row, columns, parallel)
        places = tuple(first_row.index(name) for name in picked)
        return replace(
            file, columns=picked, header=True, parallel=len(picked) == 2, width=len(first_row), places=places
        )
    count = 2 if parallel or (parallel is None and len(first_row) != 1) else 1
    return replace(file, parallel=count == 2, width=count, places=tuple(range(count)))


def _described_json(file: DataFile, parallel: bool | None, columns: tuple[str, ...]) -> DataFile:
    with rows.text_of(file.place, file.encoding) as opened:
        if opened.read(64).lstrip().startswith("["):
            raise NoText("it is one JSON list: write a line an object, {“source”: …, “target”: …}")
    looked_at = islice(_unnested(rows.json_lines(file.place, file.encoding)), _LOOKED_AT)
    first = next((row for _, row in looked_at if row), None)
    if first is None:
        raise NoText(f"none of its first {_LOOKED_AT} lines is a JSON object")
    picked = chosen([name for name, value in first.items() if isinstance(value, str)], columns, parallel)
    return replace(file, columns=picked, parallel=len(picked) == 2)


def _delimiter(file: DataFile) -> str:
    """Semicolons where a spreadsheet of a country with decimal commas writes its CSV."""
    first = next(rows.lines(file.place, file.encoding), Row(0, ("",))).cells[0]
    return ";" if first.count(";") > first.count(",") else ","


def _pieces(found: Iterator[Row], longest: int) -> Iterator[Row]:
    """A running text cut at spaces into pieces of at most `longest` characters (a longer word is cut); number: its line."""
    piece, start = "", 0
    for row in found:
        text = row.cells[0]
        for word in text.split(" ") if text.strip() else []:
            while len(piece) + len(word) + 1 > longest:
                if piece:
                    yield Row(start, (piece,))
                    piece = ""
                    continue
                if len(word) <= longest:
                    break
                yield Row(row.number, (word[:longest],))
                word = word[longest:]
            start = start if piece else row.number
            piece = f"{piece} {word}" if piece else word
    if piece:
        yield Row(start, (piece,))
