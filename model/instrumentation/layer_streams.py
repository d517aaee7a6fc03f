"""The residual stream of a foreign module: input and output of each numbered module that ran attention."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.recorder import Frame, first_output


@dataclass(eq=False)
class Layer:
    """A numbered module that ran attention: its attention calls, its input (`read`) and its output (`out`)."""

    path: str
    calls: list[AttentionCall]
    read: Tensor | None
    out: Tensor | None


@dataclass(eq=False)
class LayerStreams:
    """Collects the layers of one forward; `calls` are those so far, head by head where they were computed so."""

    calls: list[AttentionCall]
    layers: list[Layer] = field(default_factory=list)
    _open: list[tuple[int, Tensor | None]] = field(default_factory=list)

    def entered(self, frame: Frame) -> None:
        read = next((a for a in frame.args if isinstance(a, Tensor) and a.is_floating_point()), None)
        self._open.append((len(self.calls), read))

    def left(self, frame: Frame, out: object) -> None:
        start, read = self._open.pop()
        inside = self.calls[start:]
        if inside and frame.name.rpartition(".")[2].isdigit():
            first = first_output(out)
            self.layers.append(Layer(frame.name, inside, read, None if first is None else first.detach().clone()))

    def streams(self, sites: dict[str, AttentionCall]) -> dict[str, Tensor]:
        """`{stack}.0.stream`, what the first layer read, and `{stack}.{i + 1}.stream`, what layer i handed on: [n, d]."""
        tensors: dict[str, Tensor] = {}
        read: dict[str, Tensor] = {}
        for name, call in sites.items():
            stack, layer, kind = name.split(".")
            around = [frame for frame in self.layers if _ran_in(frame, call)]
            frames = [frame for frame in around if self._one_of_a_kind(frame, sites)]
            if not frames or call.beside or (kind == "cross" and f"{stack}.{layer}.self" in sites):
                continue
            frame, n = frames[-1], call.q.shape[1]  # the outermost one ends last
            for found, at, tensor in ((read, int(layer), frame.read), (tensors, int(layer) + 1, frame.out)):
                if tensor is not None and tensor.dim() >= 2 and tensor.numel() == n * tensor.shape[-1]:
                    found[f"{stack}.{at}.stream"] = tensor.reshape(n, -1)
        # The layer before may hold no attention (a hybrid's): what this one read is what that one handed on.
        return read | tensors

    def _one_of_a_kind(self, frame: Layer, sites: dict[str, AttentionCall]) -> bool:
        """Whether a numbered module is one layer: one self- and one cross-attention ran in it, and others beside them."""
        inside = [name for name, call in sites.items() if _ran_in(frame, call) and not call.beside]
        kinds = [name.rpartition(".")[2] for name in inside]
        return len(set(kinds)) == len(kinds)


def _ran_in(frame: Layer, call: AttentionCall) -> bool:
    """Whether the whole of a call, every head of it, ran in a module."""
    ran = set(map(id, frame.calls))
    return id(call) in ran or (bool(call.heads) and all(id(part) in ran for part in call.heads))
