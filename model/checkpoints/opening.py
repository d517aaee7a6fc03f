"""`open_model`: a name that ships, the folder of a Headlight checkpoint, or a folder of the transformers library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoints.catalogue import SHIPPED, shipped
from model.checkpoints.own import OwnModel, load
from model.errors import DamagedCheckpoint, UnknownModel

if TYPE_CHECKING:
    from model.checkpoints.hugging_face import HuggingFaceModel


def open_model(name: str | Path) -> OwnModel | HuggingFaceModel:
    """Open "translate", "dates", a folder of ours, or one whose config.json names a `model_type` of the library.

    Raises UnknownModel or DamagedCheckpoint, each one sentence.
    """
    known = shipped()
    if str(name) in known:
        return load(SHIPPED / str(name), str(name))
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise UnknownModel(name=name, allowed=", ".join(f"“{key}”" for key in known) or "none")
    if _is_library_checkpoint(folder):
        from model.checkpoints import loading

        return loading.load(folder)
    return load(folder)


def _is_library_checkpoint(folder: Path) -> bool:
    """The library's config.json says its family; ours has no such entry."""
    config = folder / "config.json"
    if not config.is_file():
        return False
    try:
        return "model_type" in json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DamagedCheckpoint(path=folder, reason="config.json is truncated or not what its name says") from error
