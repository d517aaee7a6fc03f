"""The state of a training run, as one file of tensors and JSON: what is read goes on with the very same bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from model.errors import DamagedTraining
from model.files.atomic import write_bytes
from model.files.regular import bytes_of, parsed
from model.training.run_files.schemas import checked

if TYPE_CHECKING:
    from model.training.trainer import Trainer

_LARGEST = 2**36


def write_state(path: Path, trainer: Trainer, log_bytes: int) -> None:
    """Everything that the next step depends on, in one atomic file. log_bytes: how long the log is at this step.

    Raises OSError.
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    for name, module in (("module", trainer.module), ("average", trainer.average)):
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for number, moments in trainer.adam.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{key}": value for key, value in moments.items()}
    tensors["random.dropout"] = torch.get_rng_state()
    tensors["random.masks"] = trainer.masks.get_state()
    tensors["random.data"] = trainer.batches.began
    told = {"step": trainer.step, "taken": trainer.batches.taken, "data": trainer.data_hash, "whole": trainer.whole_hash,
            "log_bytes": log_bytes, "seconds": trainer.seconds}  # fmt: skip
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(whole, {"state": json.dumps(told)}))


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, what was told with them). Raises DamagedTraining or OSError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    whole = bytes_of(path, _LARGEST)
    try:
        length = int.from_bytes(whole[:8], "little")
        told = checked("state", parsed(parsed(whole[8 : 8 + length])["__metadata__"]["state"]))
        return load(whole), told
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedTraining(path=path.parent, reason=f"{path.name} is damaged") from error


def put_state(trainer: Trainer, tensors: dict[str, Tensor], told: dict[str, Any]) -> None:
    """Make `trainer`, just made of the same options, what it was. Raises KeyError or RuntimeError where it does not fit."""

    def part(name: str) -> dict[str, Tensor]:
        return {key.removeprefix(name): value for key, value in tensors.items() if key.startswith(name)}

    trainer.module.load_state_dict(part("module."))
    trainer.average.load_state_dict(part("average."))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in part("adam.").items():
        number, _, name = key.partition(".")
        moments.setdefault(int(number), {})[name] = value
    trainer.adam.load_state_dict(trainer.adam.state_dict() | {"state": moments})
    trainer.masks.set_state(tensors["random.masks"])
    trainer.batches.go_to(tensors["random.data"], told["taken"])
    torch.set_rng_state(tensors["random.dropout"])
    trainer.step, trainer.seconds = told["step"], told["seconds"]
