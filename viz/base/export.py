"""The data of a figure as files: CSV for reading, npz for computing."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from model.attention.rows import in_blocks
from viz.base import tokens

if TYPE_CHECKING:
    from model.trace.attention_record import AttentionRecord
    from model.trace.site import Site
    from model.trace.trace import Trace


Array = np.ndarray | Sequence[str]
Part = tuple[slice, np.ndarray]
_CELLS = 2**20  # of a matrix that are held at once
MOST_ROWS = 2_000_000  # weights of which a table with a row each is made: 100 MB of text
LARGEST = (
    128  # rows or columns of a matrix that is saved as a figure; beyond that a file of marks is larger than its data
)


class Table(bytes):
    """A CSV that still knows what it was written from: its `arrays` by name, texts as they were before `cell_text`."""

    arrays: Mapping[str, Array]


def file_name(name: str) -> str:
    """A model's name as the beginning of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "model"


def table_csv(frame: pd.DataFrame, begins: bool = True) -> Table:
    """The table as CSV in UTF-8, a line a row, each ended by a line feed alone, its texts as of `cell_text`.

    begins: whether the file begins here: then the columns' names come first, behind the mark (BOM) by which spreadsheet
    programs know UTF-8, without which they misread 中文.
    """
    cells = frame.copy(deep=False)
    for place in range(frame.shape[1]):
        if not pd.api.types.is_numeric_dtype(frame.dtypes.iloc[place]):
            cells.isetitem(place, [cell_text(v) if isinstance(v, str) else v for v in frame.iloc[:, place].tolist()])
    text = cells.to_csv(index=False, header=begins, lineterminator="\n")
    made = Table(text.encode("utf-8-sig" if begins else "utf-8"))
    made.arrays = {str(name): frame.iloc[:, place] for place, name in enumerate(frame.columns)}
    return made


def matrix_csv(values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> Table:
    """One row a query: position, token, then a column a key named `position:token`; exact float32 digits."""
    made = Table(rows_csv([(slice(0, len(values)), values)], rows, columns))
    made.arrays = {"values": values, "rows": list(rows), "columns": list(columns)}
    return made


def rows_csv(parts: Iterable[Part], rows: Sequence[str], columns: Sequence[str]) -> bytes:
    """`matrix_csv` of (rows, their values), in order: besides the file itself only one of the parts is held."""
    buffer = io.BytesIO()
    names = [f"{j}:{column}" for j, column in enumerate(columns)]
    for here, values in parts:
        frame = pd.DataFrame(values, columns=names)
        frame.insert(0, "token", list(rows[here]))
        frame.insert(0, "position", range(here.start, here.stop))
        buffer.write(table_csv(frame, begins=here.start == 0))
    return buffer.getvalue()


def head_csv(record: AttentionRecord, head: int, rows: Sequence[str], columns: Sequence[str]) -> bytes:
    """`matrix_csv` of a head of any length."""
    return rows_csv(in_blocks(record, head), rows, columns)


def head_npz(record: AttentionRecord, head: int, mask_of: AttentionRecord | None = None, **arrays: Array) -> bytes:
    """`npz` of these and of a head's `weights` and `allowed` [queries, keys], a block of rows at a time.

    mask_of: the record whose mask `allowed` is, where it is another one.
    """
    masked = mask_of or record
    shape = (record.queries, record.keys)
    allowed = ((rows, masked.allowed(rows).numpy()) for rows in spans(record.queries, record.keys))
    whole = {"weights": (shape, np.float32, in_blocks(record, head)), "allowed": (shape, np.bool_, allowed)}
    return rows_npz(whole, **arrays)


def rows_npz(whole: Mapping[str, tuple[tuple[int, int], type, Iterable[Part]]], **arrays: Array) -> bytes:
    """`npz` of these and of matrices [rows, columns] that come as (rows, their values), in order, which are not kept."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as files:
        for name, (shape, kind, parts) in whole.items():
            with files.open(f"{name}.npy", "w", force_zip64=True) as file:
                told = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, told)
                for _, part in parts:
                    file.write(np.ascontiguousarray(part, kind).tobytes())
        for name, array in arrays.items():
            with files.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, _plain(array), allow_pickle=False)
    return buffer.getvalue()


def spans(rows: int, columns: int) -> Iterator[slice]:
    """The rows of a matrix in parts of up to `_CELLS` cells."""
    step = max(1, _CELLS // columns)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def cell_text(token: str) -> str:
    """A token that looks like a formula gets an apostrophe, with which spreadsheet programs leave it text."""
    return f"'{token}" if token.startswith(("=", "+", "-", "@")) else token


def npz(**arrays: Array) -> bytes:
    """The arrays by name, compressed; texts are stored as unicode arrays, so loading needs no pickle."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{name: _plain(array) for name, array in arrays.items()})
    return buffer.getvalue()


def csv_npz(data: Table) -> bytes:
    """The table that a CSV was written from, for computing: `values`, `rows`, `columns` of a matrix, else an array a column."""
    # `file` is what numpy calls the file itself.
    return npz(**{f"{name}_" if name == "file" else name: array for name, array in data.arrays.items()})


def _plain(array: Array) -> np.ndarray:
    """The same without objects: numbers, NaN where there is none, or texts, "" where there is none."""
    found = np.asarray(array)
    if found.dtype.kind not in "OT":
        return found
    lacks = np.asarray(pd.isna(found))
    there = found[~lacks]
    if there.size and all(isinstance(one, (bool, np.bool_)) for one in there) and not lacks.any():
        return found.astype(bool)
    if there.size and all(isinstance(one, (int, float, np.number)) for one in there):
        return np.where(lacks, np.nan, found).astype(float if lacks.any() else np.result_type(*map(type, there)))
    texts = [str(one) if here else "" for one, here in zip(found.ravel(), ~lacks.ravel(), strict=True)]
    return np.array(texts, dtype=np.str_).reshape(found.shape)


def site_csv(trace: Trace, site: Site, begins: bool = True, heads: Sequence[int] | None = None) -> Table:
    """Every head of one site, or these, one row a weight: site, head, query, key, their tokens, weight; `begins` as of
    `table_csv`."""
    record = trace.record(site)
    heads = range(record.heads) if heads is None else heads
    weights = np.stack([record.weights(head).numpy() for head in heads])
    head, query, key = (axis.ravel() for axis in np.indices(weights.shape))
    head = np.array(heads)[head]
    named = (tokens.query_names(trace, site), trace.tokens(site.key_side))
    rows, columns = (np.array(texts, dtype=object) for texts in named)
    frame = pd.DataFrame(
        {
            "site": str(site),
            "head": head,
            "query": query,
            "key": key,
            "query_token": rows[query],
            "key_token": columns[key],
            "weight": weights.ravel(),
        }
    )
    return table_csv(frame, begins)


def trace_csv(trace: Trace) -> bytes:
    """The weights of every site and head, as `site_csv`."""
    return b"".join(site_csv(trace, site, begins=place == 0) for place, site in enumerate(trace.sites))


def trace_npz(trace: Trace) -> bytes:
    """Everything recorded, by its name, without the parameters; tokens under `tokens/{side}`."""
    arrays = {name: trace.store[name].numpy() for name in trace.store.names() if not name.startswith("parameters/")}
    return npz(**arrays, **{f"tokens/{side}": trace.tokens(side) for side in trace.sides})


def trace_file(trace: Trace) -> bytes:
    """The trace as `Trace.open` reads it."""
    with tempfile.TemporaryDirectory() as folder:
        return trace.save(Path(folder) / "trace.safetensors").read_bytes()
