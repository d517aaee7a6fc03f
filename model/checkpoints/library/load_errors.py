"""Errors of the library while it opens a folder, turned into errors of `model.errors`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from model.checkpoints.convert.raw_tensors import asked_for
from model.checkpoints.disk import cost, quantised
from model.checkpoints.disk import files as checkpoint_files
from model.errors import (
    BadFile,
    DamagedCheckpoint,
    HeadlightError,
    NoMatchingWeights,
    NoTensors,
    OutOfMemory,
    UnsafeWeights,
    WrongShape,
)  # fmt: skip


def check(weights: list[Path], module: nn.Module, info: Mapping[str, Any]) -> None:
    """Raises DamagedCheckpoint or one of its kinds where what from_pretrained tells, `info`, makes no model to look at."""
    fresh, unused = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    folder, there = weights[0].parent, unused or _names(weights)
    if unused and (kind := quantised.by_names(unused)):  # of a .bin, whose names nothing tells before
        quantised.refuse(folder, checkpoint_files.config(folder), kind)
    # The matrices first: "64×32 for 65×32" says more than the length of a bias.
    for name, got, expected in sorted(info["mismatched_keys"], key=lambda found: (-len(found[1]), found[0])):
        got, expected = ("×".join(map(str, shape)) for shape in (got, expected))
        raise WrongShape(path=folder, tensor=name, got=got, allowed=expected)
    if info["error_msgs"]:
        raise DamagedCheckpoint(path=folder, reason=first_line(info["error_msgs"][0]))
    tied = set(getattr(module, "all_tied_weights_keys", None) or ())
    if fresh and not {name for name, _ in module.named_parameters()} - tied - set(fresh):
        if not there:
            raise NoTensors(path=weights[0])
        raise NoMatchingWeights(path=folder, model=type(module).__name__, got=there[0])
    _check_numbers(weights, module.config)


def _names(weights: list[Path]) -> list[str]:
    """The tensors of the first file, as far as its header tells."""
    return sorted(checkpoint_files.tensors(weights[0])) if weights[0].suffix == ".safetensors" else []


def _check_numbers(weights: list[Path], config: Any) -> None:
    """Whole numbers in a matrix are codes of a packing, which the library unpacks only where config.json names it."""
    if getattr(config, "quantization_config", None):
        return
    for path in weights:
        for name, entry in checkpoint_files.tensors(path).items() if path.suffix == ".safetensors" else ():
            if name.endswith("weight") and len(entry["shape"]) == 2 and entry["dtype"][:1] in "IU":
                reason = f"its tensor {name} holds {entry['dtype']} codes, and config.json has no quantization_config"
                raise DamagedCheckpoint(path=path.parent, reason=reason)


def said(folder: Path, weights: list[Path], config: Any, named: type, error: Exception) -> HeadlightError:
    """What went wrong in the library, as one of our sentences."""
    kind = type(error).__name__
    if cost.ran_out(error):
        return OutOfMemory()
    if asked_for(error):
        return UnsafeWeights(path=weights[0], reason=asked_for(error))
    torn = weights[0].suffix == ".bin" and isinstance(error, OSError | RuntimeError)
    if torn or kind in ("SafetensorError", "UnpicklingError", "EOFError"):
        return BadFile(path=weights[0])
    if isinstance(error, AttributeError) and not isinstance(config, getattr(named, "config_class", None) or object):
        reason = f"its config.json is of the family {config.model_type} and names {named.__name__}, which is of another"
        return DamagedCheckpoint(path=folder, reason=reason)
    return DamagedCheckpoint(path=folder, reason=first_line(error))


def first_line(error: object, lines: int = 1) -> str:
    """What an error of the library says, at most 300 characters of its first lines."""
    if isinstance(error, KeyError):  # its text is the bare name
        return f"the library does not know {error}, which config.json names"
    if isinstance(error, AttributeError | TypeError | ZeroDivisionError):  # the library reads sizes without looking
        return f"the library cannot build the model that config.json describes: {str(error).splitlines()[0][:300]}"
    told = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    return " ".join(told[:lines])[:300].rstrip(".")
