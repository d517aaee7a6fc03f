"""Where finished rows of an evaluation are kept while the work goes on: on the disk (`PartFiles`), or in a session's memory."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import pyarrow as pa

from model.evaluation.scored import SCHEMA


@runtime_checkable
class Keep(Protocol):
    """Where finished rows are kept while the work goes on: `PartFiles`, or a `Memory`."""

    def read(self, chunk: int) -> pa.Table: ...

    def write(self, chunk: int, rows: pa.Table) -> None: ...


class Memory:
    """Finished rows of a session, chunk by chunk, in a dictionary that outlives the work."""

    def __init__(self, parts: dict[int, pa.Table] | None = None):
        self.parts = {} if parts is None else parts

    def read(self, chunk: int) -> pa.Table:
        return self.parts.get(chunk, SCHEMA.empty_table())

    def write(self, chunk: int, rows: pa.Table) -> None:
        self.parts[chunk] = rows
