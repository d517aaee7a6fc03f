"""Files that are whole or not there: written under another name, brought to the disk, and only then given their name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PARTIAL = ".partial"


def write_bytes(path: Path, content: bytes, sync: bool = True) -> None:
    """Replace the file `path` in one step: whoever reads it sees the old bytes or the new ones, whenever the writer is killed.

    sync: whether they outlive the machine's sudden end too. Raises OSError (no room, no permission); the old file stays then.
    """
    half_written = path.with_name(path.name + PARTIAL)
    try:
        with open(half_written, "wb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(half_written, path)
    except OSError:
        with suppress(OSError):
            half_written.unlink(missing_ok=True)
        raise
    if sync:
        _sync_folder(path.parent)


def write_json(path: Path, value: object, sync: bool = True) -> None:
    """A value of JSON, indented, as `write_bytes`."""
    write_bytes(path, (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode(), sync)


def remove(paths: Iterable[Path]) -> None:
    """Files that need not be there."""
    for path in paths:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A name is in its folder's own block on the disk; Windows opens no folder, and needs this not."""
    with suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
