"""Hidden units of a library model's feed-forward layers: what goes into the projection back to the residual stream.

Nothing of this is recorded with a run, because the units are the widest activations a model has; they are captured in one
more forward, at the modules that the library names alike in all families of a kind.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from torch import Tensor, nn

from model.checkpoints.disk.families import rules_of
from model.checkpoints.record import offload
from model.checkpoints.record.site_names import layer_in_list, stack_of
from model.jobs.device import CPU, host
from model.residual.neurons import Hidden, projected, recognised

_ATTENTION = re.compile(r"att", re.IGNORECASE)
_NUMBERED = re.compile(r"\.\d+\.")


@dataclass(frozen=True, eq=False)
class CapturedProjection:
    """The input and output of a feed-forward layer's last projection: hidden [n, d_ff], output [n, d], and the module itself.

    firsts: the outputs of the layer's first projections, [n, d_ff] each; two where it is gated, none where not told apart.
    """

    name: str
    hidden: Tensor
    output: Tensor
    projection: nn.Module
    firsts: list[Tensor]

    def units(self) -> Hidden:
        """The units, held against the layer's output by the projection's own weights, in float64."""
        W, b = (offload.parameter(self.projection, name) for name in ("weight", "bias"))
        W, b = host(W), None if b is None else host(b)
        known = recognised(self.hidden, self.firsts)
        function, pre, gate = known if known is not None else (None, None, None)
        W = (W if _conv(self.projection) else W.T).detach()
        error, limit = projected(self.hidden, W, None if b is None else b.detach(), self.output)
        return Hidden(self.hidden.float(), pre, gate, function, error, limit, b is not None)


def _conv(part: nn.Module) -> bool:
    return type(part).__name__ == "Conv1D"  # GPT-2's, whose weight is [in, out]


def _sizes(part: nn.Module) -> tuple[int, int] | None:
    """(in, out) of a linear layer, None of anything else."""
    weight = getattr(part, "weight", None)
    if weight is None or weight.dim() != 2 or isinstance(part, nn.Embedding):
        return None
    return tuple(weight.shape) if _conv(part) else tuple(weight.shape[::-1])


def projections(module: nn.Module) -> dict[str, nn.Module]:
    """The modules that end a layer's feed-forward part, by their paths; {} where none is known (`Family.feed_forward`)."""
    found = {}
    for name, part in module.named_modules():
        # What pools a picture's patches above the layers (SigLIP) ends alike, and is of no layer.
        if not _NUMBERED.search(name) or _ATTENTION.search(".".join(name.split(".")[-3:])):
            continue
        sizes = _sizes(part)
        if sizes is not None and sizes[0] >= sizes[1] and _ends_feed_forward(module, name):
            found[name] = part
    return found


def _ends_feed_forward(module: nn.Module, name: str) -> bool:
    """By the rules of the family, or of the family of the encoder or decoder that the path leads into (TrOCR)."""
    config = getattr(module, "config", None)
    part = getattr(config, name.split(".", 1)[0], None)
    told = part if hasattr(part, "model_type") else config
    known = rules_of(str(getattr(told, "model_type", ""))).feed_forward
    return known != "" and re.search(f"({known})$", name) is not None


def first_projections(module: nn.Module, name: str) -> dict[str, nn.Module]:
    """What makes the hidden numbers that the projection `name` reads: the linear layers to d_ff, or to twice as many, of the
    nearest module around it that has any."""
    wide, narrow = _sizes(module.get_submodule(name))
    parts = name.split(".")
    for depth in range(len(parts) - 1, max(0, len(parts) - 3), -1):
        path = ".".join(parts[:depth])
        inside = {f"{path}.{own}": part for own, part in module.get_submodule(path).named_modules() if own}
        found = {
            full: part
            for full, part in inside.items()
            if full != name and not _ATTENTION.search(full[len(path) :]) and _sizes(part) in ((narrow, wide), (narrow, 2 * wide))
        }  # fmt: skip
        if found:
            return found
    return {}


class _LayerOfCall:
    """Which layer of a stack a call of its projections is of: by the number in the module's path, which a mixture of experts
    needs (only some of its layers have a dense feed-forward part), or counted where paths tell no layer (ALBERT)."""

    def __init__(self, module: nn.Module, ends: Iterable[nn.Module], layers: int) -> None:
        self._layers, self._calls = layers, 0
        self._numbers: dict[nn.Module, list[int]] = {part: [] for part in ends}
        self._next = dict.fromkeys(self._numbers, 0)
        for path, part in module.named_modules(remove_duplicate=False):  # one module may stand in several layers
            place = layer_in_list(module, path) if part in self._numbers else None
            if place is not None and place[1] == layers:
                self._numbers[part].append(place[0])
        self._told = any(self._numbers.values())

    def of(self, part: nn.Module) -> int | None:
        """The layer of the next call of `part`; None of a module outside the layers."""
        if not self._told:
            return self._calls % self._layers
        numbers = self._numbers[part]
        return numbers[self._next[part] % len(numbers)] if numbers else None

    def called(self, part: nn.Module) -> int | None:
        """The same, of a call that is over: the next one is of a later layer or run."""
        layer = self.of(part)
        self._calls, self._next[part] = self._calls + 1, self._next[part] + 1
        return layer


@contextmanager
def capture_hidden(
    module: nn.Module, stacks: tuple[str, ...], stack: str, layer: int, layers: int
) -> Iterator[list[CapturedProjection]]:
    """Capture the hidden units of layer `layer` of the `layers` of `stack` while the module runs: its last call, flat [n, ·].

    [] of a layer that has none of its own, as one of experts. A run that writes calls every layer once a token.
    """
    captured: list[CapturedProjection] = []
    latest: dict[nn.Module, Tensor] = {}
    mine = threading.get_ident()  # another session may run the same module meanwhile

    def first(part: nn.Module, _inputs: object, output: Tensor) -> None:
        if threading.get_ident() == mine and any(calls.of(end) == layer for end in serves[part]):
            latest[part] = _copied(output)

    def last(name: str, part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if threading.get_ident() != mine:
            return
        wanted = calls.called(part) == layer
        made = [latest.pop(known) for known in firsts[name].values() if known in latest]
        if wanted:
            hidden, flat = (_copied(value).reshape(-1, value.shape[-1]) for value in (inputs[0], output))
            captured[:] = [CapturedProjection(name, hidden, flat, part, _halves(made, hidden))]

    ends = {name: part for name, part in projections(module).items() if stack_of(name, stacks) == stack}
    calls = _LayerOfCall(module, ends.values(), layers)
    firsts = {name: first_projections(module, name) for name in ends}
    serves: dict[nn.Module, list[nn.Module]] = {}
    for name, parts in firsts.items():
        for part in parts.values():
            serves.setdefault(part, []).append(ends[name])
    handles = [part.register_forward_hook(first) for part in serves]
    handles += [
        part.register_forward_hook(lambda part, inputs, output, name=name: last(name, part, inputs, output))
        for name, part in ends.items()
    ]
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def capture_outputs(module: nn.Module, stacks: tuple[str, ...], stack: str, layers: int) -> Iterator[dict[int, Tensor]]:
    """Capture the feed-forward output of each of the `layers` of `stack`, from their last calls: layer -> [n, d]."""
    found: dict[int, Tensor] = {}
    mine = threading.get_ident()

    def last(part: nn.Module, _inputs: object, output: Tensor) -> None:
        if threading.get_ident() == mine and (layer := calls.called(part)) is not None:
            found[layer] = _copied(output).reshape(-1, output.shape[-1])

    ends = {part for name, part in projections(module).items() if stack_of(name, stacks) == stack}
    calls = _LayerOfCall(module, ends, layers)
    handles = [part.register_forward_hook(last) for part in ends]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _copied(value: Tensor) -> Tensor:
    """In the memory of the processor; the model may go on to change the value in place."""
    return value.detach().clone() if value.device == CPU else host(value)


def _halves(made: list[Tensor], hidden: Tensor) -> list[Tensor]:
    """The outputs of first projections as [n, d_ff] each; one of twice the width holds two."""
    found: list[Tensor] = []
    with suppress(RuntimeError):  # of other shapes, so not what these units were made of
        for value in made:
            flat = value.detach().reshape(len(hidden), -1)
            found += flat.split(hidden.shape[1], -1)
    return [part for part in found if part.shape == hidden.shape]
