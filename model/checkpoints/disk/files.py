"""The files of a checkpoint folder of the library: which hold the weights, and whether they are all there and whole."""

from __future__ import annotations

import hashlib
import re
import zipfile
from math import prod
from pathlib import Path
from typing import Any

from model.checkpoints.disk.headers import config_of, safetensors_header
from model.errors import (
    BadFile,
    HeadlightError,
    MissingShard,
    NoTensors,
    NoWeights,
    OtherWeights,
    PointerFile,
    SeveralCheckpoints,
)
from model.files.regular import json_of, text_of
from model.jobs.progress import tick

# In the library's own order of preference.
_SINGLE = ("model.safetensors", "pytorch_model.bin")
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model",
               "source.spm", "bpe.codes", "tokenizer_config.json")  # fmt: skip
# Weights that are none of the library's for PyTorch, by their files.
_OTHERS = {
    "tf_model.h5": "weights for TensorFlow", "flax_model.msgpack": "weights for Flax", "*.onnx": "a graph for ONNX",
    "openvino_model.*": "a graph for OpenVINO", "consolidated*": "weights under their maker's own names",
    "rust_model.ot": "weights for Rust", "*.ckpt.index": "weights for TensorFlow",
    "*.safetensors": "tensors under a name that is not the library's", "*.bin": "tensors under a name that is not the library's",
}  # fmt: skip
_BLOCK = 2**24
# Beside a converted model: the parameters that its source lacked, and the tensors of it that had no place.
CONVERSION = "conversion.json"
AS_SAVED = "tokenizer_as_saved"  # in it: the tokenizer is what its file says, whatever its class would build
_WRAPPERS = {r"(^|\.)_orig_mod\.": r"\1", r"^module\.": ""}
_POINTER = b"version https://git-lfs"
_STEP = re.compile(r"checkpoint-(\d{1,12})")  # as the library's Trainer names them


def config(folder: Path) -> dict[str, Any]:
    """config.json. Raises BadFile where it is no JSON table."""
    try:
        return config_of(folder)
    except (ValueError, OSError) as error:
        raise BadFile(path=folder / "config.json") from error


def weights(folder: Path, whole: bool = True) -> list[Path]:
    """The weights files: one, or the shards that an index names; `whole` reads the header of each.

    Raises NoWeights or OtherWeights, SeveralCheckpoints (GGUF files), MissingShard (naming them), BadFile, or its like
    PointerFile and NoTensors.
    """
    for name in _SINGLE:
        index = folder / f"{name}.index.json"
        found = [folder / name] if (folder / name).is_file() else _shards(index) if index.is_file() else []
        if found and whole:
            _check(found)
        if found:
            return found
    if files := gguf_files(folder):
        raise SeveralCheckpoints(path=folder, allowed=", ".join(files))
    for pattern, kind in _OTHERS.items():
        if other := next(folder.glob(pattern), None):
            raise OtherWeights(path=folder, file=other.name, kind=kind, allowed=_SINGLE[0])
    raise NoWeights(path=folder, allowed=" or ".join(_SINGLE))


def trained_steps(folder: Path) -> dict[int, Path]:
    """The checkpoints by their step that the library's Trainer left in a training folder, in no order."""
    try:
        inside = [(path, _STEP.fullmatch(path.name)) for path in folder.iterdir()]
        return {int(name[1]): path for path, name in inside if name and (path / "config.json").is_file()}
    except OSError:
        return {}


def siblings(folder: Path) -> dict[int, Path]:
    """Of one such checkpoint all of its training, itself among them; {} for any other folder."""
    folder = folder.absolute()
    there = trained_steps(folder.parent) if _STEP.fullmatch(folder.name) else {}
    return there if folder in there.values() else {}


def newest(folder: Path) -> Path:
    """The last checkpoint of the library in a training folder that is no model by itself; else `folder`."""
    try:
        if (folder / "config.json").exists() or not folder.is_dir():
            return folder
    except (OSError, ValueError):
        return folder
    there = trained_steps(folder)
    return there[max(there)] if there else folder


def gguf_files(folder: Path) -> list[str]:
    """The names of the first GGUF files in a folder, each of which is a model by itself."""
    return sorted(path.name for path in folder.glob("*.gguf"))[:5]


def _check(paths: list[Path]) -> None:
    there = False
    for path in paths:
        try:
            with path.open("rb") as file:
                if file.read(len(_POINTER)) == _POINTER:
                    raise PointerFile(path=path)
            if path.suffix != ".safetensors" and not stored(path):
                raise BadFile(path=path)
            there = there or path.suffix != ".safetensors" or bool(tensors(path))
        except HeadlightError:
            raise
        except (ValueError, OSError, KeyError, TypeError, IndexError) as error:
            raise BadFile(path=path) from error
    if not there:
        raise NoTensors(path=paths[0])


def stored(path: Path) -> bool:
    """Whether what a file of PyTorch unfolds to has room in it: such an archive is written without compression."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:  # of the older form, which has none, and begins like any pickle
                return file.read(1) == b"\x80"
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    plain = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    return plain and sum(entry.file_size for entry in entries) <= path.stat().st_size


def tensors(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> {dtype, shape, …} of a safetensors file. Raises as `safetensors_header`."""
    return {name: entry for name, entry in safetensors_header(path).items() if name != "__metadata__"}


def without_wrappers(paths: list[Path]) -> dict[str, str] | None:
    """Pattern -> replacement for names that a wrapper made longer (torch.compile, DataParallel); None where there are none."""
    names = [name for path in paths if path.suffix == ".safetensors" for name in tensors(path)]
    return {
        pattern: kept for pattern, kept in _WRAPPERS.items() if any(re.search(pattern, name) for name in names)
    } or None


def numbers(paths: list[Path], names: set[str]) -> int:
    """How many numbers the tensors `names` of safetensors files hold together."""
    shapes = (entry["shape"] for path in paths for name, entry in tensors(path).items() if name in names)
    return sum(map(prod, shapes))


def settings(path: Path) -> dict[str, Any]:
    """A further JSON table of the folder, {} where it is not there. Raises BadFile."""
    if not path.is_file():
        return {}
    try:
        found = json_of(path)
    except (ValueError, OSError) as error:
        raise BadFile(path=path) from error
    if not isinstance(found, dict):
        raise BadFile(path=path)
    return found


def _shards(index: Path) -> list[Path]:
    try:
        table = json_of(index)
        names = sorted(set(table["weight_map"].values()))
        whole = isinstance(table.get("metadata"), dict)  # the library reads no index without it
    except (ValueError, OSError, KeyError, AttributeError, TypeError) as error:
        raise BadFile(path=index) from error
    # A shard lies beside its index, nowhere else.
    beside = all(isinstance(name, str) and name not in ("", "..") and Path(name).name == name for name in names)
    if not (whole and names and beside):
        raise BadFile(path=index)
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise MissingShard(path=index.parent, files=", ".join(missing))
    return [index.parent / name for name in names]


def card_head(folder: Path) -> list[str]:
    """The lines of the YAML at the head of a model card, [] where there is none."""
    try:
        lines = text_of(folder / "README.md", errors="replace")[:4000].splitlines()
    except (OSError, ValueError):
        return []
    return lines[1 : lines.index("---", 1)] if lines[:1] == ["---"] and "---" in lines[1:] else []


def has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _TOKENIZERS)


def digest(paths: list[Path], what: str = "hashing") -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the files one after the other; ticks as it reads."""
    total, done, sha = max(1, sum(path.stat().st_size for path in paths)), 0, hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                sha.update(block)
                done += len(block)
                tick(what, min(1.0, done / total))
    return sha.hexdigest()[:16]
