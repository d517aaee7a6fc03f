"""What evaluation keeps of one example: every scored token with its loss; the table that holds many; and where it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pyarrow as pa

from model.errors import HeadlightError

SCHEMA = pa.schema([
    ("line", pa.int64()), ("source", pa.string()), ("target", pa.string()), ("reference", pa.string()),
    ("written", pa.string()), ("tokens", pa.list_(pa.string())), ("losses", pa.list_(pa.float64())),
    ("right", pa.list_(pa.bool_())), ("characters", pa.int64()), ("refused", pa.string()),
])  # fmt: skip


@dataclass(frozen=True)
class Scored:
    """One example. tokens: those that were predicted, as they read; losses: −ln p of each, nats; right: whether the most
    probable token was the true one. characters: of the text that these tokens are. written: what the model itself wrote,
    reference: what it should have, as its tokenizer reads it; None where there is none. refused: why it was not scored."""

    line: int
    source: str
    target: str | None
    tokens: tuple[str, ...] = ()
    losses: tuple[float, ...] = ()
    right: tuple[bool, ...] = ()
    characters: int = 0
    written: str | None = None
    reference: str | None = None
    refused: str = ""

    @property
    def loss(self) -> float:
        """Mean over the tokens, nats; NaN where there is none."""
        return sum(self.losses) / len(self.losses) if self.losses else float("nan")


def table(examples: Iterable[Scored]) -> pa.Table:
    rows = [
        {name: list(value) if isinstance(value := getattr(one, name), tuple) else value for name in SCHEMA.names}
        | {"refused": one.refused or None}
        for one in examples
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, SCHEMA)


def example(rows: pa.Table, index: int) -> Scored:
    """The example of one row."""
    row = rows.slice(index, 1).to_pylist()[0]
    lists = {name: tuple(row[name] or ()) for name in ("tokens", "losses", "right")}
    return Scored(**(row | lists | {"refused": row["refused"] or ""}))


def refusal(line: int, source: str, target: str | None, error: HeadlightError) -> Scored:
    values = {k: v if isinstance(v, str | int | float | list) else str(v) for k, v in error.values.items()}
    told = {"code": error.code, "sentence": str(error), "values": values}
    return Scored(line, source, target, refused=json.dumps(told, ensure_ascii=False))


def sorted_rows(parts: Sequence[pa.Table]) -> pa.Table:
    """All rows, in the order of the file."""
    return pa.concat_tables([SCHEMA.empty_table(), *parts]).sort_by("line").combine_chunks()


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
