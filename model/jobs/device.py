"""The device that a model runs on: chosen once, when it is opened; what it reads goes there, what is recorded comes back.

A record lies in the memory of the processor, whatever it was made on, because everything that reads it runs there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from model.errors import UnknownDevice

VARIABLE = "HEADLIGHT_DEVICE"
CPU = torch.device("cpu")


def choose(device: str | torch.device | None = None) -> torch.device:
    """`device`, else what HEADLIGHT_DEVICE says, else the processor. Raises UnknownDevice where there is none of that name."""
    told = str(device if device is not None else os.environ.get(VARIABLE, "")).strip() or "cpu"
    here = available()
    try:
        found = torch.device(told)
    except RuntimeError as error:  # no name of a device
        raise UnknownDevice(got=told, allowed=", ".join(here)) from error
    if found.type == "cpu":  # whatever its number
        return CPU
    whole = found if found.index is not None else torch.device(found.type, 0)
    if str(whole) not in here:
        raise UnknownDevice(got=told, allowed=", ".join(here))
    return whole


def available() -> list[str]:
    """The devices of this computer that torch can use, the processor first."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    count = 0 if accelerator is None else torch.accelerator.device_count()
    return ["cpu", *(f"{accelerator.type}:{number}" for number in range(count))]


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters lie; the processor for one that has none in memory."""
    places = (tensor.device for tensor in (*module.parameters(), *module.buffers()) if not tensor.is_meta)
    return next(places, CPU)


def facts_of(module: nn.Module) -> dict[str, str]:
    """What a run tells of where it was computed: nothing of the processor."""
    device = device_of(module)
    return {} if device == CPU else {"device": str(device)}


def host(tensor: Tensor) -> Tensor:
    """A tensor in the memory of the processor: itself where it lies there."""
    return tensor if tensor.device.type == "cpu" else tensor.detach().to(CPU)


class HostCopies:
    """Copies in the memory of the processor of tensors that several layers share, each made once."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}  # the tensor is held, so that no other gets its id

    def __call__(self, tensor: Tensor) -> Tensor:
        if tensor.device.type == "cpu":
            return tensor
        return self._seen.setdefault(id(tensor), (tensor, host(tensor)))[1]


def move(module: nn.Module, device: torch.device, entrances: Iterable[nn.Module] = ()) -> nn.Module:
    """Put `module` on a device. Where that is not the processor, what it is given is moved there before it runs; `entrances`:
    parts of it that are run by themselves as well."""
    if device == CPU:
        return module
    module.to(device)

    def follow(_module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return tree_map(there, (args, kwargs))

    def there(value: Any) -> Any:
        return value.to(device) if isinstance(value, Tensor) else value

    for part in {id(part): part for part in (module, *entrances)}.values():
        part.register_forward_pre_hook(follow, with_kwargs=True)
    return module
