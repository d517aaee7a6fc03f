"""Hook points of our own model: named places whose activations a run can be asked for.

A `HookPoint` hands its input on unchanged. A recorder hooks those of one forward pass inside a `with` block; nothing is
ever stored on a module, so a model that nobody looks at pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from model.jobs.device import host


class HookPoint(nn.Module):
    """x -> x."""

    def forward(self, x: Tensor) -> Tensor:
        return x


Change = Callable[[Tensor], Tensor]


@contextmanager
def changed(points: Mapping[HookPoint, Change]) -> Iterator[None]:
    """What passes these points inside the block goes on as what each function makes of it; afterwards the hooks come off."""

    def hook(change: Change):
        return lambda _module, _inputs, output: change(output)

    handles = [point.register_forward_hook(hook(change)) for point, change in points.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def run_with_hooks(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """The activations at every `HookPoint` of what is run inside the block, by dotted path; afterwards the hooks come off."""
    activations: dict[str, Tensor] = {}

    def hook(name: str):
        def keep(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
            activations[name] = host(output.detach())

        return keep

    points = [(name, part) for name, part in module.named_modules() if isinstance(part, HookPoint)]
    handles = [point.register_forward_hook(hook(name)) for name, point in points]
    try:
        yield activations
    finally:
        for handle in handles:
            handle.remove()
