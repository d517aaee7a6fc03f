"""A profile's finished work on disk (`model.jobs.part_files`), and its parts put together as the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import ProfileElsewhere, ProfileNotWritten
from model.jobs.part_files import PartFiles, chunks
from model.profile import table
from model.profile.schema import CHECK, KEY, SITE, SOURCE


class Parts(PartFiles):
    """The folder `{out}.parts` of a profile."""

    def __init__(self, out: Path, made_of: Mapping[str, Any]):
        super().__init__(out, made_of, table.PART, ProfileNotWritten)

    def merge(self, count: int, about: Mapping[str, Any]) -> None:
        """All parts of `count` texts -> the result, one row group a part; the folder is removed after it."""
        numbers = [number for number, _ in chunks(count)]
        about = dict(about) | {
            "refused": table.refusals(map(self.read, numbers)), "check": table.checks(map(self.read, numbers)),
        }  # fmt: skip
        schema = table.with_metadata(about)

        def write(path: Path) -> None:
            floats = [name for name in schema.names if pa.types.is_floating(schema.field(name).type)]
            with pq.ParquetWriter(
                path, schema, compression="zstd", compression_level=19, use_dictionary=[SITE, CHECK, SOURCE],
                column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
            ) as file:  # fmt: skip
                for rows in table.merged(map(self.read, numbers), about):
                    if rows.num_rows:
                        file.write_table(rows, row_group_size=rows.num_rows)

        self.finish(write)


def made_of(out: Path) -> dict[str, Any] | None:
    """What the result at `out` was made of, None where there is none. Raises ProfileElsewhere for a file of another kind."""
    if not out.exists():
        return None
    try:
        told = json.loads(pq.read_schema(out).metadata[KEY])["made_of"]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise ProfileElsewhere(path=out, what="something else", option="--out") from error
    return told if isinstance(told, dict) else {}
