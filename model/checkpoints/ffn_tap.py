"""Hidden units of a library model's feed-forward layers: what goes into the projection back to the residual stream.

Nothing of this is recorded with a run, because the units are the widest activations a model has; they are heard in one
more forward, at the modules that the library names alike in all families of a kind.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

# The last projection of a feed-forward layer, by its path: Llama and those like it; GPT-2 and GPT-Neo; NeoX, BLOOM, Falcon;
# BART, OPT, Phi, Whisper, CLIP; BERT and those like it (an `intermediate` beside it); T5; DistilBERT, XLM; XLNet; ALBERT;
# ModernBERT; MPNet and ViT are like BERT.
_PATHS = re.compile(
    r"(mlp\.down_proj|mlp\.c_proj|dense_4h_to_h|(^|\.)fc2|DenseReluDense\.wo|ffn\.lin2|ffns\.\d+\.lin2|ff\.layer_2|"
    r"ffn_output|mlp\.Wo|mlp\.fc_out|layer\.\d+\.output\.dense)$"
)


@dataclass(frozen=True, eq=False)
class Heard:
    """What went into and came out of one projection: hidden [n, d_ff], output [n, d], and its weights for checking."""

    name: str
    hidden: Tensor
    output: Tensor
    W: Tensor
    b: Tensor | None

    @property
    def error(self) -> float:
        """max |hidden · W + b − output|, in float64."""
        made = self.hidden.double() @ self.W.double()
        made = made if self.b is None else made + self.b.double()
        return (made - self.output.double()).abs().max().item()


def projections(module: nn.Module) -> dict[str, nn.Module]:
    """The modules that end a feed-forward layer, by their paths; {} where none is known."""
    found = {}
    for name, part in module.named_modules():
        weight = getattr(part, "weight", None)
        if weight is None or weight.dim() != 2 or not _PATHS.search(name):
            continue
        wide, narrow = weight.shape if type(part).__name__ == "Conv1D" else weight.shape[::-1]
        if wide >= narrow and "attention" not in name.rsplit(".", 3)[-2:]:
            found[name] = part
    return found


def stack_of(name: str, stacks: tuple[str, ...]) -> str:
    """Which of the run's stacks a module's path belongs to; CLIP's towers are called by what they read."""
    if len(stacks) == 1:
        return stacks[0]
    parts = name.split(".")
    if "vision_model" in parts or "text_model" in parts:
        return "encoder" if "vision_model" in parts else "decoder"
    return next((part for part in parts if part in ("encoder", "decoder")), stacks[0])


@contextmanager
def listening(module: nn.Module, stacks: tuple[str, ...], stack: str, layer: int, layers: int) -> Iterator[list[Heard]]:
    """Hear layer `layer` of the `layers` of `stack` while the module runs; the list holds its last call.

    A run that writes calls every layer once a token, and one module may serve all layers (ALBERT), so calls are counted.
    """
    heard: list[Heard] = []
    calls, mine = 0, threading.get_ident()  # another session may run the same module meanwhile

    def keep(name: str, part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal calls
        if threading.get_ident() != mine:
            return
        wanted, calls = calls % layers == layer, calls + 1
        if not wanted:
            return
        W = part.weight.detach() if type(part).__name__ == "Conv1D" else part.weight.detach().T
        # Copied: Falcon adds the attention's output to this very tensor.
        flat = [value.detach().reshape(-1, value.shape[-1]).clone() for value in (inputs[0], output)]
        heard[:] = [Heard(name, *flat, W, None if part.bias is None else part.bias.detach())]

    handles = [
        part.register_forward_hook(lambda part, inputs, output, name=name: keep(name, part, inputs, output))
        for name, part in projections(module).items()
        if stack_of(name, stacks) == stack
    ]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()
