"""Finished work on disk: a folder of part files beside the result, each written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import ProfileElsewhere, ProfileNotWritten
from model.profile import table
from model.profile.schema import CHECK, KEY, SITE, SOURCE

CHUNK = 256  # texts of one part
_MADE_OF = "made_of.json"


class Parts:
    """The folder `{out}.parts`: part k answers for the texts k · CHUNK … (k + 1) · CHUNK − 1, or some of them so far."""

    def __init__(self, out: Path, made_of: Mapping[str, Any]):
        """made_of: what the result follows from. Raises ProfileElsewhere where the parts are of something else."""
        self.out, self.folder, self.made_of = out, out.with_name(out.name + ".parts"), dict(made_of)
        with _written(out):
            self.folder.mkdir(parents=True, exist_ok=True)
            told = self.folder / _MADE_OF
            if not told.is_file():
                _replace(
                    told, lambda path: path.write_text(json.dumps(self.made_of, ensure_ascii=False, indent=1), "utf-8")
                )
        check(self.folder, _json(told), self.made_of)

    def _path(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.parquet"

    def read(self, chunk: int) -> pa.Table:
        """The rows of a part, none where it is not there; a damaged one is measured again."""
        try:
            return pq.read_table(self._path(chunk), schema=table.PART)
        except (OSError, pa.ArrowException):
            return table.PART.empty_table()

    def write(self, chunk: int, rows: pa.Table) -> None:
        """Put these rows in place of the part."""
        with _written(self.out):
            _replace(self._path(chunk), lambda path: pq.write_table(rows, path, compression="zstd"))

    def merge(self, count: int, about: Mapping[str, Any]) -> None:
        """All parts of `count` texts -> the result, one row group a part; the folder is removed after it."""
        chunks = range(-(-count // CHUNK))
        about = dict(about) | {
            "refused": table.refusals(map(self.read, chunks)), "check": table.checks(map(self.read, chunks)),
        }  # fmt: skip
        schema = table.with_metadata(about)

        def write(path: Path) -> None:
            floats = [name for name in schema.names if pa.types.is_floating(schema.field(name).type)]
            with pq.ParquetWriter(
                path, schema, compression="zstd", compression_level=19, use_dictionary=[SITE, CHECK, SOURCE],
                column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
            ) as file:  # fmt: skip
                for rows in table.merged(map(self.read, chunks), about):
                    if rows.num_rows:
                        file.write_table(rows, row_group_size=rows.num_rows)

        with _written(self.out):
            _replace(self.out, write, self.folder)
            shutil.rmtree(self.folder)


def made_of(out: Path) -> dict[str, Any] | None:
    """What the result at `out` was made of, None where there is none. Raises ProfileElsewhere for a file of another kind."""
    if not out.exists():
        return None
    try:
        told = json.loads(pq.read_schema(out).metadata[KEY])["made_of"]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise ProfileElsewhere(path=out, what="something else") from error
    return told if isinstance(told, dict) else {}


def check(path: Path, there: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> None:
    """Raises ProfileElsewhere where work at `path` does not belong to what is wanted, saying the first difference."""
    different = [name for name in wanted if there is None or there.get(name) != wanted[name]]
    if different:
        raise ProfileElsewhere(path=path, what=f"another {different[0].replace('_', ' ')}")


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _replace(path: Path, write: Any, folder: Path | None = None) -> None:
    """A file that is there whole or as it was before, also after a power cut. folder: where the half of it lies."""
    partial = (folder or path.parent) / f"{path.name}.{os.getpid()}.partial"
    try:
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _written:
    """What keeps a file from being written, as one sentence."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise ProfileNotWritten(path=self.path, reason=error.strerror or error) from error


def chunks(count: int) -> Iterator[tuple[int, range]]:
    """(number, the texts) of every part."""
    for chunk, first in enumerate(range(0, count, CHUNK)):
        yield chunk, range(first, min(first + CHUNK, count))
