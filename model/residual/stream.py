"""The residual stream: what each sub-layer adds to it, and the LayerNorm of the sum.

x + Sublayer(x), then LayerNorm (post-LN: Vaswani et al. 2017, section 3.1), or x + Sublayer(LayerNorm(x)) (pre-LN: Xiong
et al. 2020, "On Layer Normalization in the Transformer Architecture", figure 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.errors import UnknownOption
from model.residual.additions import Addition, by_layer, limit_of
from model.trace.difference import max_difference
from model.trace.record_own import KINDS, entering, ids_of, leaving, record_run
from model.trace.rounding import allowed, check_norm
from model.trace.trace import Trace
from model.transformer.encoder_decoder import Transformer
from model.transformer.layer_norm import layer_norm


def stacks(trace: Trace) -> tuple[str, ...]:
    """The stacks whose residual stream the record has."""
    return tuple(stack for stack in trace.sides if streams(trace, stack))


def own(trace: Trace) -> bool:
    """Whether the record holds every activation of the blocks, as our own models' do."""
    return any(name.endswith(".self.residual") for name in trace.store.names())


def streams(trace: Trace, stack: str) -> list[str]:
    """Names of the residual stream before the first layer and after each: layers + 1 of them, [] where not recorded."""
    names = set(trace.store.names())
    if own(trace):
        after, found = leaving(_norm(trace)), [f"{stack}.input"]
        while f"{stack}.{len(found) - 1}.self.{after}" in names:
            ends = (f"{stack}.{len(found) - 1}.{kind}.{after}" for kind in reversed(KINDS))
            found.append(next(name for name in ends if name in names))
        return found if len(found) > 1 and found[0] in names else []
    count = sum(name.startswith(f"{stack}.") and name.endswith(".stream") for name in names)
    found = [f"{stack}.{i}.stream" for i in range(count)]
    return found if count > 1 and all(name in names for name in found) else []


def sublayers(trace: Trace, stack: str) -> list[str]:
    """The sub-layers of our own model's stack in the order of the computation: `encoder.0.self`, `encoder.0.ffn`, …"""
    layers = range(len(streams(trace, stack)) - 1)
    return [f"{stack}.{i}.{k}" for i in layers for k in KINDS if f"{stack}.{i}.{k}.residual" in trace.store]


def stream_into(trace: Trace, name: str) -> str:
    """Name of the residual stream that enters the sub-layer `name` of our own model."""
    order = sublayers(trace, name.split(".")[0])
    if name not in order:
        raise UnknownOption(what="Sub-layer", got=name, allowed=", ".join(order))
    return entering(trace.store, name, _norm(trace))


def _norm(trace: Trace) -> str:
    return str(trace.facts.get("norm", "post"))


def additions(
    trace: Trace, stack: str, row: int | None = None, ffn_outputs: Mapping[int, Tensor] | None = None
) -> list[Addition]:
    """What every sub-layer of `stack` adds, bottom up: to every token, or to token `row` alone (n is 1 then).

    Of our own models each sub-layer by itself, of others see `model.residual.additions.by_layer`.
    """
    rows = slice(None) if row is None else slice(row, row + 1)
    if not own(trace):
        return by_layer(trace, stack, streams(trace, stack), rows, ffn_outputs)
    found = []
    for name in sublayers(trace, stack):
        before, added = trace.activation(stream_into(trace, name)), trace.activation(f"{name}.output")
        after = trace.activation(f"{name}.residual")
        error, limit = max_difference(before.double() + added.double(), after), limit_of(before, added, after)
        found.append(Addition(name, before[rows], added[rows], error, limit))
    return found


# ---- the norm


@dataclass(frozen=True, eq=False)
class RecordedNorm:
    """A recorded LayerNorm taken apart, float64.

    x [n, d] goes in; mean, variance, sigma (√(variance + ε)) [n]; gamma, beta [d]; y [n, d] is recomputed; error: max
    |y − recorded|; limit: how large that may be.
    """

    x: Tensor
    mean: Tensor
    variance: Tensor
    sigma: Tensor
    gamma: Tensor
    beta: Tensor
    y: Tensor
    error: float
    limit: float


def norm_parameters(trace: Trace, module: nn.Module | None, name: str) -> tuple[Tensor, Tensor] | None:
    """(γ, β) of the norm around the sub-layer `name`, from the record or else from the model; None where neither has it."""
    known = [trace.store[full] for p in ("gamma", "beta") if (full := f"parameters/{name}.{p}") in trace.store]
    if len(known) == 2:
        return known[0], known[1]
    if not isinstance(module, Transformer):
        return None
    stack, layer, kind = name.split(".")
    norm = getattr(getattr(module, stack)[int(layer)], f"{kind}_add").layer_norm
    return norm.gamma.detach(), norm.beta.detach()


def normalised(trace: Trace, name: str, parameters: tuple[Tensor, Tensor]) -> RecordedNorm:
    """The LayerNorm of the sub-layer `name` (Ba, Kiros & Hinton 2016, equations 3 and 4), held against the record.

    In post-LN its input is x + Sublayer(x), in pre-LN the stream that comes in.
    """
    x = trace.activation(f"{name}.residual" if _norm(trace) == "post" else stream_into(trace, name)).double()
    gamma, beta = (p.double() for p in parameters)
    found, error, limit = check_norm(x, gamma, beta, trace.activation(f"{name}.norm"))
    parts = (part[:, 0] for part in (found.mean, found.variance, found.sigma))
    return RecordedNorm(x, *parts, gamma, beta, found.y, error, limit)


def by_token(x: Tensor) -> Tensor:
    """Each token by its own mean and variance over the features, without γ and β: [n, d] -> float64 [n, d]."""
    return layer_norm(x.double()).y


def batch_norm(x: Tensor) -> Tensor:
    """Each feature by its mean and variance over the tokens (Ioffe & Szegedy 2015, algorithm 1), without γ and β.

    The tokens are the batch here, as they would be in training: [n, d] -> float64 [n, d].
    """
    return by_token(x.T).T


def change_without_a_token(x: Tensor, row: int) -> tuple[float, float]:
    """How much LayerNorm's and BatchNorm's row `row` change at most when another token, the last (or else the first), is
    left out: (layer, batch). NaN for one token."""
    if len(x) < 2:
        return float("nan"), float("nan")
    gone = len(x) - 1 if row != len(x) - 1 else 0
    keep = [i for i in range(len(x)) if i != gone]
    at = keep.index(row)
    return tuple((norm(x)[row] - norm(x[keep])[at]).abs().max().item() for norm in (by_token, batch_norm))


# ---- the other order


def other_order(module: Transformer) -> Transformer:
    """A copy of the model with the same weights whose norms stand in the other place.

    What pre-LN has in addition, a norm at the end of each stack, gets γ = 1 and β = 0. It is not trained again.
    """
    before = module.config.norm == "post"
    twin = Transformer(replace(module.config, norm="pre" if before else "post")).to(next(module.parameters()))
    known = {name: value for name, value in module.state_dict().items() if not name.startswith(_ENDS)}
    missing = twin.load_state_dict(known, strict=False).missing_keys
    if any(not name.startswith(_ENDS) for name in missing):
        raise ValueError(f"the copy lacks {', '.join(missing)}")
    return twin.eval()


_ENDS = ("encoder_norm", "decoder_norm")


@dataclass(frozen=True, eq=False)
class Orders:
    """lengths: {"post", "pre"} -> ‖residual stream‖ of every token before the first layer and after each, float64
    [layers + 1, n]; own: which of them is the model as it is; error: max |its lengths − those of the record|; limit: how
    large that may be, of two runs through so many layers."""

    lengths: dict[str, Tensor]
    own: str
    error: float
    limit: float


def both_orders(module: Transformer, trace: Trace, stack: str) -> Orders:
    """The run of `trace` by the model itself and by its copy in the other order.

    Of post-LN the stream is what leaves each layer's last norm, of pre-LN the sum that no norm ever touches.
    """
    lengths = {}
    for model in (module, other_order(module)):
        store, _ = record_run(model, *ids_of(trace))
        # The stream leaves each layer behind its last sub-layer.
        last, after = "ffn" if model.config.d_ff else _last_attention(model, stack), leaving(model.config.norm)
        names = [f"{stack}.input", *(f"{stack}.{i}.{last}.{after}" for i in range(len(getattr(model, stack))))]
        lengths[model.config.norm] = torch.stack([store[name].double().norm(dim=-1) for name in names])
    recorded = torch.stack([trace.activation(name).double().norm(dim=-1) for name in streams(trace, stack)])
    limit = allowed(recorded, len(recorded) * module.config.d_model, trace.activation(f"{stack}.input").dtype)
    return Orders(lengths, module.config.norm, max_difference(lengths[module.config.norm], recorded), limit)


def _last_attention(module: Transformer, stack: str) -> str:
    return "cross" if stack == "decoder" and module.config.encoder_layers else "self"
