"""What lies around a path that was typed: how much of it exists, which name there is nearest, which checkpoints lie below."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.checkpoints.convert.path_kind import kind_at

FILES = (".gguf", ".safetensors", ".pt", ".bin")
_LOOKED = 400  # folders and files that are looked at for checkpoints below a folder
_ALIKE = 0.6  # share of letters that a name has in common with what was typed


@dataclass(frozen=True)
class Near:
    """existing: the longest part of a path that is there. missing: what comes next in it, "" where all of it is there.
    like: the name there that is nearest to it, "" where none is near."""

    existing: Path
    missing: str
    like: str

    @property
    def folder(self) -> Path:
        """The nearest folder that is there."""
        return self.existing if self.existing.is_dir() else self.existing.parent

    @property
    def corrected(self) -> Path:
        return self.existing / self.like


def near(path: Path) -> Near:
    """How far a path leads."""
    path = path.absolute()
    missing = ""
    for place in (path, *path.parents):
        if _there(place):
            return Near(place, missing, _like(place, missing))
        missing = place.name
    return Near(Path(path.anchor), missing, "")


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, by name; hidden entries, and names that are no text in any alphabet, are left out. Raises
    OSError."""
    inside = (path for path in folder.iterdir() if not path.name.startswith(".") and path.name.isprintable())
    return sorted(inside, key=lambda path: path.name.lower())


def opens(path: Path) -> str:
    """`kind_at` of what may be opened by itself, "" of other files."""
    return kind_at(path) if path.suffix in FILES or path.is_dir() else ""


def below(folder: Path, levels: int = 2) -> list[tuple[Path, str]]:
    """The checkpoints and saved traces up to `levels` below a folder, with their kinds, nearer ones first."""
    found, here, looked = [], [folder], 0
    for _ in range(levels):
        inside: list[Path] = []
        for path in (each for place in here for each in _visible(place)):
            looked += 1
            if looked > _LOOKED:
                return found
            if kind := opens(path):
                found.append((path, kind))
            elif path.is_dir() and not path.is_symlink():
                inside.append(path)
        here = inside
    return found


def _visible(folder: Path) -> Iterator[Path]:
    try:
        yield from visible(folder)
    except OSError:
        return


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _like(folder: Path, missing: str) -> str:
    if not missing or not folder.is_dir():
        return ""
    names = {path.name.lower(): path.name for path in _visible(folder)}
    found = difflib.get_close_matches(missing.lower(), names, 1, _ALIKE)
    return names[found[0]] if found else ""
