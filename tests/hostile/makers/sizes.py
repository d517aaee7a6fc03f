"""Small files that unfold to large things: Parquet, zip, headers of safetensors."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tests.hostile.case import case
from tests.hostile.originals import copied, library, own, run, with_header
from tests.hostile.raw import lines, put, written, zeros


def _about(rows: int, **told: object) -> dict[str, object]:
    return {
        "format": "headlight-profile", "version": 1, "texts": rows, "measured": rows, "command": "", "model": "m", "given": "m",
        "weights_hash": "", "language": "", "texts_file": "", "measures": ["entropy"], "made_of": {},
        "refused": {"count": 0, "reasons": {}, "listed": []},
    } | told  # fmt: skip


def _profile(path: Path, rows: int, source: str = "a text", compression: str = "zstd", name: str = "decoder.0.self",
             **told: object) -> Path:  # fmt: skip
    """A profile of one head and `rows` texts, all alike."""
    zeros, one = np.zeros(rows, np.int32), pa.array([0], pa.int32())
    table = pa.table({
        "text": pa.array(np.arange(rows, dtype=np.int32)),
        "site": pa.DictionaryArray.from_arrays(pa.array(zeros), pa.array([name])),
        "head": pa.array(zeros.astype(np.int16)), "queries": pa.array(zeros + 1), "keys": pa.array(zeros + 1),
        "entropy": pa.array(zeros.astype(np.float32)),
        "source": pa.DictionaryArray.from_arrays(pa.array(zeros), pa.array([source])),
    })  # fmt: skip
    assert one.type == pa.int32()
    table = table.replace_schema_metadata({b"headlight": json.dumps(_about(rows) | told).encode()})
    pq.write_table(
        table,
        path,
        compression=compression,
        data_page_size=2**30,
        dictionary_pagesize_limit=2**30,
        write_statistics=False,
    )
    return path


def _delta(folder: Path, rows: int) -> Path:
    """The same packed as differences: a few kilobytes for 40 million rows."""
    table = pa.table({
        "text": pa.array(np.arange(rows, dtype=np.int32)), "head": pa.array(np.zeros(rows, np.int16)),
        "queries": pa.array(np.ones(rows, np.int32)), "keys": pa.array(np.ones(rows, np.int32)),
        "entropy": pa.array(np.zeros(rows, np.float32)),
        "site": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["decoder.0.self"])),
        "source": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x"])),
    }).replace_schema_metadata({b"headlight": json.dumps(_about(rows)).encode()})  # fmt: skip
    pq.write_table(table, folder / "p.parquet", compression="zstd", compression_level=19,
                   use_dictionary=["site", "source", "head", "queries", "keys", "entropy"],
                   column_encoding={"text": "DELTA_BINARY_PACKED"})  # fmt: skip
    return folder / "p.parquet"


def _texts(folder: Path, table: pa.Table, **options: object) -> Path:
    pq.write_table(table, folder / "t.parquet", compression="zstd", write_statistics=False, **options)
    return folder / "t.parquet"


_LIES: dict[str, dict[str, object]] = {
    "a measure nobody knows": {"measures": ["nothing"]}, "measures that are a text": {"measures": "entropy"},
    "measures with marks": {"measures": ["![](//x)"]}, "more texts than rows": {"measured": 7},
    "texts below zero": {"texts": -1, "measured": -1}, "a version of text": {"version": "1"},
    "a version of tomorrow": {"version": 99},
    "a refusal that is a text": {"refused": "none"}, "refusals that are numbers": {"refused": {"count": 1, "listed": [1]}},
    "a refusal with another's fields": {"refused": {"count": 1, "listed": [{"text": 1, "evil": 2}]}},
    "refusals of other types": {"refused": {"count": 1, "reasons": {}, "listed": [
        {"text": "x", "source": 5, "code": [], "sentence": {}, "values": 7}]}},
    "reasons that are a list": {"refused": {"count": 1, "reasons": [1], "listed": []}},
    "a count that is true": {"measured": True, "texts": True}, "a model that is a list": {"model": ["x"]},
    "made of a list": {"made_of": []}, "a refusal below zero": {"refused": {"count": -5, "reasons": {}, "listed": []}},
}  # fmt: skip


def _zip(path: Path, size: int) -> Path:
    """A file of torch.save whose only tensor is `size` zeros, compressed."""
    inside = io.BytesIO()
    torch.save({"transformer.wte.weight": torch.zeros(4)}, inside)
    crc = 0
    for _ in range(size // 2**20):
        crc = zlib.crc32(bytes(2**20), crc)
    packed = zeros(size)
    with zipfile.ZipFile(inside) as archive, zipfile.ZipFile(path, "w") as made:
        for entry in archive.namelist():
            made.writestr(entry, packed if entry.endswith("data/0") else archive.read(entry))
        at = next(entry.header_offset for entry in made.infolist() if entry.filename.endswith("data/0"))
    raw = path.read_bytes()
    old = struct.pack("<III", zlib.crc32(packed), len(packed), len(packed))
    assert raw.count(old) == 2  # in front of it, and in the list at the end
    raw = raw.replace(old, struct.pack("<III", crc, len(packed), size))
    listed = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"data/0"))
    raw = put(put(raw, at + 8, b"\x08\0"), listed + 10, b"\x08\0")
    path.write_bytes(raw)
    return path


def _weights(write: Callable[[Path], object], name: str = "pytorch_model.bin") -> Callable[[Path, Path], Path]:
    def make(folder: Path, sound: Path) -> Path:
        made = copied(library(sound), folder)
        (made / "model.safetensors").unlink()
        write(made / name)
        return made

    return make


for _name, _make in {
    "a text of 300 MB": lambda f, s: _profile(f / "p.parquet", 10, "x" * 300_000_000),
    "a site of 300 MB": lambda f, s: _profile(f / "p.parquet", 10, name="x" * 300_000_000),
    "a text of ten megabytes, 100,000 times": lambda f, s: _profile(f / "p.parquet", 100_000, "x" * 10**7),
    "40 million rows in kilobytes": lambda f, s: _delta(f, 40_000_000),
    **{name: lambda f, s, told=told: _profile(f / "p.parquet", 3, **told) for name, told in _LIES.items()},
}.items():
    case(f"profile: {_name}", "profile", _make)
case("profile: handed in, 4 million rows in kilobytes", "handed_in", lambda f, s: _delta(f, 4_000_000))
case("profile: a sound one", "profile", lambda f, s: _profile(f / "p.parquet", 3), told="opens")
for _name, _make in {
    "one of 200 MB": lambda f, s: _texts(f, pa.table({"text": ["x" * 200_000_000]})),
    "one of ten megabytes, a million times": lambda f, s: _texts(f, pa.table({"text": pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(10**6, np.int32)), pa.array(["x" * 10**7]))})),
    "numbers": lambda f, s: _texts(f, pa.table({"text": [1, 2]})),
    "lists": lambda f, s: _texts(f, pa.table({"text": [["a"], ["b"]]})),
    "bytes that are no text": lambda f, s: _texts(f, pa.table({"text": pa.array([b"\xff\xfe"], pa.binary())})),
    "a line of a terabyte": lambda f, s: lines(f, "t.txt", 2**40),
    "a line of JSON of a terabyte": lambda f, s: lines(f, "t.jsonl", 2**40, b'{"text": "'),
    "a field of a terabyte": lambda f, s: lines(f, "t.csv", 2**40, b'text\n"'),
    "a Parquet of a terabyte": lambda f, s: lines(f, "t.parquet", 2**40, b"PAR1"),
    "deep JSON": lambda f, s: written(f / "t.jsonl", b"[" * 10**6),
    "a number of 10,000 digits": lambda f, s: written(f / "t.jsonl", b'{"text": ' + b"9" * 10_000 + b"}"),
    "JSON of NaN": lambda f, s: written(f / "t.jsonl", b'{"text": NaN}'),
    "a CSV of null bytes": lambda f, s: written(f / "t.csv", b"text\n\0\0\0\n"),
}.items():  # fmt: skip
    case(f"texts: {_name}", "texts", _make)


case("weights: a zip of two gigabytes in megabytes", "model", _weights(lambda path: _zip(path, 2**31)))
case("weights: a zip cut short", "model", _weights(lambda path: path.write_bytes(_zip(path, 2**20).read_bytes()[:-30])))
case("weights: a safetensors header of a terabyte", "model", _weights(
    lambda path: path.write_bytes(struct.pack("<Q", 2**40) + b"{}"), "model.safetensors"))  # fmt: skip
case("weights: a sparse safetensors header", "model", _weights(
    lambda path: lines(path.parent, path.name, 2**40, struct.pack("<Q", 2**39) + b"{"), "model.safetensors"))  # fmt: skip
case("weights: a header of 90 MB", "model", _weights(
    lambda path: with_header(path, b'{"a": [' + b"{}," * 30_000_000 + b"{}]}", b""), "model.safetensors"))  # fmt: skip
case("weights: sparse, a tensor of a terabyte", "model", _weights(
    lambda path: (with_header(path, {"transformer.wte.weight": {
                      "dtype": "F32", "shape": [2**33, 32], "data_offsets": [0, 2**40]}}, b""),
                  lines(path.parent, path.name, 2**40 + path.stat().st_size, path.read_bytes())),
    "model.safetensors"))  # fmt: skip
case("weights: a shape of 2^63", "model", _weights(lambda path: with_header(
    path, {"x": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}, bytes(4)), "model.safetensors"))  # fmt: skip
case("trace: a header of 90 MB", "trace", lambda f, s: with_header(
    copied(run(s), f), b'{"a": [' + b"{}," * 30_000_000 + b"{}]}", b""))  # fmt: skip
case("trace: a description of 60 MB", "trace", lambda f, s: with_header(copied(run(s), f), {"__metadata__": {
    "format": "headlight-trace", "version": "1", "trace": '{"key": [' + "{}," * 20_000_000 + "{}]}"}}, b""))  # fmt: skip
case(
    "own: sparse weights",
    "own",
    lambda f, s: (copied(own(s), f), lines(f / "own", "weights.safetensors", 2**40), f / "own")[2],
)
