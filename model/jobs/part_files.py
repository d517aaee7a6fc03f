"""Finished pieces of long work on disk: a folder of Parquet files beside the result, each written whole or not at all.

A run that was stopped or killed goes on from them, where what it is made of (the file, the weights, the options) is the same.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import HeadlightError, ProfileElsewhere

CHUNK = 256  # inputs of one part
_MADE_OF = "made_of.json"


class PartFiles:
    """The folder `{out}.parts`: part k answers for the inputs k · CHUNK … (k + 1) · CHUNK − 1, or some of them so far.

    schema: of the rows of a part. not_written: the error for a disk that takes nothing, with `path` and `reason`.
    """

    def __init__(
        self, out: Path, made_of: Mapping[str, Any], schema: pa.Schema, not_written: type[HeadlightError],
        option: str = "--out",
    ):  # fmt: skip
        """made_of: what the result follows from. option: of the command that gives `out`.

        Raises ProfileElsewhere where the parts are of something else."""
        self.out, self.folder, self.made_of = out, out.with_name(out.name + ".parts"), dict(made_of)
        self.schema, self.not_written = schema, not_written
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            told = self.folder / _MADE_OF
            if not told.is_file():
                text = json.dumps(self.made_of, ensure_ascii=False, indent=1)
                _replace(told, lambda path: path.write_text(text, "utf-8"))
        check(self.folder, _json(told), self.made_of, option)

    def _path(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.parquet"

    def read(self, chunk: int) -> pa.Table:
        """The rows of a part, none where it is not there; a damaged one is made again."""
        try:
            return pq.read_table(self._path(chunk), schema=self.schema)
        except (OSError, pa.ArrowException):
            return self.schema.empty_table()

    def write(self, chunk: int, rows: pa.Table) -> None:
        """Put these rows in place of the part."""
        with self.writing():
            _replace(self._path(chunk), lambda path: pq.write_table(rows, path, compression="zstd"))

    def finish(self, write: Callable[[Path], None]) -> None:
        """Write the result, whole or not at all; the folder is removed after it."""
        with self.writing():
            _replace(self.out, write, self.folder)
            self.remove()

    def remove(self) -> None:
        """The finished work is needed no more."""
        shutil.rmtree(self.folder)

    def writing(self) -> _Writing:
        """A block in which a disk that takes nothing is one sentence."""
        return _Writing(self.out, self.not_written)


def check(path: Path, there: Mapping[str, Any] | None, wanted: Mapping[str, Any], option: str = "--out") -> None:
    """Raises ProfileElsewhere where work at `path` does not belong to what is wanted, saying the first difference."""
    different = [name for name in wanted if there is None or there.get(name) != wanted[name]]
    if different:
        what = f"another {different[0].replace('_', ' ')}"
        raise ProfileElsewhere(path=path, what=what, option=option)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _replace(path: Path, write: Callable[[Path], Any], folder: Path | None = None) -> None:
    """A file that is there whole or as it was before, also after a power cut. folder: where the half of it lies."""
    partial = (folder or path.parent) / f"{path.name}.{os.getpid()}.partial"
    try:
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _Writing:
    """What keeps a file from being written, as one sentence."""

    def __init__(self, path: Path, error: type[HeadlightError]):
        self.path, self.error = path, error

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise self.error(path=self.path, reason=error.strerror or error) from error


def chunks(count: int) -> Iterator[tuple[int, range]]:
    """(number, the inputs) of every part."""
    for chunk, first in enumerate(range(0, count, CHUNK)):
        yield chunk, range(first, min(first + CHUNK, count))
