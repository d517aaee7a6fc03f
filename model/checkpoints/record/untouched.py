"""The library's own run of a model: the same tensors in modules that nothing was done to, with the library's own attention."""

from __future__ import annotations

import copy
import itertools

from torch import nn

from model.checkpoints.library_logging import quiet


def untouched(module: nn.Module) -> nn.Module:
    """A copy of a model that shares its parameters and buffers: to be made before the model is put on another attention."""
    tensors = itertools.chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors}).eval()


def eager(module: nn.Module) -> nn.Module | None:
    """A copy of an untouched model on the library's eager attention, which gives its weights; None where it has no choice."""
    copied = untouched(module)
    if not getattr(copied, "_can_set_attn_implementation", lambda: False)():
        return copied  # it knows one attention only, which as a rule gives its weights
    try:
        with quiet():
            copied.set_attn_implementation("eager")
    except (ValueError, ImportError):
        return None
    return copied
