"""Places where our model can be listened to.

A `Tap` hands its input on unchanged. A recorder hooks the taps of one forward pass inside a `with` block; nothing is
ever stored on a module, so a model that nobody looks at pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class Tap(nn.Module):
    """x -> x."""

    def forward(self, x: Tensor) -> Tensor:
        return x


@contextmanager
def listen(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect what passes every `Tap` of `module`, by its dotted path; the hooks come off when the block ends."""
    heard: dict[str, Tensor] = {}

    def hook(name: str):
        def keep(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
            heard[name] = output.detach()

        return keep

    handles = [tap.register_forward_hook(hook(name)) for name, tap in module.named_modules() if isinstance(tap, Tap)]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()
