"""GGUF files whose counts, lengths, types and sizes lie."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.hostile.case import case
from tests.hostile.raw import written


def _gguf(
    pairs: bytes = b"", count: int = 0, tensors: bytes = b"", numbers: tuple[int, int] | None = None, tail: bytes = b""
):
    told, there = numbers or (count, pairs.count(b"\x01PAIR\x01"))
    data = b"GGUF" + struct.pack("<IQQ", 3, told, there) + pairs.replace(b"\x01PAIR\x01", b"") + tensors + tail

    def make(folder: Path, _sound: Path) -> Path:
        (folder / "m.gguf").write_bytes(data)
        return folder / "m.gguf"

    return make


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _pair(name: str, kind: int, value: bytes) -> bytes:
    return b"\x01PAIR\x01" + _text(name) + struct.pack("<I", kind) + value


_LLAMA = _pair("general.architecture", 8, _text("llama"))
_SPARSE = 2**40


def _sparse(folder: Path, _sound: Path) -> Path:
    path = folder / "m.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("general.name") + struct.pack("<IQ", 8, 2**39))
        file.truncate(_SPARSE)
    return path


def _llama(**told: int) -> Callable[[Path, Path], Path]:
    """A file of one tensor that says these sizes."""
    usual = {"embedding_length": 32, "feed_forward_length": 64, "attention.head_count": 4, "context_length": 64}
    pairs = b"".join(_pair(f"llama.{name}", 4, struct.pack("<I", value)) for name, value in (usual | told).items())
    table = _text("token_embd.weight") + struct.pack("<IQQIQ", 2, 32, 32, 0, 0)
    return _gguf(_LLAMA + pairs, 1, table, tail=bytes(8192))


for _name, _make in {
    "a billion tensors": _gguf(_LLAMA, numbers=(2**40, 1)),
    "a billion pairs": _gguf(_LLAMA, numbers=(0, 2**62)),
    "a text of an exabyte": _gguf(b"\x01PAIR\x01" + struct.pack("<Q", 2**60) + b"x"),
    "a value of an exabyte": _gguf(_pair("general.name", 8, struct.pack("<Q", 2**60))),
    "a list of an exabyte": _gguf(_LLAMA + _pair("x", 9, struct.pack("<IQ", 5, 2**60))),
    "a list of texts of an exabyte": _gguf(_LLAMA + _pair("x", 9, struct.pack("<IQ", 8, 2**60))),
    "a list of 30 million numbers": _gguf(_LLAMA + _pair("x.y", 9, struct.pack("<IQ", 0, 30_000_000) + bytes(30_000_000))),
    "a list of lists": _gguf(_LLAMA + _pair("x", 9, struct.pack("<IQ", 9, 3))),
    "a type nobody knows": _gguf(_LLAMA + _pair("x", 77, b"")),
    "a name twice": _gguf(_LLAMA + _LLAMA), "an architecture that is a number": _gguf(_pair("general.architecture", 4, bytes(4))),
    "an architecture that is a path": _gguf(_pair("general.architecture", 8, _text("../../x"))),
    "a tensor of 2^60": _gguf(_LLAMA, 1, _text("token_embd.weight") + struct.pack("<IQQIQ", 2, 2**30, 2**30, 0, 0)),
    "a tensor of 200 axes": _gguf(_LLAMA, 1, _text("x") + struct.pack("<I", 200)),
    "a tensor of no known numbers": _gguf(_LLAMA, 1, _text("x") + struct.pack("<IQIQ", 1, 32, 999, 0), tail=bytes(4096)),
    "a tensor far behind": _gguf(_LLAMA, 1, _text("x") + struct.pack("<IQIQ", 1, 32, 0, 2**63), tail=bytes(4096)),
    "an alignment of zero": _gguf(_LLAMA + _pair("general.alignment", 4, bytes(4)), 1,
                                  _text("x") + struct.pack("<IQIQ", 1, 32, 0, 0), tail=bytes(4096)),
    "an alignment that is a text": _gguf(_LLAMA + _pair("general.alignment", 8, _text("x"))),
    "a hundred thousand layers": _llama(block_count=100_000),
    "a vocabulary of four billion": _llama(block_count=1, vocab_size=2**32 - 1),
    "an inner billion": _llama(block_count=1, feed_forward_length=2**31 - 1),
    "version 1": lambda f, s: written(f / "m.gguf", b"GGUF" + struct.pack("<I", 1) + bytes(64)),
    "nothing": lambda f, s: written(f / "m.gguf", b""), "random bytes": lambda f, s: written(
        f / "m.gguf", b"GGUF" + struct.pack("<I", 3) + np.random.default_rng(0).bytes(4000)),
    "a sparse terabyte": _sparse,
}.items():  # fmt: skip
    case(f"gguf: {_name}", "model", _make)
