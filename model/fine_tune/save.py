"""A fine-tuned model as a folder that opens like any other: safetensors, configuration and tokenizer, no pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from model.checkpoints.library_logging import quiet
from model.checkpoints.own import OwnModel
from model.errors import FineTuneNotSaved
from model.fine_tune.fine_tune import FineTuned


def save(tuned: FineTuned, folder: Path | str) -> Path:
    """Write the trained copy into `folder`, which must be new or empty. Raises FineTuneNotSaved."""
    folder = Path(folder).expanduser()
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FineTuneNotSaved(path=folder, reason="something lies there already")
        folder.mkdir(parents=True, exist_ok=True)
        (_own if isinstance(tuned.model, OwnModel) else _library)(tuned, folder)
    except OSError as error:
        raise FineTuneNotSaved(path=folder, reason=error.strerror or error) from error
    return folder


def _library(tuned: FineTuned, folder: Path) -> None:
    model = tuned.model
    with quiet():
        # The copy as the library runs it: its configuration names the library's own attention.
        model.untouched.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
    _json(folder / "fine_tuned.json", _told(tuned))


def _own(tuned: FineTuned, folder: Path) -> None:
    from safetensors.torch import save_file

    model: OwnModel = tuned.model
    weights = folder / "weights.safetensors"
    state = {name: value.detach().cpu().contiguous() for name, value in model.module.state_dict().items()}
    partial = weights.with_name(weights.name + ".partial")
    save_file(state, partial)
    os.replace(partial, weights)
    sides = {name: list(side.vocabulary) if (side := getattr(model, name)) else [] for name in ("source", "target")}
    kind = (model.source or model.target).kind
    _json(folder / "config.json", model.config.to_dict())
    _json(folder / "vocabulary.json", {"kind": kind, "starts": dict(model.starts)} | sides)
    if model.subwords is not None:
        model.subwords.write(folder)
    # The scores and the curve are of the weights before.
    kept = {
        name: model.card[name]
        for name in ("title", "examples", "licence", "data", "languages", "first_in")
        if name in model.card
    }
    if len(model.starts) > 1:  # so that a page offers them without the scores, which name them in a card
        kept.setdefault("languages", list(model.starts))
    _json(folder / "card.json", {"name": folder.name, **kept, "fine_tuned": _told(tuned)})


def _told(tuned: FineTuned) -> dict[str, Any]:
    return tuned.settings | {"loss_before": tuned.before.loss, "loss_after": tuned.after.loss}


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
