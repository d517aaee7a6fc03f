"""Errors of the library while it opens a folder or runs a model, turned into errors of `model.errors`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from model.checkpoints.convert.raw_tensors import asked_for
from model.checkpoints.disk import cost, quantised
from model.checkpoints.disk import files as checkpoint_files
from model.checkpoints.disk.families import FAMILIES
from model.checkpoints.library_logging import loading, quiet
from model.checkpoints.record.forward import run
from model.errors import (
    BadConfig,
    BadFile,
    HeadlightError,
    NeedsPackage,
    NoEndToken,
    NoMatchingWeights,
    NoTensors,
    NotOpened,
    NotRun,
    OutOfMemory,
    UnsafeWeights,
    UnsupportedFamily,
    WrongShape,
)  # fmt: skip
from model.errors.library_text import library_text

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel

_NAMED = 3  # families that a sentence names


def check(weights: list[Path], module: nn.Module, info: Mapping[str, Any]) -> None:
    """Raises a kind of DamagedCheckpoint, or Quantised, where what from_pretrained tells, `info`, makes no model to look at."""
    unused = sorted(info["unexpected_keys"])
    folder, there = weights[0].parent, unused or _names(weights)
    if unused and (kind := quantised.by_names(unused)):  # of a .bin, whose names nothing tells before
        quantised.refuse(folder, checkpoint_files.config(folder), kind)
    # The matrices first: "64×32 for 65×32" says more than the length of a bias.
    for name, got, expected in sorted(info["mismatched_keys"], key=lambda found: (-len(found[1]), found[0])):
        got, expected = ("×".join(map(str, shape)) for shape in (got, expected))
        raise WrongShape(path=folder, tensor=name, got=got, allowed=expected)
    if info["error_msgs"]:
        raise _not_opened(folder, info["error_msgs"][0])
    if none_fits(module, info):
        if not there:
            raise NoTensors(path=weights[0])
        raise NoMatchingWeights(path=folder, model=type(module).__name__, got=there[0])
    _check_numbers(weights, module.config)


def none_fits(module: nn.Module, info: Mapping[str, Any]) -> bool:
    """Whether every parameter is one that the files lack."""
    fresh, tied = set(info["missing_keys"]), set(getattr(module, "all_tied_weights_keys", None) or ())
    return bool(fresh) and not {name for name, _ in module.named_parameters()} - tied - fresh


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
                kind = f"{entry['dtype']} codes in {name}, of which config.json says nothing"
                quantised.refuse(path.parent, checkpoint_files.config(path.parent), kind)


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
    if package := needed_package(error):
        return NeedsPackage(path=folder, package=package, command=f"pip install {package}")
    if not isinstance(config, getattr(named, "config_class", None) or object):
        reason = f"it is of the family {config.model_type} and names {named.__name__}, which is of another"
        return BadConfig(path=folder, file="config.json", reason=reason)
    if (unbuilt := _unbuilt(config, named)) is not None:
        return BadConfig(path=folder, file="config.json", reason=first_line(unbuilt))
    return _not_opened(folder, error)


def _unbuilt(config: Any, named: Any) -> Exception | None:
    """What goes wrong where the class is built of the configuration alone, without the weights; None where nothing does."""
    make = getattr(named, "from_config", None) or getattr(named, "_from_config", None)
    try:
        with loading(), torch.device("meta"):
            make(config)
    except Exception as error:  # a class checks its sizes with errors of any kind
        return error
    return None


def _not_opened(folder: Path, error: object) -> NotOpened:
    import transformers

    return NotOpened(path=folder, version=transformers.__version__, reason=first_line(error))


def needed_package(error: Exception) -> str:
    """The package whose absence an error of the library tells, "" where it tells of none or that one is installed."""
    if not isinstance(error, ImportError):
        return ""
    named = re.search(r"(?:requires the|install) ([A-Za-z][\w-]*)", str(error))
    package = (error.name or "").partition(".")[0] or (named[1] if named else "")
    return package if package and find_spec(package.replace("-", "_")) is None else ""


def first_line(error: object, lines: int = 1) -> str:
    """What an error of the library says, as `errors.library_text`, and what some kinds mean that say little."""
    if isinstance(error, KeyError):  # its text is the bare name
        return f"the library does not know {error}, which it names"
    if isinstance(error, AttributeError | TypeError | ZeroDivisionError):  # the library reads sizes without looking
        return f"the library cannot build the model that it describes: {library_text(error)}"
    return library_text(error, lines)


def not_recorded(model: HuggingFaceModel, inputs: Mapping[str, Tensor], error: ValueError) -> HeadlightError:
    """Why a recorded forward failed: the text, where the library's own run of it fails too; else what the family computes."""
    try:
        with quiet(), torch.no_grad():
            run(model.untouched or model.module, inputs)
    except ValueError as own:
        end = getattr(model.module.config, "eos_token_id", None)
        # Classifiers with a decoder read their class at the end token, wherever it stands.
        if "<eos>" in str(own) and isinstance(end, int) and end < len(model.tokenizer):
            return NoEndToken(token=model.tokenizer.convert_ids_to_tokens(end))
        return NotRun(reason=library_text(own))
    reason = f"and {library_text(error)}"
    return UnsupportedFamily(path=model.name, family=model.family, reason=reason, allowed=families(model.reads))


def refuse(folder: Path, family: str, reason: str, reads: str = "text") -> None:
    """Raises UnsupportedFamily with the families that open."""
    raise UnsupportedFamily(path=folder, family=family, reason=reason, allowed=families(reads))


def families(reads: str) -> str:
    """The first of the families that open, of those that read text, pictures or sound, how many they are and what lists them."""
    names = [each.model_type for each in FAMILIES if each.reads == reads]
    rest = f", … ({len(names)}: python -m model families)" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
