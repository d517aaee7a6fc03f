"""The generation settings of a checkpoint folder, checked before anything is generated: no id may lie outside the model's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from model.checkpoints.disk import files as checkpoint_files
from model.errors import BadConfig

if TYPE_CHECKING:
    from pydantic import BaseModel

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
    """Raises BadConfig where the settings are of other types, or name what cannot be an id of the model's."""
    module_settings = getattr(module, "generation_config", None)
    if getattr(module_settings, "num_return_sequences", None) not in (None, 1):
        module_settings.num_return_sequences = 1  # one text is written, unless a page asks for more
    rows = getattr(module.config.get_text_config(decoder=True), "vocab_size", None)
    for name in _IDS:
        for got in _flat(generation.get(name)):
            if isinstance(got, bool) or not isinstance(got, int) or abs(got) >= 2**31:
                raise BadConfig(path=folder, file=_FILE, reason=f"it has {name} {got!r}, which is no number of a token")
            if name in _LOOKED_UP and isinstance(rows, int) and not -1 <= got < rows:
                reason = f"it has {name} {got}, and the model has the ids 0 to {rows - 1}"
                raise BadConfig(path=folder, file=_FILE, reason=reason)
    if (wrong := _wrong(generation)) is not None:
        raise BadConfig(path=folder, file=_FILE, reason=wrong)


def _wrong(generation: Mapping[str, Any]) -> str | None:
    """What the library would stumble over as it writes, in words."""
    from pydantic import ValidationError

    try:
        _schema().model_validate({name: value for name, value in generation.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        return f"its {first['loc'][0]} is no such value: {said}"
    return None


@cache
def _schema() -> type[BaseModel]:
    """The settings whose values are looked at while a text is written; others may stand beside them."""
    from typing import Annotated

    from pydantic import ConfigDict, Field, create_model

    number, positive = Annotated[float, Field()], Annotated[float, Field(gt=0)]
    count = Annotated[int, Field(ge=-1, lt=2**53)]
    whole = Annotated[int, Field(ge=-(2**31), lt=2**31)]
    ids = whole | list[whole]
    some = Annotated[list[whole], Field(min_length=1)]
    kinds = {
        "temperature": number, "top_p": number, "typical_p": number, "length_penalty": number, "diversity_penalty": number,
        "max_time": number, "repetition_penalty": positive, "encoder_repetition_penalty": positive, "top_k": count,
        "num_beams": count, "num_beam_groups": count, "num_return_sequences": count, "max_length": count, "min_length": count,
        "max_new_tokens": count, "min_new_tokens": count, "no_repeat_ngram_size": count, "encoder_no_repeat_ngram_size": count,
        "eos_token_id": ids, "pad_token_id": ids, "bos_token_id": ids, "decoder_start_token_id": ids,
        "suppress_tokens": list[whole], "begin_suppress_tokens": list[whole], "bad_words_ids": list[some],
        "sequence_bias": list[tuple[Any, Any]] | list[list[Any]] | dict[Any, Any], "stop_strings": str | list[str],
        "forced_decoder_ids": list[Annotated[list[Any], Field(min_length=2, max_length=2)]],
    }  # fmt: skip
    fields = {name: (kind, None) for name, kind in kinds.items()}
    return create_model("Generation", __config__=ConfigDict(strict=True, allow_inf_nan=False), **fields)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif value is not None:
        yield value
