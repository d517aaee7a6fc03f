"""`open_model`: whatever a person can point at, opened: a shipped name, one that `discovery` found, a folder, a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoints.disk import discovery, packages
from model.checkpoints.disk.files import newest
from model.checkpoints.disk.other_folders import adapter, model_in
from model.checkpoints.disk.shipped import SHIPPED, of_library, shipped
from model.checkpoints.history import at_step
from model.checkpoints.own import OwnModel, load
from model.errors import (
    AdapterAlone,
    NotAllowed,
    NotByLink,
    NotFetched,
    NotHere,
    NothingThere,
    NotPublic,
    Stopped,
    UnknownModel,
)
from model.jobs.device import choose
from model.jobs.progress import ProgressListener, report_to

if TYPE_CHECKING:
    import torch

    from model.checkpoints.annalog import Annalog
    from model.checkpoints.library.library_model import HuggingFaceModel


def open_model(
    name: str | Path,
    *,
    progress: Callable[[float | None, str], None] | None = None,
    stop: Callable[[], bool] | None = None,
    confined: bool = False,
    fetch: bool = True,
    device: str | None = None,
    step: int | None = None,
) -> OwnModel | HuggingFaceModel | Annalog:
    """Open "translate", a name of `discovery.discover()`, a folder, a .gguf file, or the `org/name` of a model hub.

    Of a folder with the library's checkpoint-500, checkpoint-1000, … in it the last one.

    A hub's model is taken from the local cache; else, with an internet connection, its safetensors are fetched, unless
    `fetch` is False (NotByLink).
    progress(fraction, what): fraction 0–1, or None where the end is not known. stop(): True gives up (Stopped).
    confined: open nothing outside the configured folders, and fetch nothing (NotAllowed). device: where it runs, "cuda" for a
    graphics card; else what HEADLIGHT_DEVICE says, else the processor. What is recorded lies in the processor's memory either
    way. step: the weights as they were after so many steps of its training, one of `model.history(name)`. Raises a
    HeadlightError of one sentence: UnknownDevice, UnknownModel, NotHere, UnknownStep,
    NoHistory, DamagedCheckpoint and its kinds, Quantised, UnsupportedFamily, NeedsPackage, WeightsTooLarge.
    """
    chosen = choose(device)

    def opened() -> OwnModel | HuggingFaceModel | Annalog:
        return _open(name, confined, fetch, chosen) if step is None else _open_step(name, step, confined, chosen)

    if progress is None and stop is None:
        return opened()
    with report_to(ProgressListener(lambda what, done: progress and progress(done, what), stop or (lambda: False))):
        return opened()


def _open_step(name: str | Path, step: int, confined: bool, device: torch.device) -> OwnModel | HuggingFaceModel:
    """The snapshot of one step, under the model's own name: its weights' hash tells it apart."""
    folder, weights = at_step(name, step, confined=confined)
    if weights is not None:
        return load(folder, Path(name).name, device, weights)
    return _open_path(folder, device, confined, f"{folder.absolute().parent.name} · {step}")


def _open(name: str | Path, confined: bool, fetch: bool, device: torch.device) -> OwnModel | HuggingFaceModel | Annalog:
    if (card := shipped().get(str(name))) is not None:
        folder = SHIPPED / str(name)
        return _of_library(folder, str(name), card, device) if of_library(folder) else load(folder, str(name), device)
    for package, place in packages.installed().values():
        if name in (package.name, str(place), place):
            if package.name == "annalog":
                from model.checkpoints import annalog

                return annalog.load(place.parents[1], package.name)
            return _open_path(place, device, confined, package.name, package.card)
    try:
        path = discovery.expanded(name)
        there = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # nobody's home, a name that no file system takes
        raise UnknownModel(name=str(name)[:200], allowed=_here()) from error
    if confined and not discovery.allowed(path) and (there or path.is_absolute() or ".." in path.parts):
        raise NotAllowed(path=name)  # said before anything tells whether it is there
    if not there:
        entry = discovery.discover().get(str(name))
        listed = entry is not None and entry.kind != "trace"
        path = entry.path if listed else _from_hub(str(name), confined, fetch)
        # A listed folder may hold links to what is not listed.
        if confined and not discovery.allowed(path):
            raise NotAllowed(path=name)
        return _open_path(path, device, confined, entry.name if listed else str(name))
    last = newest(path)
    return _open_path(last, device, confined, None if last == path else path.name)


def _open_path(
    path: Path, device: torch.device, confined: bool, name: str | None = None, card: dict | None = None
) -> OwnModel | HuggingFaceModel | Annalog:
    """A folder of ours, one of the library, or what is converted to one."""
    from model.checkpoints.convert.convert import convert

    if (converted := convert(path)) is not None:
        return _converted(path, converted, device, name or path.stem, (card or {}) | {"converted_from": path.name})
    folder, adapter_in = model_in(path), None
    if folder != path and adapter(path) is not None:
        if confined and not discovery.allowed(folder):
            raise AdapterAlone(path=path, **{name: adapter(path)[name] for name in ("kind", "base")})
        name, adapter_in = name or path.name, path
    elif folder != path:  # the transformer of a sentence encoder, whose pooling lies beside it
        from model.checkpoints.task_heads.sentence_pooling import pooling

        name, card = name or path.name, (card or {}) | {"pooling": pooling(path)}
    if not folder.is_dir():
        raise UnknownModel(name=path, allowed=_here())
    if not of_library(folder):
        return load(folder, name, device)
    return _of_library(folder, name, card, device, adapter_in)


def _converted(path: Path, folder: Path, device: torch.device, name: str, card: dict) -> HuggingFaceModel:
    """What `path` was converted to in `folder`, which is converted again where the cache was damaged meanwhile."""
    from model.checkpoints.convert import cache_entry
    from model.checkpoints.convert.convert import convert

    try:
        return _of_library(folder, name, card, device)
    except Stopped:
        raise
    except Exception:  # what a flipped bit leads to cannot be listed
        if not cache_entry.remove_damaged(folder):
            raise
    return _of_library(convert(path), name, card, device)


def _of_library(
    folder: Path, name: str | None, card: dict | None, device: torch.device, adapter_in: Path | None = None
) -> HuggingFaceModel:
    from model.checkpoints.library import load as library
    from model.checkpoints.library_logging import loading

    with loading():  # the whole of it: the first to come imports the library, which nobody else may see half done
        return library.load(folder, name, card, device, adapter_in)


def _from_hub(name: str, confined: bool, fetch: bool) -> Path:
    """The folder of `org/name`, fetched where it may be and is not here. Raises UnknownModel or a kind of NotHere."""
    parts = name.split("/")
    if name.startswith(("/", "~", ".", "\\")) or Path(name).is_absolute():
        raise NothingThere(name=name)
    if len(parts) != 2 or not all(part and part not in (".", "..") for part in parts):
        raise UnknownModel(name=name, allowed=_here())
    here = discovery.snapshot(name)
    if here is not None:
        return here
    if confined or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise NotFetched(name=name, allowed=_here())
    if not fetch:
        raise NotByLink(name=name)
    return _fetch(name)


def _fetch(name: str) -> Path:
    """Only tensors, JSON and vocabularies are asked for, never code. Raises NotPublic or NotHere."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        wanted = ["*.safetensors", "*.json", "*.txt", "*.model", "*.spm"]
        return Path(snapshot_download(name, allow_patterns=wanted, etag_timeout=5))
    except RepositoryNotFoundError as error:
        raise NotPublic(name=name, allowed=_here()) from error
    except Exception as error:  # a dozen kinds of it, by library and proxy; all mean the same to a person
        raise NotHere(name=name, allowed=_here()) from error


def _here() -> str:
    return ", ".join(f"“{name}”" for name, entry in discovery.discover().items() if entry.kind != "trace") or "none"
