"""Which models can be opened on this computer, found without reading weights and without importing torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoints.disk import families, packages
from model.checkpoints.disk import files as checkpoint_files
from model.checkpoints.disk.headers import config_of, gguf_header, safetensors_header
from model.checkpoints.disk.shipped import SHIPPED, family, shipped

VARIABLE = "HEADLIGHT_MODELS"
_DEPTH = 2
_ONE_OF = re.compile(r"(seed|checkpoint)-\d+")
# Names that say what a folder is and not which.
_ANY = {"model", "checkpoint", "weights", "files", "last", "final", "best", "output", "out", "export"}
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


@dataclass(frozen=True)
class Entry:
    """One model (or saved trace) that `open_model` takes by its `name`.

    kind: "shipped", "folder", "package", "hub cache", "gguf" or "trace". family: the configuration's model_type, the
    GGUF's architecture, "headlight" for our own. size_bytes: on disk. licence: "" where nothing says it. reads: "text",
    "pictures" or "sound".
    """

    name: str
    kind: str
    path: Path
    family: str
    title: str
    size_bytes: int
    licence: str = ""
    reads: str = "text"


def discover(confined: bool = False) -> dict[str, Entry]:
    """Name -> entry, the shipped ones first. What cannot be read is left out, never an error; `confined`: what lies outside
    the places where models are looked for, by a link in them, too."""
    entries: dict[str, Entry] = {}
    for entry in (*_shipped(), *_packages(), *_folders(), *_hub_cache()):
        if not _can_be_said(entry) or (confined and not allowed(entry.path)):
            continue
        name, number = entry.name, 2
        while name in entries:
            name, number = f"{entry.name} ({number})", number + 1
        entries[name] = entry if name == entry.name else Entry(**(vars(entry) | {"name": name}))
    return entries


def _can_be_said(entry: Entry) -> bool:
    """Whether its texts can be written: a file system may hold names that are no text in any alphabet."""
    try:
        return bool("".join((entry.name, entry.title, entry.family, entry.licence, str(entry.path))).encode())
    except (UnicodeEncodeError, TypeError):
        return False


def expanded(name: str | Path) -> Path:
    """A path with "~" as the home of whoever runs this; another's home ("~name") is nobody's business, and stays as it is."""
    return Path(name).expanduser() if str(name) == "~" or str(name).startswith(("~/", "~\\")) else Path(name)


def called(folder: Path) -> str:
    """A folder's own name; with that of the folder around it where it says nothing by itself: one of several of a training, which
    every training names alike, or "model"."""
    alike = (_ONE_OF.fullmatch(folder.name) or folder.name.lower() in _ANY) and folder.parent.name
    return f"{folder.parent.name} · {folder.name}" if alike else folder.name


def allowed(path: str | Path) -> bool:
    """Whether `path` and what lies in it, links followed, lie in the places where models are looked for."""
    try:
        real = expanded(path).resolve()
        # The cache's snapshots are links into its blobs, so the whole cache is one place.
        places = [SHIPPED, *configured(), hub_folder(), *(place for _, place in packages.installed().values())]
        within = [place.resolve() for place in places]
        # Such a file is converted with the vocabulary that lies beside it.
        inside = _inside(real.parent if real.suffix in (".pt", ".bin") else real)
        return all(any(file.is_relative_to(place) for place in within) for file in (real, *inside))
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null character
        return False


def _inside(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """What lies in a folder and in the folders of it, links followed; the library reads both."""
    for path in folder.iterdir() if folder.is_dir() else ():
        yield path.resolve()
        if depth > 1 and not path.is_symlink():
            yield from _inside(path, depth - 1)


def _at_home(name: str) -> Path:
    """A path of the settings; one in a home folder stays as it is where this user has none, and is then not there."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def configured() -> list[Path]:
    """The folders named in HEADLIGHT_MODELS."""
    return [_at_home(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part.strip()]


def hub_folder() -> Path:
    """The local Hugging Face cache, where its own variables or their defaults put it."""
    if os.environ.get("HF_HUB_CACHE"):
        return _at_home(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return _at_home(home) / "hub"


def snapshot(identifier: str) -> Path | None:
    """The newest snapshot of `org/name` in the local cache that holds a config.json, or None."""
    folder = hub_folder() / f"models--{identifier.replace('/', '--')}" / "snapshots"
    try:
        snapshots = [path for path in folder.iterdir() if (path / "config.json").is_file()]
        return max(snapshots, key=lambda path: path.stat().st_mtime, default=None)
    except (OSError, ValueError):  # a name that no file system takes
        return None


def _shipped() -> Iterator[Entry]:
    for name, card in shipped().items():
        folder = SHIPPED / name
        title = card.get("title", name)
        title = title.get("en", name) if isinstance(title, dict) else str(title)
        yield Entry(name, "shipped", folder, family(name), title, size_of(folder), "Apache-2.0")


def _packages() -> Iterator[Entry]:
    for name, (package, path) in packages.installed().items():
        yield Entry(
            name, "package", path, package.family, package.title, package.size_bytes, package.licence, package.reads
        )  # fmt: skip


def _folders() -> Iterator[Entry]:
    for root in configured():
        for folder in _within(root, _DEPTH):
            entries = [_folder(folder, folder.name), *(_file(path) for path in _files(folder))]
            yield from (entry for entry in entries if entry is not None)


def _hub_cache() -> Iterator[Entry]:
    for folder in _children(hub_folder()):
        if not folder.name.startswith("models--"):
            continue
        name = folder.name.removeprefix("models--").replace("--", "/")
        newest = snapshot(name)
        entry = _folder(newest, name, "hub cache") if newest is not None else None
        if entry is not None:
            yield entry


def _within(root: Path, depth: int) -> Iterator[Path]:
    """`root` and the folders up to `depth` levels below it; a link to a folder is not followed."""
    try:
        there = root.is_dir()
    except OSError:  # in a folder that may not be entered
        return
    if there:
        yield root
    for child in _children(root) if depth else ():
        if not child.is_symlink() and not child.name.startswith("."):
            yield from _within(child, depth - 1)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix in (".gguf", ".safetensors") and p.is_file())
    except OSError:
        return []


def _folder(folder: Path, name: str, kind: str = "folder") -> Entry | None:
    """A folder of the library (config.json names a model_type) or of ours, with weights beside it; a training folder of the
    library's checkpoints as the last of them, under its own name."""
    try:
        folder = checkpoint_files.newest(folder)
        if not any(True for pattern in _WEIGHTS for _ in folder.glob(pattern)):
            return None
        config = config_of(folder)
        if (folder / "card.json").is_file() and (folder / "vocabulary.json").is_file():
            return Entry(name, kind, folder, "headlight", name, size_of(folder))
        family = config.get("model_type")
        return (
            Entry(name, kind, folder, family, *_described(name, family), **_facts(folder, family)) if family else None
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _described(name: str, family: str) -> tuple[str]:
    known = families.entry(families.family_of(family))
    return (f"{name} ({known.title if known else family})",)


def _facts(folder: Path, family: str) -> dict[str, Any]:
    reads = families.rules_of(families.family_of(family)).reads
    return {"size_bytes": size_of(folder), "licence": _licence(folder), "reads": reads}


def _licence(folder: Path) -> str:
    """The `license:` line of the model card's head, where there is one."""
    head = checkpoint_files.card_head(folder)
    return next((line.partition(":")[2].strip() for line in head if line.startswith("license:")), "")


def _file(path: Path) -> Entry | None:
    """A GGUF model or a saved trace; weights of a folder's checkpoint are neither."""
    try:
        if path.suffix == ".gguf":
            values = gguf_header(path).values
            family, title = str(values.get("general.architecture", "")), str(values.get("general.name", path.stem))
            licence = str(values.get("general.license", ""))
            return Entry(path.stem, "gguf", path, family, title, path.stat().st_size, licence)
        metadata = safetensors_header(path).get("__metadata__") or {}
        if metadata.get("format") != "headlight-trace":
            return None
        return Entry(path.stem, "trace", path, "headlight-trace", path.stem, path.stat().st_size)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def size_of(path: Path) -> int:
    """Bytes of a file, or of the files lying directly in a folder."""
    try:
        return (
            sum(file.stat().st_size for file in path.iterdir() if file.is_file())
            if path.is_dir()
            else path.stat().st_size
        )
    except OSError:
        return 0
