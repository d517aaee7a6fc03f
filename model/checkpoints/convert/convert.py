"""Weights in another format become, once, an ordinary folder of the library in the user's cache: safetensors + tokenizer.

What a file holds is kept as it is: half precision stays half, and dequantised values are written in float32, because a
quantised weight d · q + m has more digits than half precision holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from model.checkpoints.convert import cache_entry
from model.checkpoints.disk import cost
from model.checkpoints.disk.files import digest
from model.checkpoints.library_logging import loading
from model.errors import BadFile, HeadlightError, MissingFile, NoCache, OutOfMemory
from model.jobs.progress import tick

VARIABLE = "HEADLIGHT_CACHE"
_FOLDER = "converted"
OFFLOADED = "offload"  # weights that do not fit the memory, while a model is open
_VERSION = 3  # part of the key: a changed conversion is done again


def cache_folder() -> Path:
    """HEADLIGHT_CACHE, else ~/.cache/headlight; it begins with "~" still where the user has no home folder."""
    told = os.environ.get(VARIABLE)
    folder = Path(told) if told else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "headlight"
    try:
        return folder.expanduser()
    except RuntimeError:
        return folder


def convert(source: Path) -> Path | None:
    """The folder of the library that `source` becomes, made if it is not there yet; None where it needs none.

    Raises BadFile, UnsafeWeights, WrongShape, NeedsPackage, NoCache or Stopped in one sentence; nothing half-made is left.
    """
    found = kind_of(source)
    if found is None:
        return None
    name, weights, write = found
    if name == "gguf":  # before a file of any size is hashed
        from model.checkpoints.convert.gguf import checked

        checked(weights)
    target = cache_folder() / _FOLDER / f"{name}-{digest([weights])}-{_VERSION}"
    cache_entry.sweep(target.parent)
    if cache_entry.is_whole(target):
        return target
    try:
        with cache_entry.partial(source, target) as folder:
            with loading():
                write(weights, folder)
            tick("converting", 1.0)
            cache_entry.put(folder, target)
    except HeadlightError:
        raise
    except FileNotFoundError as error:
        raise MissingFile(path=source, files=Path(error.filename or "?").name) from error
    except Exception as error:
        if cost.ran_out(error):
            raise OutOfMemory() from error
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":  # the disk is full
            raise NoCache(
                path=source, folder=target.parent, reason=getattr(error, "strerror", None) or error
            ) from error
        raise BadFile(path=weights) from error  # what a damaged file leads to cannot be listed
    return target


def sweep() -> None:
    """Remove what a killed process left half made in the cache."""
    made_at_random = cache_folder().glob("small/*")
    for folder in (cache_folder() / _FOLDER, cache_folder() / OFFLOADED, *made_at_random):
        cache_entry.sweep(folder)


def kind_of(source: Path) -> tuple[str, Path, Callable[[Path, Path], None]] | None:
    """(name, weights file, writer) of a format that is converted."""
    if source.is_dir():
        weights = source / "pytorch_model.bin"
        vocabulary = source / "vocab.txt"
        if weights.is_file() and vocabulary.is_file() and ">>" in vocabulary.read_text("utf-8", "replace").split("\n"):
            from model.checkpoints.convert.smiles import write as write_smiles

            return "smiles", weights, write_smiles
        for name in ("model.bin", "checkpoint.pt"):
            if (source / name).is_file():
                return kind_of(source / name)
        return None
    if not source.is_file():  # a pipe, say, which nobody may ever fill
        return None
    if source.suffix == ".gguf":
        from model.checkpoints.convert.gguf import write as write_gguf

        return "gguf", source, write_gguf
    if source.suffix == ".pt" and (source.parent / "dict.txt").is_file():
        from model.checkpoints.convert.fairseq import write as write_fairseq

        return "fairseq", source, write_fairseq
    if source.name == "model.bin":
        from model.checkpoints.convert.ctranslate2_whisper import write as write_whisper

        return "ctranslate2", source, write_whisper
    return None
