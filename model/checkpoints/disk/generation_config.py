"""The generation settings of a checkpoint folder, checked before anything is generated: no id may lie outside the model's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from model.checkpoints.disk import files as checkpoint_files
from model.errors import BadConfig

_FILE = "generation_config.json"
# The library looks these ids up among the logits; an id that only ends or begins a text may be any.
_LOOKED_UP = (
    "forced_bos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids",
    "decoder_start_token_id",
)  # fmt: skip
_IDS = (*_LOOKED_UP, "bos_token_id", "eos_token_id", "pad_token_id")


def settings(folder: Path) -> dict[str, Any]:
    """generation_config.json, {} where there is none. Raises BadFile where it is no table."""
    return checkpoint_files.settings(folder / _FILE)


def end_tokens(module: nn.Module) -> frozenset[int]:
    """The end-of-sequence token ids of a model; empty where its settings name none."""
    return frozenset(_flat(module.generation_config.eos_token_id))


def check(folder: Path, generation: Mapping[str, Any], module: nn.Module) -> None:
    """Raises BadConfig where the settings name what cannot be an id of the model's."""
    rows = getattr(module.config.get_text_config(decoder=True), "vocab_size", None)
    for name in _IDS:
        for got in _flat(generation.get(name)):
            if isinstance(got, bool) or not isinstance(got, int):
                raise BadConfig(path=folder, file=_FILE, reason=f"it has {name} {got!r}, which is no number of a token")
            if name in _LOOKED_UP and isinstance(rows, int) and not -1 <= got < rows:
                reason = f"it has {name} {got}, and the model has the ids 0 to {rows - 1}"
                raise BadConfig(path=folder, file=_FILE, reason=reason)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif value is not None:
        yield value
