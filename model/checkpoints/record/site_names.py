"""Names of a library model's attention calls: stack and layer number by the dotted path of the module that ran.

The model's own numbers are kept: in a hybrid of attention and state-space layers (Jamba) the first attention may be of
layer 1. Calls are counted only where paths say nothing, as where one module serves every layer (ALBERT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from model.checkpoints.disk.families import TOWERS, entry
from model.trace.site import Site, layer_numbers


@dataclass(frozen=True)
class CallPath:
    """What names an attention call: its module's dotted path, whether it is cross-attention, and whether its mask is causal."""

    path: str
    cross: bool
    causal: bool

    @property
    def kind(self) -> str:
        return "cross" if self.cross else "self"


def sites(calls: Sequence[CallPath], both: bool) -> list[Site]:
    """The site of each call, in their order. both: whether the model has an encoder and a decoder."""
    one = "decoder" if any(call.cross or call.causal for call in calls) else "encoder"
    stacks = [_stack(call, both, one) for call in calls]
    numbers: dict[tuple[str, str], list[int]] = {}
    for group in set(zip(stacks, (call.kind for call in calls), strict=True)):
        of_group = zip(stacks, calls, strict=True)
        numbers[group] = layer_numbers([call.path for stack, call in of_group if (stack, call.kind) == group])
    each = {group: iter(found) for group, found in numbers.items()}
    return [Site(stack, next(each[stack, call.kind]), call.kind) for stack, call in zip(stacks, calls, strict=True)]


def layer_in_list(module: nn.Module, path: str) -> tuple[int, int] | None:
    """The first number in a path and how many modules the list has that it counts; None of a path without one."""
    parent, _, rest = path.partition(".")
    while rest:
        name, _, below = rest.partition(".")
        if name.isdigit():
            return int(name), sum(1 for _ in module.get_submodule(parent).children())
        parent, rest = f"{parent}.{name}", below
    return None


def layers_of(module: nn.Module, paths: Mapping[Site, str]) -> dict[str, int]:
    """How many layers the list has in which each stack's attention modules stand; 0 where no list has them."""
    found: dict[str, int] = {}
    for site, path in paths.items():
        place = layer_in_list(module, path)
        found[site.stack] = max(found.get(site.stack, 0), place[1] if place is not None else 0)
    return found


def stack_of(path: str, stacks: Sequence[str]) -> str:
    """Which of a run's stacks a module's path belongs to; a dual encoder's towers are called by what they read."""
    return stacks[0] if len(stacks) == 1 else _told(path) or stacks[0]


def _stack(call: CallPath, both: bool, one: str) -> str:
    """A path tells the stack only where there are two: a decoder's layers may lie in a module called encoder (BERT)."""
    told = _told(call.path) if both else _tower(call.path)
    return "decoder" if call.cross else told or one


def _told(path: str) -> str | None:
    words = ((word, part) for part in path.split(".") for word in ("encoder", "decoder"))
    return _tower(path) or next((word for word, part in words if part == word), None)


def _tower(path: str) -> str | None:
    parts = path.split(".")
    return next((stack for stack, tower in TOWERS.items() if tower in parts), None)


def one_token_is_causal(module: nn.Module) -> bool:
    """One token alone has no mask that tells: then the family does, else the library's own list of the models that write."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as WRITES
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as FILLS

    if getattr(module.config, "is_encoder_decoder", False):  # the module's own path tells there
        return False
    family = module.config.model_type
    known = entry(family)
    if known is not None and known.architecture in ("encoder", "decoder"):
        return known.architecture == "decoder"
    return family in WRITES and family not in FILLS
