"""Text and JSON of a regular file of bounded size: no pipe that never answers, no device, nothing without end."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

# Bytes of a list, and of a table, beside weights: the index of 10⁵ tensors has 10 MB. As Python's objects a table takes up to
# forty times as much.
MOST, MOST_JSON = 64 * 2**20, 16 * 2**20
_KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}  # fmt: skip

_NOT = "is {}, not a regular file"


class NotRegular(ValueError):
    """What lies there is no file, or larger than what is read of its kind."""


def opened(path: Path, most: int = MOST) -> BinaryIO:
    """A regular file of at most `most` bytes, opened. Raises NotRegular or OSError; never waits for anybody."""
    # Another may put a pipe there between a look and the reading: what was opened is what is asked.
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket is not even opened
            raise NotRegular(f"{path.name} {_NOT}".format(irregular(path) or "no file")) from error
        raise
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise NotRegular(f"{path.name} {_NOT}".format(kind_of(found.st_mode)))
        if found.st_size > most:
            raise NotRegular(f"{path.name} has {found.st_size:,} bytes, and at most {most:,} are read")
        return os.fdopen(file, "rb")
    except BaseException:
        os.close(file)
        raise


def bytes_of(path: Path, most: int = MOST) -> bytes:
    """The whole of a regular file of at most `most` bytes. Raises as `opened`."""
    with opened(path, most) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # room is made for all that is asked for


def text_of(path: Path, most: int = MOST, errors: str = "strict") -> str:
    """A text in UTF-8. Raises as `bytes_of`, and UnicodeDecodeError, a ValueError."""
    return bytes_of(path, most).decode("utf-8", errors)


def json_of(path: Path, most: int = MOST_JSON) -> Any:
    """A value of JSON. Raises as `text_of`, and ValueError, also for nesting or numbers beyond the parser's."""
    return parsed(text_of(path, most))


def parsed(text: str | bytes) -> Any:
    """JSON, with nesting beyond the parser's depth as one more ValueError."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def irregular(path: Path) -> str:
    """What lies there and is neither a file nor a folder, in words; "" for a file, a folder and nothing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else kind_of(mode)


def no_file(path: Path) -> str:
    """Why there is no regular file at `path`, in words; "" where there is one. Waits for nobody."""
    if path.is_file():
        return ""
    kind = "a folder" if path.is_dir() else irregular(path)
    return f"it {_NOT}".format(kind) if kind else "there is no such file"


def kind_of(mode: int) -> str:
    """What a mode of `os.stat` says that no file is, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "no file")


def odd(folder: Path) -> Iterator[tuple[Path, str]]:
    """What lies in a folder and is neither a file nor a folder, with what it is; links that lead nowhere are not there."""
    for path in sorted(folder.iterdir()):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            yield path, kind_of(mode)
