"""What is handed in for a training lies in the lab's folder, and goes when no run is trained on it any more."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from model.training.run_files.folder import run_of

DATA, RUNS, LIST = "data", "runs", "runs.jsonl"  # in the lab's folder; of the first two a folder each
GONE = ".deleted-"  # in the name of a run that is being deleted
_ORPHAN = 24 * 3600.0  # seconds that a file waits for its training to begin


def sweep(lab: Path, keep: Path | None = None) -> None:
    """Remove what was handed in more than a day ago and no run is trained on, and what a deletion left behind. keep: a file of
    a training that is about to begin. Never raises OSError: a start does not depend on it."""
    used = in_use(lab) | ({keep.resolve().parent} if keep is not None else set())
    for folder in _children(lab / DATA):
        if folder.resolve() not in used and _age(folder) > _ORPHAN:
            shutil.rmtree(folder, ignore_errors=True)
    for folder in _children(lab / RUNS):
        if GONE in folder.name:
            shutil.rmtree(folder, ignore_errors=True)


def is_child(folder: Path, home: Path) -> bool:
    """Whether `folder` lies directly in `home`, itself and not by a link or "..": what is deleted is what is named."""
    try:
        return folder.parent.resolve() == home.resolve() and folder.name not in ("", "..") and not folder.is_symlink()
    except OSError:
        return False


def _children(home: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in home.absolute().iterdir() if path.is_dir() and not path.is_symlink()]
    return []


def _age(folder: Path) -> float:
    """Seconds since the folder, or anything in it, was written."""
    with suppress(OSError):
        return time.time() - max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))
    return 0.0


def data_of(folder: Path) -> Path | None:
    """The file that a run is trained on, None where it has none of its own."""
    told = ((run_of(folder) or {}).get("options") or {}).get("data")
    return Path(told).absolute() if isinstance(told, str) else None


def in_use(lab: Path) -> set[Path]:
    """The folders of the files that runs are trained on: those in the list, and those in the lab's folder."""
    return {data.parent.resolve() for folder in _runs(lab) if (data := data_of(folder)) is not None}


def _runs(lab: Path) -> Iterator[Path]:
    yield from _children(lab / RUNS)
    with suppress(OSError):
        for line in (lab / LIST).read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                yield Path(json.loads(line)["folder"])
