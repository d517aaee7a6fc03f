"""Neurons of a feed-forward layer: activations by token, and the output of other activation functions.

FFN(x) = max(0, x W_1 + b_1) W_2 + b_2 (Vaswani et al. 2017, equation 2). GELU: Hendrycks & Gimpel 2016, equation 2, with
the exact Φ, and their section 2's approximation by tanh and by σ(1.702 x). SiLU: the gate of SwiGLU, a(x W) ⊙ (x V)
(Shazeer 2020, "GLU Variants Improve Transformer", equation 5). The square of ReLU: So et al. 2021, "Primer", section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from model.jobs.device import host
from model.trace.difference import max_difference
from model.trace.rounding import allowed, allowed_product
from model.trace.trace import Trace
from model.transformer.encoder_decoder import Transformer

# What a page compares; a model may have one of the others.
COMPARED = ("relu", "gelu", "silu")
ACTIVATIONS = (*COMPARED, "gelu_tanh", "quick_gelu", "relu2")
_ROUNDINGS = 4  # what an activation and its gate do to one number
_TRIED = 64  # tokens on which functions are told apart, before the nearest is held against all


@dataclass(frozen=True, eq=False)
class Hidden:
    """One layer's hidden units: post [n, d_ff], what the last projection reads.

    pre [n, d_ff]: what went into the activation `function`, both None where they are not known. gate [n, d_ff]: what the
    activated numbers were multiplied by, in gated layers. error: how far post · W_2 + b_2 lies from the layer's output at
    most, `limit` how far it may; function_error and function_limit: the same of function(pre) · gate and post. biased:
    whether the layer's projections add biases, b_1 and b_2.
    """

    post: Tensor
    pre: Tensor | None = None
    gate: Tensor | None = None
    function: str | None = None
    error: float | None = None
    limit: float = 0.0
    biased: bool = True

    @cached_property
    def function_error(self) -> float | None:
        if self.pre is None or self.function is None:
            return None
        return max_difference(post_activation(self, self.function, slice(None)), self.post)

    @cached_property
    def function_limit(self) -> float:
        return 0.0 if self.pre is None else _function_limit(self.post, self.pre, self.gate)

    @cached_property
    def firing(self) -> float:
        """The share of the hidden numbers above 0: 0–1."""
        return (self.post > 0).double().mean().item()


def own_hidden(trace: Trace, module: object, stack: str, layer: int) -> Hidden:
    """The recorded units of our own model's layer; `module` (None of a saved run) holds the W_2 that they are checked by."""
    name = f"{stack}.{layer}.ffn"
    pre, post, output = (trace.activation(f"{name}.{part}") for part in ("pre", "post", "output"))
    if not isinstance(module, Transformer):
        return Hidden(post, pre, None, "relu")
    W_2 = getattr(module, stack)[layer].ffn.W_2
    W, b = host(W_2.weight.detach().T), host(W_2.bias.detach())
    return Hidden(post, pre, None, "relu", *projected(post, W, b, output))


def projected(post: Tensor, W: Tensor, b: Tensor | None, output: Tensor) -> tuple[float, float]:
    """(max |post · W + b − output|, how large that may be), the product in float64."""
    made = post.double() @ W.double()
    made = made if b is None else made + b.double()
    return max_difference(made, output), allowed_product(post, W, b, output.dtype).max().item()


def ordered(hidden: Hidden, row: int) -> list[int]:
    """All units by the size of their number for one token; of equal ones (the many that are 0) those first that are larger
    for some other token."""
    sizes = hidden.post.abs()
    anywhere = sizes.max(0).values.argsort(descending=True, stable=True)
    return anywhere[sizes[row][anywhere].argsort(descending=True, stable=True)].tolist()


def strongest(hidden: Hidden, row: int, top: int) -> list[tuple[int, float]]:
    """(unit, activation) of the `top` units that are largest for one token, without those that are 0 (the first stays)."""
    values = hidden.post[row].double()
    found = [(unit, float(values[unit])) for unit in ordered(hidden, row)[:top]]
    return [item for item in found if item[1] != 0] or found[:1]


def top_tokens(hidden: Hidden, unit: int) -> list[tuple[int, float]]:
    """(token's place, activation) of one unit over the input, largest first."""
    values = hidden.post[:, unit].double()
    return [(int(i), float(values[i])) for i in values.argsort(descending=True, stable=True)]


def activate(name: str, x: Tensor) -> Tensor:
    """One of `ACTIVATIONS` of float64 numbers."""
    x = x.double()
    if name in ("relu", "relu2"):
        return x.clamp_min(0) if name == "relu" else x.clamp_min(0).square()
    if name == "gelu":
        return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    if name == "gelu_tanh":
        return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * torch.sigmoid(x if name == "silu" else 1.702 * x)


def post_activation(hidden: Hidden, name: str, row: int | slice) -> Tensor:
    """What the function `name` would have passed on of the recorded pre-activations, gate included: float64."""
    found = activate(name, hidden.pre[row])
    return found if hidden.gate is None else found * hidden.gate[row].double()


def recognised(post: Tensor, parts: list[Tensor]) -> tuple[str, Tensor, Tensor | None] | None:
    """(function, pre, gate) that make `post` [n, d_ff] of the outputs of a layer's first projections, None where none does.

    parts: [n, d_ff] each. Nothing is taken from a configuration: every function is tried, alone and with each other
    part as its gate, and the nearest counts where rounding explains what is left.
    """
    tried, few = [], slice(_TRIED)
    for pre in parts:
        for gate in (None, *(other for other in parts if other is not pre)):
            for name in ACTIVATIONS:
                tried.append((_off(post, name, pre, gate, few), name, pre, gate))
    if not tried:
        return None
    _, name, pre, gate = min(tried, key=lambda found: found[0])
    holds = _off(post, name, pre, gate, slice(None)) <= _function_limit(post, pre, gate)
    return (name, pre, gate) if holds else None


def _function_limit(post: Tensor, pre: Tensor, gate: Tensor | None) -> float:
    """How far an activation of `pre`, gated, may lie from `post`: GELU's tail is a difference of numbers as large as x."""
    passed_through = pre if gate is None else pre * gate
    size = max(post.abs().max().item(), passed_through.abs().max().item())
    return allowed(size, _ROUNDINGS, pre.dtype)


def _off(post: Tensor, name: str, pre: Tensor, gate: Tensor | None, rows: slice) -> float:
    made = activate(name, pre[rows])
    return max_difference(made if gate is None else made * gate[rows].double(), post[rows])
