"""What people point at that is no checkpoint itself: where the model lies in it, or what it is and where to point."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from model.checkpoints.disk.discovery import snapshot
from model.checkpoints.disk.files import gguf_files, newest, settings
from model.errors import (
    AdapterAlone,
    NeedsPackage,
    NoCheckpoint,
    NotARegularFile,
    SeveralCheckpoints,
    WeightsAlone,
    WeightsInFolder,
)
from model.files.regular import irregular, json_of

ADAPTER = "adapter_config.json"
_FILES = {
    ".ckpt": "training checkpoint", ".pt": "file of PyTorch tensors", ".pth": "file of PyTorch tensors",
    ".bin": "file of PyTorch tensors", ".safetensors": "file of tensors",
}  # fmt: skip
_WEIGHTS = re.compile(r"(pytorch_)?model(-\d+-of-\d+)?\.(safetensors|bin)")  # as the library names them


def model_in(path: Path) -> Path:
    """The checkpoint folder that is meant by `path`: its own, that inside a sentence-transformers folder, the last of a training
    of the library, or the model of an adapter.

    Raises WeightsAlone (WeightsInFolder where its config.json lies beside it), AdapterAlone, NeedsPackage (peft),
    SeveralCheckpoints, NotARegularFile or NoCheckpoint for what is there and is no model; any other folder stays as it is.
    """
    if path.is_file() and _WEIGHTS.fullmatch(path.name) and (path.parent / "config.json").is_file():
        raise WeightsInFolder(path=path, folder=path.parent)
    if path.is_file() and path.suffix in _FILES:
        raise WeightsAlone(path=path, kind=_FILES[path.suffix])
    if path.is_file():
        raise NoCheckpoint(path=path)
    if kind := irregular(path):
        raise NotARegularFile(path=path, kind=kind)
    if not path.is_dir() or (path / "config.json").is_file():
        return path
    if (inner := _first_module(path)) is not None:
        return inner
    if (path / ADAPTER).is_file():
        return _base(path)
    if (last := newest(path)) != path:
        return last
    there = [folder.name for folder in checkpoints_in(path)[:5]] or gguf_files(path)
    if there and not (path / "card.json").is_file():
        raise SeveralCheckpoints(path=path, allowed=", ".join(there))
    return path


def checkpoints_in(path: Path) -> list[Path]:
    """The folders in `path` that hold a configuration of a model, in the order of the numbers in their names."""
    return sorted(
        (child.parent for child in path.glob("*/config.json")),
        key=lambda folder: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", folder.name)],
    )


def adapter(folder: Path) -> dict[str, Any] | None:
    """The kind of an adapter beside a model and the model that it was made for; None where there is none."""
    if not (folder / ADAPTER).is_file():
        return None
    told = settings(folder / ADAPTER)
    return {"kind": str(told.get("peft_type", "?")), "base": str(told.get("base_model_name_or_path", "?"))}


def _base(folder: Path) -> Path:
    """The model that the adapter in `folder` names: a folder, as it stands or beside the adapter, or one of the hub's cache.

    Raises AdapterAlone where it is not here, NeedsPackage where it is and nothing could put the adapter into it.
    """
    told = adapter(folder)
    try:
        given = Path(told["base"]).expanduser()
        places = [given, folder / given, folder.parent / given, folder.parent / given.name]
        there = next((place for place in places if (place / "config.json").is_file()), None) or snapshot(told["base"])
    except (OSError, RuntimeError, ValueError):  # a name that no file system takes
        there = None
    if there is None:
        raise AdapterAlone(path=folder, kind=told["kind"], base=told["base"])
    if find_spec("peft") is None:
        raise NeedsPackage(path=folder, package="peft", command="pip install peft")
    return there


def _first_module(folder: Path) -> Path | None:
    """The transformer of a sentence-transformers folder, which lists its parts in modules.json."""
    if not (folder / "modules.json").is_file():
        return None
    try:
        listed = json_of(folder / "modules.json")
        paths = [folder / str(part["path"]) for part in listed if str(part["type"]).endswith("Transformer")]
    except (ValueError, OSError, KeyError, TypeError):
        return None
    inside = [path for path in paths if path.resolve().is_relative_to(folder.resolve())]
    return next((path for path in inside if (path / "config.json").is_file()), None)
