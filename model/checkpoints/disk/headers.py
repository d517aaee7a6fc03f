"""Headers of safetensors and GGUF files: names, shapes and metadata, without reading weights and without torch.

safetensors: u64 length, then that much JSON (github.com/huggingface/safetensors, "Format"). GGUF: magic, version, counts,
key–value pairs, tensor infos (github.com/ggml-org/ggml, docs/gguf.md).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from model.files.regular import json_of, parsed

# Bytes of a safetensors header (10⁵ tensors have 12 MB), and of a text in a GGUF's metadata, chat templates among them: a
# header is read whole, and by whoever lists a folder.
_LARGEST_HEADER, _LARGEST_TEXT = 32 * 2**20, 2**24
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def config_of(folder: Path) -> dict[str, Any]:
    """The folder's config.json as a dict. Raises ValueError or OSError where it is none."""
    found = json_of(folder / "config.json")
    if not isinstance(found, dict):
        raise ValueError("config.json is not a table")
    return found


def safetensors_header(path: Path) -> dict[str, Any]:
    """Name -> {dtype, shape, data_offsets}, and "__metadata__". Raises ValueError when truncated or of another kind."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, _LARGEST_HEADER):
            raise ValueError("not a safetensors file")
        header = parsed(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("not a safetensors file")
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if not all(map(_is_entry, tensors.values())):
        raise ValueError("not a safetensors file")
    spans = sorted(tuple(entry["data_offsets"]) for entry in tensors.values())
    ends = [0, *(end for _, end in spans)]
    # As the library holds it: each begins where the one before ends, and the last one with the file.
    if ends[-1] > size - 8 - length:
        raise ValueError("truncated")
    if [begin for begin, _ in spans] != ends[:-1] or (spans and ends[-1] != size - 8 - length):
        raise ValueError("its tensors overlap, or leave room between them")
    return header


def _is_entry(entry: object) -> bool:
    """Whether this is what a header says of a tensor: a name of its numbers, sizes that are counts, and where it lies."""
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return False
    shape, span = entry.get("shape"), entry.get("data_offsets")
    counts = all(
        isinstance(part, list) and all(type(n) is int and 0 <= n < 2**63 for n in part) for part in (shape, span)
    )
    return counts and len(span) == 2 and span[0] <= span[1]


def parameters(path: Path) -> int:
    """Weights in a safetensors file. Places and masks (I64, BOOL), which some keep beside them, are none; a byte of MXFP4's
    blocks holds two."""
    tensors = [(name, entry) for name, entry in safetensors_header(path).items() if name != "__metadata__"]
    return sum(
        prod(entry["shape"]) * (2 if entry["dtype"] == "U8" and name.endswith("_blocks") else 1)
        for name, entry in tensors
        if entry["dtype"] not in ("I64", "BOOL")
    )


@dataclass(frozen=True)
class GgufList:
    """A list of the metadata that was skipped: how many entries it has, and the bytes [start, end) of the file that hold
    its name and entries."""

    length: int
    start: int
    end: int


@dataclass(frozen=True)
class Gguf:
    """`values`: the single values of the metadata; `lists` (the vocabulary) are skipped. `shapes`: tensor -> shape. `places`:
    tensor -> (number of its element type, where its data begins). `end`: where the tensor infos end; the tensors begin at
    the next multiple of `alignment`, from which places are counted."""

    values: dict[str, Any]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    lists: dict[str, GgufList] = field(default_factory=dict)
    end: int = 0
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        return str(self.values.get("general.architecture", ""))

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def alignment(self) -> int:
        return self.values.get("general.alignment", 32)


def gguf_header(path: Path, tensors: bool = False) -> Gguf:
    """The file's metadata; without `tensors` only up to the first list of texts. Raises ValueError when damaged."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError("not a GGUF file")
        reader = _Reader(file, os.fstat(file.fileno()).st_size)
        version, count, pairs = reader.number("I"), reader.number("Q"), reader.number("Q")
        if version not in (2, 3):
            raise ValueError(f"GGUF version {version}")
        values: dict[str, Any] = {}
        lists: dict[str, GgufList] = {}
        for _ in range(pairs):
            start = file.tell()
            name, kind = reader.text(), reader.number("I")
            if name in values or name in lists:
                raise ValueError(f"{name} stands twice")
            if kind == _ARRAY:
                if not tensors:
                    return Gguf(values)
                lists[name] = GgufList(reader.skip_list(), start, file.tell())
            else:
                values[name] = reader.text() if kind == _STRING else reader.number(_SCALARS.get(kind, "?"))
        shapes, places = {}, {}
        for _ in range(count if tensors else 0):
            name, rank = reader.text(), reader.number("I")
            if rank > 8:
                raise ValueError("damaged")
            shapes[name] = tuple(reader.number("Q") for _ in range(rank))
            places[name] = reader.number("I"), reader.number("Q")
        return Gguf(values, shapes, lists, file.tell(), places)


class _Reader:
    """Little-endian values of a file; anything that would lie beyond its end is a ValueError."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size = file, size

    def number(self, code: str) -> Any:
        size = struct.calcsize(code)
        data = self.file.read(size)
        if len(data) < size:
            raise ValueError("truncated")
        return struct.unpack(f"<{code}", data)[0]

    def bytes(self, length: int) -> bytes:
        if length > self.size - self.file.tell():
            raise ValueError("truncated")
        return self.file.read(length)

    def text(self) -> str:
        length = self.number("Q")
        if length > _LARGEST_TEXT:
            raise ValueError("a text of more than 16 MB")
        return self.bytes(length).decode("utf-8", "replace")

    def skip_list(self) -> int:
        """The number of entries."""
        kind, length = self.number("I"), self.number("Q")
        if kind == _STRING:
            for _ in range(length):
                self.bytes(self.number("Q"))
        elif kind in _SCALARS:
            self.bytes(length * struct.calcsize(_SCALARS[kind]))
        else:
            raise ValueError("a list of lists")
        return length
