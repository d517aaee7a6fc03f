"""Pipes, devices, sockets, folders and links in place of files, and pickles that would run code."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import torch

from tests.hostile.case import case
from tests.hostile.originals import copied, library, own, run
from tests.hostile.raw import lines


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(path.parent)  # an address has room for 108 characters
        made.bind(path.name)
        os.chdir(before)


_KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": _pipe, "a socket": _socket, "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(), "a link to nowhere": lambda path: path.symlink_to("/nowhere/at/all"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a sparse terabyte": lambda path: lines(path.parent, path.name, 2**40),
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
}  # fmt: skip
_LIBRARY = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "README.md",
            "model.safetensors.index.json", "special_tokens_map.json", "preprocessor_config.json", "modules.json")  # fmt: skip
_OWN = ("config.json", "weights.safetensors", "vocabulary.json", "card.json")


def _instead(original: Callable[[Path], Path], name: str, kind: str) -> Callable[[Path, Path], Path]:
    def make(folder: Path, sound: Path) -> Path:
        made = copied(original(sound), folder)
        (made / name).unlink(missing_ok=True)
        if name.endswith("index.json"):
            (made / "model.safetensors").unlink()
        _KINDS[kind](made / name)
        return made

    return make


def _alone(name: str, kind: str) -> Callable[[Path, Path], Path]:
    def make(folder: Path, _sound: Path) -> Path:
        _KINDS[kind](folder / name)
        return folder / name

    return make


for _kind in _KINDS:
    for _name in _LIBRARY:
        case(f"place: {_kind} for {_name}", "model", _instead(library, _name, _kind))
    for _name in _OWN:
        case(f"place: {_kind} for our {_name}", "own", _instead(own, _name, _kind))
    case(f"place: {_kind} for a trace", "trace", _alone("t.safetensors", _kind))
    case(f"place: {_kind} for a GGUF", "model", _alone("m.gguf", _kind))
    case(f"place: {_kind} for a profile", "profile", _alone("p.parquet", _kind))
    case(f"place: {_kind} for texts", "texts", _alone("t.txt", _kind))
    case(f"place: {_kind} for a dictionary", "model", _instead(lambda sound: library(sound), "dict.txt", _kind))


def _listed(folder: Path, sound: Path) -> Path:
    """A folder of models with one of every kind of bad entry, and a good one."""
    models = folder / "models"
    models.mkdir()
    copied(library(sound), models).rename(models / "good")
    for number, (kind, make) in enumerate(_KINDS.items()):
        for name in ("config.json", "README.md", "card.json"):
            bad = copied(library(sound), models)
            (bad / name).unlink(missing_ok=True)
            make(bad / name)
            bad.rename(models / f"{number}-{name}")
        for name in ("x.gguf", "x.safetensors"):
            make(models / f"{number}-{name}")
        if "folder" not in kind:
            make(models / f"{number}-itself")
    (models / "\udcff\udcfe").mkdir()
    (models / ("n" * 255)).mkdir()
    (models / "long.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**60))
    (models / "closed").mkdir(mode=0)
    outside = copied(library(sound), folder)
    (models / "outside").symlink_to(outside)
    (models / "half").mkdir()
    for file in outside.iterdir():
        (models / "half" / file.name).symlink_to(file)
    return models


case("place: a folder of models with all of them", "listed", _listed, told="opens")


class _Evil:
    """What runs a stranger's code where a pickle is opened as one."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch $HEADLIGHT_RAN",)


_PICKLES: dict[str, Callable[[Path], object]] = {
    "a pickle that runs code": lambda path: torch.save({"x": _Evil()}, path),
    "an old pickle that runs code": lambda path: torch.save({"x": _Evil()}, path, _use_new_zipfile_serialization=False),
    "a bare pickle that runs code": lambda path: path.write_bytes(b"cos\nsystem\n(S'touch $HEADLIGHT_RAN'\ntR."),
    "a pickle that evaluates": lambda path: path.write_bytes(
        b"\x80\x02cbuiltins\neval\n(X\x1d\0\0\0__import__('os').system('x')tR."),
    "a script of TorchScript": lambda path: torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), str(path)),
}  # fmt: skip


def _pickled(name: str, make: Callable[[Path], object]) -> Callable[[Path, Path], Path]:
    def write(folder: Path, sound: Path) -> Path:
        made = copied(library(sound), folder)
        (made / "model.safetensors").unlink()
        make(made / name)
        if name == "checkpoint.pt":
            (made / "dict.txt").write_text("a 1\n")
        return made

    return write


for _name, _make in _PICKLES.items():
    for _file in ("pytorch_model.bin", "checkpoint.pt", "model.ckpt"):
        if "TorchScript" not in _name or _file == "pytorch_model.bin":
            case(f"place: {_name} in {_file}", "model", _pickled(_file, _make))
case("place: a trace that is a pickle", "trace", lambda f, s: _trace(f))


def _trace(folder: Path) -> Path:
    torch.save({"x": _Evil()}, folder / "t.safetensors")
    return folder / "t.safetensors"


def _linked(folder: Path, sound: Path) -> Path:
    (folder / "t.safetensors").symlink_to(run(sound))
    return folder / "t.safetensors"


case("place: a trace that is a link to a sound one", "trace", _linked, told="opens")
