"""The kind of file or folder at a path, from names and headers alone; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

from model.checkpoints.disk import files as checkpoint_files
from model.checkpoints.disk import packages, quantised
from model.checkpoints.disk.headers import safetensors_header
from model.checkpoints.disk.other_folders import model_in
from model.errors import HeadlightError, NoCheckpoint

_TRACE = "headlight-trace"


def kind_at(path: Path) -> str:
    """ "model" for what `open_model` may open, "trace" for a saved trace, "" for anything else, a picture say."""
    from model.checkpoints.convert.convert import kind_of

    try:
        if any(path == place for _, place in packages.installed().values()):
            return "model"
        if path.is_dir():
            ours = all((path / name).is_file() for name in ("card.json", "vocabulary.json"))
            return "model" if ours or kind_of(path) or (_sound(path) / "config.json").is_file() else ""
        if path.suffix == ".safetensors":  # of a checkpoint the folder is opened, never one of its files
            told = safetensors_header(path).get("__metadata__") or {}
            return "trace" if told.get("format") == _TRACE else ""
        return "model" if kind_of(path) else ""
    except (OSError, ValueError, TypeError, AttributeError):  # a HeadlightError too: `refusal` says it
        return ""


def refusal(path: Path) -> HeadlightError | None:
    """What is said of a path that holds something people take for a model, and that is none; None where nothing is."""
    try:
        _sound(path)
    except NoCheckpoint:
        return None
    except HeadlightError as error:
        return error
    return None


def _sound(path: Path) -> Path:
    """`model_in`, which raises Quantised too where the weights are packed in a way that is not unpacked."""
    folder = model_in(path)
    if (folder / "config.json").is_file():
        quantised.check(folder, checkpoint_files.config(folder))
    return folder


def weights(path: Path) -> Path:
    """The file that is converted where `path` leads to such a one, else the checkpoint's folder or file."""
    from model.checkpoints.convert.convert import kind_of

    found = kind_of(path)
    path = path if found is not None else model_in(path)
    return path if found is None or (found[1].parent == path and found[1].name == "pytorch_model.bin") else found[1]
