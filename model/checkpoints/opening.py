"""`open_model`: a name that ships, or the folder of a Headlight checkpoint."""

from __future__ import annotations

from pathlib import Path

from model.checkpoints.catalogue import SHIPPED, shipped
from model.checkpoints.own import OwnModel, load
from model.errors import UnknownModel


def open_model(name: str | Path) -> OwnModel:
    """Open "translate", "dates", or a folder with weights.safetensors, config.json, vocabulary.json and card.json.

    Raises UnknownModel or DamagedCheckpoint, each one sentence.
    """
    known = shipped()
    if str(name) in known:
        return load(SHIPPED / str(name), str(name))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return load(folder)
    raise UnknownModel(name=name, allowed=", ".join(f"“{key}”" for key in known) or "none")
