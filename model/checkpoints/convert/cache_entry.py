"""Folders of the user's cache: whole or not there, whatever ended their making, and made again where they are damaged.

A folder is written under another name, ended by `.partial`, with a manifest of its files at last, and then renamed: a process
killed at any instant leaves a `.partial` that nobody opens. Its maker holds a lock on it that ends with the process, so that
whoever comes next can tell it from one that is still being written.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model.checkpoints.disk.files import digest, weights
from model.errors import BadFile, NoCache, NoWeights, OtherWeights, Stopped
from model.files.regular import json_of

try:
    import fcntl
except ImportError:  # Windows, where age alone tells what was left
    fcntl = None

MANIFEST = "headlight-cache.json"
_PARTIAL = ".partial"
# Bytes of weights that are read through whenever a folder is opened: larger ones are when they are loaded.
_OPENED_WHOLE = 2**25
_ABANDONED = 24 * 3600  # seconds without a change, where a file system knows no locks


@contextmanager
def partial(source: Path | str, target: Path) -> Iterator[Path]:
    """A new folder beside `target` to write into, gone after the block unless `put` renamed it; source: what it is made for,
    named by the error. Raises NoCache."""
    folder, lock = _new(source, target)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def put(made: Path, target: Path) -> None:
    """Write the manifest of the folder `made`, and give it its name; a damaged one there makes room for it.

    Another process may have been first; what it made is as good.
    """
    _seal(made)
    with _alone(target.parent):
        if is_whole(target):
            return
        old = _aside(target)
        made.rename(target)
    _remove(old)


def is_whole(folder: Path, through: bool = False) -> bool:
    """Whether a folder holds every file of its manifest as it was written: all sizes, and the digests of all files but large
    weights, which `check_weights` compares when they are loaded; `through` reads these too."""
    try:
        told = json_of(folder / MANIFEST)
        found = {name: (folder / name, entry["bytes"], entry["digest"]) for name, entry in told["files"].items()}
        for path, size, _ in found.values():
            if not path.is_file() or path.stat().st_size != size:
                return False
        small = (one for one in found.values() if through or one[1] <= _OPENED_WHOLE or one[0].suffix != ".safetensors")
        if not found or any(digest([path]) != wanted for path, _, wanted in small):
            return False
        return not through or "weights" not in told or told["weights"] == digest(weights(folder))
    except Stopped:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no manifest, or none that is ours
        return False


def check_weights(paths: list[Path], found: str) -> None:
    """Raises BadFile where `found`, the digest of these files, is not what the manifest beside them says, if there is one."""
    try:
        told = json_of(paths[0].parent / MANIFEST)["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if told != found:
        raise BadFile(path=paths[0])


def remove_damaged(folder: Path) -> bool:
    """Remove a folder of which any byte is not as it was written; -> whether it was so. Raises Stopped."""
    with _alone(folder.parent):
        if is_whole(folder, through=True):
            return False
        old = _aside(folder)
    _remove(old)
    return True


def sweep(parent: Path) -> None:
    """Remove the `.partial` folders in `parent` that no living process writes."""
    try:
        left = [path for path in parent.iterdir() if path.name.endswith(_PARTIAL)]
    except OSError:
        return
    for path in left:
        with suppress(OSError):  # somebody else may sweep at the same time
            lock = _descriptor(path)
            try:
                if _is_left(path, lock):
                    _remove(path)
            finally:
                if lock is not None:
                    os.close(lock)


def scratch(source: Path | str, target: Path) -> tuple[Path, Callable[[], None]]:
    """A new folder beside `target` for as long as this process needs it, and what removes it; a killed one's is swept.

    Raises NoCache.
    """
    folder, lock = _new(source, target)

    def remove() -> None:
        _remove(folder)
        if lock is not None:
            os.close(lock)

    return folder, remove


def make_folder(source: Path | str, folder: Path) -> None:
    """Make a folder of the cache. Raises NoCache, also where the user has no home folder for it."""
    if folder.parts[:1] == ("~",):  # `expanduser` knew none
        raise NoCache(path=source, folder=folder, reason="this user has no home folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NoCache(path=source, folder=folder, reason=error.strerror) from error


def _new(source: Path | str, target: Path) -> tuple[Path, int | None]:
    """An empty folder, locked."""
    make_folder(source, target.parent)
    try:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=_PARTIAL, dir=target.parent))
            lock = _descriptor(folder)
            _wait_for(lock)
            if folder.is_dir():
                return folder, lock
            os.close(lock)  # swept between its making and its lock
    except OSError as error:
        raise NoCache(path=source, folder=target.parent, reason=error.strerror) from error


def _descriptor(folder: Path) -> int | None:
    """Of the folder, that a lock may be put on; closing it ends the lock, as the end of the process does."""
    return None if fcntl is None else os.open(folder, os.O_RDONLY)


def _aside(folder: Path) -> Path:
    """Rename a folder to what nobody opens, if it is there, and the next sweep removes if this process does not."""
    old = folder.parent / f"{folder.name}.{secrets.token_hex(4)}{_PARTIAL}"
    with suppress(FileNotFoundError):
        folder.rename(old)
    return old


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()  # a file that lay in a folder's place


def _seal(folder: Path) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    told = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "digest": digest([path])} for path in paths
    }
    whole: dict[str, object] = {"files": told}
    with suppress(NoWeights, OtherWeights):  # a model of ours, which is small
        whole["weights"] = digest(weights(folder))
    (folder / MANIFEST).write_text(json.dumps(whole), encoding="utf-8")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Inside the block no other process puts anything into `folder` or takes it away."""
    lock = _descriptor(folder)
    try:
        _wait_for(lock)
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _wait_for(lock: int | None) -> None:
    if lock is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)


def _is_left(path: Path, lock: int | None) -> bool:
    """Whether nobody writes the folder `path`."""
    if lock is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError:
            pass
    return time.time() - path.stat().st_mtime > _ABANDONED
