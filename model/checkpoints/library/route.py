"""The way in which a library model is recorded: through the library's attention registry, or by following its operators.

A family of `disk.families` has its way there. Any other is tried: the way that shows every attention of a short input as the
library computes it is taken; where none does, the model is refused in one sentence.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints.disk.families import Family, rules_of
from model.checkpoints.disk.max_length import longest
from model.checkpoints.library import decoder_input
from model.checkpoints.library.load_errors import first_line
from model.checkpoints.library.opening_check import OpeningCheck, check
from model.checkpoints.library_logging import quiet
from model.checkpoints.media.processors import both_ways, vision_config
from model.checkpoints.record.forward import prepare, registered, run
from model.checkpoints.record.untouched import untouched
from model.errors import HeadlightError

_MOST = 16  # tokens
_TARGET = 5
_SAMPLES = 8000  # half a second
NOT_RUN = "which the library itself does not run on a text"
NONE_HEARD = "no attention over whole rows of keys was met"
# Arguments of a library forward -> what a person would have to bring.
_BESIDE = {
    "pixel_values": "pictures", "input_features": "sound", "input_values": "sound", "pixel_values_videos": "videos",
    "visual_feats": "features of pictures", "visual_embeds": "features of pictures", "bbox": "the places of its words on a page",
    "image": "pictures", "audio_values": "sound", "past_values": "series of numbers", "time_series": "series of numbers",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Route:
    """module: the model, ready to be recorded. untouched: as its library runs it, the same tensors. opening: how they agree."""

    module: nn.Module
    untouched: nn.Module
    opening: OpeningCheck


class NoRoute(Exception):
    """The model can't be recorded; the message ends a sentence about it."""


def route(module: nn.Module, inputs: Mapping[str, Tensor], known: Family | None) -> Route:
    """Raises NoRoute. inputs: a short input, batch of 1. known: the entry of the family, where there is one."""
    try:
        with torch.no_grad(), quiet():
            own = run(module, inputs)
    except HeadlightError:
        raise
    except Exception as error:  # what a class needs besides a text it says in any way it likes
        raise NoRoute(_needs(module, inputs) or f"{NOT_RUN} ({first_line(error)})") from error
    if known is not None:
        return _known(module, inputs, own, known)
    reasons, partly = [], None
    for ready in _ways(module):
        try:
            found = Route(ready, module, check(ready, module, inputs, count=True, own=own))
        except HeadlightError:
            raise
        except Exception as error:  # a class that nobody has seen: what recording makes of it is its refusal
            reasons.append(f"and {first_line(error)}")
            continue
        if found.opening.holds and not found.opening.missing:
            return found
        if found.opening.holds and partly is None:
            partly = found
        reasons.append(f"and {found.opening.reason}")
    if partly is None:
        raise NoRoute(reasons[-1])
    return partly


def _known(module: nn.Module, inputs: Mapping[str, Tensor], own: Any, known: Family) -> Route:
    ready = prepare(untouched(module))
    if not registered(ready) and known.route == "hook":
        raise NoRoute("whose attention does not go through the library's registry")
    try:
        found = Route(ready, module, check(ready, module, inputs, count=known.unregistered, own=own))
    except ValueError as error:
        raise NoRoute(f"and {error}") from error
    if not found.opening.holds:
        raise NoRoute(f"and {found.opening.reason}")
    return found


def _needs(module: nn.Module, inputs: Mapping[str, Tensor]) -> str:
    """What its forward takes besides a text, as the end of a sentence; "" where nothing is known of it."""
    takes = inspect.signature(module.forward).parameters
    found = next((what for name, what in _BESIDE.items() if name in takes and name not in inputs), "")
    return found and f"which reads {found} in a way that is not recorded"


def _ways(module: nn.Module) -> list[nn.Module]:
    """The model on our entry of the registry, if it asks the registry at all; then as it is, for its operators to be followed."""
    hooked = prepare(untouched(module))
    return [hooked, untouched(module)] if registered(hooked) else [untouched(module)]


def short_input(module: nn.Module) -> dict[str, Tensor]:
    """A few ids, a picture of noise or a sound of noise, as the model takes them: batch of 1.

    The ids are the model's own and no tokenizer's, which may be that of another model: that is said when a text is read.
    """
    rules, config = rules_of(module.config.model_type), module.config
    takes, noise = inspect.signature(module.forward).parameters, torch.Generator().manual_seed(0)
    inputs: dict[str, Tensor] = {}
    if rules.reads == "sound" and module.main_input_name == "input_features":
        inputs["input_features"] = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions, generator=noise)
    elif rules.reads == "sound":
        inputs[module.main_input_name] = torch.randn(1, _SAMPLES, generator=noise)
    elif "pixel_values" in takes and (rules.reads == "pictures" or module.main_input_name == "pixel_values"):
        vision = vision_config(config)
        size = both_ways(vision.image_size)
        inputs["pixel_values"] = torch.randn(1, getattr(vision, "num_channels", 3), *size, generator=noise)
    if "input_ids" in takes:
        most = longest(getattr(config, "text_config", config))
        inputs["input_ids"] = _ids(module, most if rules.pads_texts else min(_MOST, most))
    if decoder_input.decodes(module):
        alike = "input_ids" in inputs and not hasattr(module, "generate")  # a classifier reads its input once more
        inputs["decoder_input_ids"] = (
            decoder_input.fed(module, inputs["input_ids"]).ids if alike else _ids(module, _TARGET, ends=False)
        )
    return {name: value.to(module.dtype) if value.is_floating_point() else value for name, value in inputs.items()}


def _ids(module: nn.Module, length: int, ends: bool = True) -> Tensor:
    """Ids [1, length] that stand for nothing special, the end token last where there is one."""
    config = getattr(module.config, "text_config", None) or getattr(module.config, "decoder", None) or module.config
    names = [f"{name}_token_id" for name in ("pad", "bos", "eos", "decoder_start", "mask", "image")]
    special = {number for name in names if isinstance(number := getattr(config, name, None), int)}
    try:
        reader = module if getattr(module, "main_input_name", "") == "input_ids" else module.get_decoder()
        rows = reader.get_input_embeddings().weight.shape[0]
    except (NotImplementedError, AttributeError):  # a dual encoder has several
        rows = config.vocab_size
    usual = [number for number in range(rows) if number not in special][: 4 * length] or [0]
    ids = [usual[(3 + 5 * i) % len(usual)] for i in range(length)]
    end = getattr(config, "eos_token_id", None)
    if ends and isinstance(end, int) and 0 <= end < rows:
        ids[-1] = end
    return torch.tensor([ids])
