"""The kind of file or folder at a path, from names and headers alone; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

from model.checkpoints.disk import packages
from model.checkpoints.disk.headers import safetensors_header

_TRACE = "headlight-trace"


def kind_at(path: Path) -> str:
    """ "model" for what `open_model` may open, "trace" for a saved trace, "" for anything else, a picture say."""
    from model.checkpoints.convert.convert import kind_of

    try:
        if any(path == place for _, place in packages.installed().values()):
            return "model"
        if path.is_dir():
            ours = all((path / name).is_file() for name in ("card.json", "vocabulary.json"))
            return "model" if ours or (path / "config.json").is_file() or kind_of(path) else ""
        if path.suffix == ".safetensors":  # of a checkpoint the folder is opened, never one of its files
            told = safetensors_header(path).get("__metadata__") or {}
            return "trace" if told.get("format") == _TRACE else ""
        return "model" if kind_of(path) else ""
    except (OSError, ValueError, TypeError, AttributeError):
        return ""


def weights(path: Path) -> Path:
    """The file that is converted where `path` leads to such a one, else `path` itself."""
    from model.checkpoints.convert.convert import kind_of

    found = kind_of(path)
    return path if found is None or (found[1].parent == path and found[1].name == "pytorch_model.bin") else found[1]
