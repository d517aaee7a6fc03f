"""The configuration of a picture or sound processor, as its folder tells it."""

from __future__ import annotations

from pathlib import Path

from model.errors import BadFile
from model.files.regular import json_of


def processor_config(folder: Path) -> dict[str, object] | None:
    """preprocessor_config.json of a folder, or the part of its newer processor_config.json; None where neither lies there.

    Raises BadFile where the file is no table.
    """
    for name in ("preprocessor_config.json", "processor_config.json"):
        file = folder / name
        if not file.is_file():
            continue
        try:
            table = json_of(file)
        except (ValueError, OSError) as error:
            raise BadFile(path=file) from error
        if not isinstance(table, dict):
            raise BadFile(path=file)
        for part in ("image_processor", "feature_extractor"):
            if isinstance(table.get(part), dict):
                return table[part]
        if name == "preprocessor_config.json":
            return table
    return None
