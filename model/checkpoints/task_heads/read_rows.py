"""Which rows of the last layer a head reads: the [CLS] token's, the last token's, all of them; found by asking the head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints.task_heads import outputs
from model.checkpoints.task_heads.inputs import as_taken


def rows_read(module: nn.Module, inputs: Mapping[str, Tensor], attention: str, length: int) -> tuple[int, ...]:
    """The rows of the last layer's output on which what the head gives depends at all, where its gradient is not 0.

    attention: the dotted path of the last attention module, in whose list of layers the last one is. length: rows that the
    layer gives. () where that cannot be told: no such list, or a layer with another number of rows.
    """
    layer, kept = _last_layer(module, attention), []
    if layer is None:
        return ()

    def begin(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        first, *others = output if isinstance(output, tuple | list) else (output,)
        kept[:] = [first.detach().requires_grad_()]
        torch.set_grad_enabled(True)  # what comes before the last layer's output needs no graph
        copied = kept[0].clone()  # which may be written to in place
        return type(output)((copied, *others)) if isinstance(output, tuple | list) else copied

    handle = layer.register_forward_hook(begin)
    try:
        with torch.no_grad():  # whose end sets the mode back
            found = outputs.named(type(module).__name__, module(**as_taken(module, inputs)))
            read = [tensor.reshape(-1) for name, tensor in found.items() if name in outputs.OF_THE_WHOLE]
            if not kept or not read or not read[0].requires_grad:
                return ()
            values = torch.cat(read)
            # Weights of their own, so that the gradients of several logits do not cancel.
            (gradient,) = torch.autograd.grad((values * torch.arange(1, len(values) + 1)).sum(), kept[0])
    finally:
        handle.remove()
    axis = next((axis for axis, size in enumerate(gradient.shape[:-1]) if size == length), None)
    if axis is None or gradient.numel() != length * gradient.shape[-1]:
        return ()
    return tuple(gradient.reshape(length, -1).abs().amax(-1).nonzero().flatten().tolist())


def _last_layer(module: nn.Module, attention: str) -> nn.Module | None:
    """The last of the list of layers that the attention at this path is in; None where it is in no list."""
    parts = attention.split(".")
    for i in range(1, len(parts) + 1):
        parent = module.get_submodule(".".join(parts[: i - 1]))
        if isinstance(parent, nn.ModuleList) and parts[i - 1].isdigit():
            return parent[-1]
    return None
