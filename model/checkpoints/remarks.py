"""What has to be said of an opened checkpoint beside its numbers, as sentences for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_NAMED = 3


def not_finite(module: nn.Module) -> list[str]:
    """The parameters that hold NaN or an infinity, by name: whatever they touch is NaN too."""
    known = (
        (name, each) for name, each in module.named_parameters() if not each.is_meta
    )  # those left on disk are not read
    return [name for name, parameter in known if not bool(parameter.isfinite().all())]


def remarks(card: Mapping[str, Any]) -> list[str]:
    """One sentence each for what an opened model's card tells: random parameters, tensors left out, an adapter, packing."""
    told = []
    if fresh := card.get("fresh"):
        told.append(
            f"{len(fresh):,} of the model's parameters {_are(fresh)} not in its files, and random: {_few(fresh)}."
        )
    if unused := card.get("unused"):
        told.append(
            f"{len(unused):,} of the files' tensors {_are(unused)} left out, with no place in the model: {_few(unused)}."
        )
    if broken := card.get("not_finite"):
        told.append(f"{len(broken):,} of the model's parameters hold NaN or infinity: {_few(broken)}.")
    if adapter := card.get("adapter"):
        applied = "is applied" if adapter["applied"] else "is not applied: this is the base model"
        told.append(f"The folder's adapter ({adapter['kind']} of {adapter['base']}) {applied}.")
    if unpacked := card.get("unpacked"):
        told.append(f"The folder's weights are packed ({unpacked}), and unpacked to float32.")
    return told


def say_remarks(model: Any) -> None:
    """Write the remarks on an opened model to stderr, a line each."""
    for remark in remarks(getattr(model, "card", {})):
        sys.stderr.write(f"{remark}\n")


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
