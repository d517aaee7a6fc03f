"""An adapter (LoRA and its like: Hu et al. 2021) put into its model by peft, where that package is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.checkpoints.disk import cost
from model.checkpoints.library.load_errors import first_line
from model.checkpoints.library_logging import loading
from model.errors import AdapterRefused, HeadlightError, OutOfMemory

_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


@dataclass(frozen=True)
class Adapted:
    """applied: whether the adapter is in the model now. fresh, unused: of its own parameters and tensors, as in
    `library.load.Loaded`. weights: its file, () where it is not applied."""

    applied: bool = False
    fresh: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    weights: tuple[Path, ...] = ()


def apply(module: nn.Module, folder: Path, told: Mapping[str, Any]) -> Adapted:
    """Put the adapter in `folder` into `module`, whose weights it changes no number of.

    Not applied without peft, to a model that lies partly on disk, and where it is made of tokens in front of the text (a
    prompt, a prefix), which no record has a place for. told: `disk.other_folders.adapter`. Raises AdapterRefused.
    """
    weights = tuple(folder / name for name in _WEIGHTS if (folder / name).is_file())[:1]
    if find_spec("peft") is None or getattr(module, "hf_device_map", None):
        return Adapted()
    from peft import PeftConfig

    try:
        # As a model's own: what the file lacks is random, always the same, and not from the caller's numbers.
        with loading(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = PeftConfig.from_pretrained(str(folder))
            if config.is_prompt_learning:
                return Adapted()
            if getattr(config, "megatron_config", None):  # it names a module to be imported
                raise ValueError("it is made for Megatron")
            info = module.load_adapter(str(folder), adapter_kwargs={"local_files_only": True}).to_dict()
    except Exception as error:  # peft and the library check an adapter with errors of any kind
        if cost.ran_out(error):
            raise OutOfMemory() from error
        reason = str(error).rstrip(".") if isinstance(error, HeadlightError) else first_line(error)
        raise AdapterRefused(path=folder, kind=told["kind"], base=told["base"], reason=reason) from error
    for name, got, expected in info["mismatched_keys"]:
        got, expected = ("×".join(map(str, shape)) for shape in (got, expected))
        reason = f"its tensor {name} is {got}, and this model takes {expected}"
        raise AdapterRefused(path=folder, kind=told["kind"], base=told["base"], reason=reason)
    module.float().eval()  # its own layers come in training mode, and in the precision of its file
    return Adapted(True, sorted(info["missing_keys"]), sorted(info["unexpected_keys"]), weights)
