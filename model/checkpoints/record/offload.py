"""Parameters of a module whose weights were left on disk, because they do not fit into memory."""

from __future__ import annotations

from torch import Tensor, nn


def parameter(module: nn.Module, name: str) -> Tensor | None:
    """`module.weight` or `module.bias`, read from disk where the library keeps only its shape in memory."""
    value = getattr(module, name, None)
    if value is None or not value.is_meta:
        return value
    from accelerate.utils import align_module_device

    with align_module_device(module):
        return getattr(module, name).detach().clone()
