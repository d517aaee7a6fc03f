"""The check of a library model when it is opened: a short input, recorded, against what the library itself computes of it.

Three runs of the same tensors are held against each other: the one that Headlight records; the untouched model with the
attention that the library chose, whose logits and hidden states are the right ones; and the library's eager attention,
which gives its weights (`output_attentions`), where those of a model are believed only if its own logits are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints.disk.families import TOWERS
from model.checkpoints.record.forward import Recorded, record, run, streams
from model.checkpoints.record.score_trace import attention_paths
from model.checkpoints.record.untouched import eager
from model.checkpoints.task_heads import outputs as head_outputs
from model.jobs.device import host
from model.trace import logits as logit_parts
from model.trace.difference import max_difference
from model.trace.fidelity import share_or_worst
from model.trace.rounding import allowed, allowed_weights
from model.trace.site import Site

# Eager attention holds all of them at once, 256 MiB: Whisper's window of 1,500 frames is long where the model has many heads.
_MOST_WEIGHTS = 2**26


@dataclass(frozen=True)
class OpeningCheck:
    """What a short input showed. Each pair is (largest difference, how large it may be), None where there is no reference.

    weights: of the sub-layers' weights from the library's eager ones, `compared` sub-layers of them. output: of logits and
    hidden states from the untouched model's. missing: dotted paths of the attention that is not in the record.
    """

    weights: tuple[float, float] | None = None
    output: tuple[float, float] | None = None
    compared: int = 0
    missing: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing that was compared is further off than rounding; and something was."""
        pairs = [pair for pair in (self.weights, self.output) if pair is not None]
        return bool(pairs) and all(error <= limit for error, limit in pairs)

    @property
    def reason(self) -> str:
        """What is wrong, as the end of a sentence; "" where nothing is."""
        for pair, what in ((self.output, "output"), (self.weights, "attention weights")):
            if pair is not None and not pair[0] <= pair[1]:
                return f"the recorded {what} would be off by {pair[0]:.1g} from the library's own"
        return "" if self.holds else "nothing of its record could be held against the library's own run"

    def facts(self) -> dict[str, object]:
        """As a trace keeps it: plain numbers."""
        errors = {"weights": self.weights, "output": self.output}
        found: dict[str, object] = {name: pair[0] for name, pair in errors.items() if pair is not None}
        return found | ({"missing": list(self.missing)} if self.missing else {})


@torch.no_grad()
def check(
    module: nn.Module, untouched: nn.Module, inputs: Mapping[str, Tensor], count: bool = False, own: Any = None
) -> OpeningCheck:
    """Record `module` on `inputs` (batch of 1) and compare. Raises what recording and the library raise.

    count: look also for attention that is not in the record, by following the operators of the untouched model. own: what
    that model gives of these inputs, where it has run already.
    """
    recorded, own = record(module, inputs), run(untouched, inputs) if own is None else own
    weights, compared = _weights(recorded, own, untouched, inputs)
    missing: tuple[str, ...] = ()
    if count:
        left = attention_paths(untouched, inputs)
        for path in recorded.modules.values():
            if path in left:
                left.remove(path)
        missing = tuple(dict.fromkeys(left))
    return OpeningCheck(weights, _output(recorded, own, type(module).__name__), compared, missing)


def _output(recorded: Recorded, own: Any, name: str) -> tuple[float, float] | None:
    """Of everything that the head gives and of every hidden state [n, d] that both have."""
    terms = sum(_terms(recorded).values())
    states = streams(own, recorded.stacks).items()
    pairs = [(recorded.store[name], state) for name, state in states if name in recorded.store]
    found = [_apart(mine, theirs, terms) for mine, theirs in pairs if bool(theirs.isfinite().any())]
    outputs = {output: host(tensor) for output, tensor in head_outputs.named(name, own).items()}
    apart = logit_parts.differences(outputs, recorded.store)
    for output, error in apart.items():
        logits = outputs.get(output, outputs.get("logits"))
        if logits is not None and error == 0 and not bool(logits.isfinite().any()):
            continue  # NaN throughout: there is nothing that could be wrong
        found.append((error, 0.0 if logits is None else allowed(logits.float(), terms, logits.dtype)))
    return max(found, key=_share) if found else None


def _share(pair: tuple[float, float]) -> float:
    return share_or_worst(pair[0] / pair[1])


def _apart(mine: Tensor, theirs: Tensor, terms: int) -> tuple[float, float]:
    error = max_difference(mine, theirs) if mine.shape == theirs.shape else math.inf
    return error, allowed(theirs.float(), terms, mine.dtype)


def _weights(
    recorded: Recorded, own: Any, untouched: nn.Module, inputs: Mapping[str, Tensor]
) -> tuple[tuple[float, float] | None, int]:
    """Of every head that the library gives the weights of, and of how many sub-layers."""
    cells = sum(record_.heads * record_.queries * record_.keys for record_ in recorded.attention.values())
    twin = eager(untouched) if cells <= _MOST_WEIGHTS else None
    theirs = {} if twin is None else _eager_weights(twin, own, inputs, recorded)
    terms, total = _terms(recorded), 0
    found: list[tuple[float, float]] = []
    for site, record_ in recorded.attention.items():
        total += terms[site]
        if site not in theirs:
            continue
        scores = torch.stack([record_.scores(head) for head in range(record_.heads)])
        mine = torch.stack([record_.weights(head) for head in range(record_.heads)])
        limit = allowed_weights(scores, total)
        error = max_difference(mine, theirs[site]) if mine.shape == theirs[site].shape else math.inf
        found.append((error, limit))
    return max(found, key=_share) if found else None, len(theirs)


def _eager_weights(twin: nn.Module, own: Any, inputs: Mapping[str, Tensor], recorded: Recorded) -> dict[Site, Tensor]:
    """site -> weights [h, q, k] as the library's eager run returns them; {} where its logits are not the model's own."""
    try:
        output = run(twin, inputs, output_attentions=True)
    except (TypeError, ValueError, AttributeError, RuntimeError, NotImplementedError):
        return {}  # it has no attentions to give
    terms = sum(_terms(recorded).values())
    wanted, got = (head_outputs.named(type(twin).__name__, each) for each in (own, output))
    for name, logits in wanted.items():
        apart = max_difference(logits, got[name])
        if logits.is_floating_point() and not apart <= allowed(logits.float(), terms, logits.dtype):
            return {}
    found: dict[Site, Tensor] = {}
    for stack, kind, layers in _attentions(output, recorded):
        sites = sorted(site for site in recorded.attention if (site.stack, site.kind) == (stack, kind))
        given = [layer for layer in layers if isinstance(layer, Tensor)]
        for site in sites:
            at = sites.index(site) if len(given) == len(sites) else site.layer
            weights = given[at] if at < len(given) else None
            if weights is not None and weights.dim() == 4:
                found[site] = host(weights[0]).float()
    return found


def _attentions(output: Any, recorded: Recorded) -> list[tuple[str, str, Any]]:
    """(stack, kind, one tensor a layer) of everything that an output has."""
    towers = [(stack, "self", getattr(output, f"{tower}_output", None)) for stack, tower in TOWERS.items()]
    found = [(stack, kind, getattr(tower, "attentions", None)) for stack, kind, tower in towers if tower is not None]
    found += [(stack, "self", getattr(output, f"{stack}_attentions", None)) for stack in ("encoder", "decoder")]
    found += [("decoder", "cross", getattr(output, "cross_attentions", None))]
    if len(recorded.stacks) == 1:
        found += [(*recorded.stacks, "self", getattr(output, "attentions", None))]
    return [(stack, kind, layers) for stack, kind, layers in found if layers]


def _terms(recorded: Recorded) -> dict[Site, int]:
    """How many numbers each sub-layer adds up on the way from its input to its output."""
    return {
        site: record_.d_k + record_.keys + record_.heads * record_.d_v for site, record_ in recorded.attention.items()
    }
