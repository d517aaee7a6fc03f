"""The model of the first screen: its stacks, layer by layer, each part with the arrays that its small picture is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from viz.base import tokens
from viz.heads import thumbnails

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace

_UNITS = 96
_NAMED = 64  # keys of a magnified thumbnail that have room for a name
Arrays = dict[str, np.ndarray]


def _attention_part(trace: Trace, site: Site, words: dict[str, str], arrays: Arrays, how: str) -> dict[str, Any]:
    record = trace.record(site)
    heads = []
    for head, (weights, state) in enumerate(thumbnails.heads(record, how)):
        name = f"{site}.{head}"
        arrays[name], arrays[f"{name}.state"] = weights, state
        title = words["head"].format(head=head)
        heads.append({"array": name, "state": f"{name}.state", "head": head, "title": title})
    causal = record.mask.causal and site.kind == "self"
    # Of two of a kind in a layer the second is told by its module's name.
    beside = f" · {site.stack[len(site.home) + 1 :].replace('_', ' ')}" if site.stack != site.home else ""
    own: dict[str, Any] = {}
    if site.sides is not None or site.stack not in ("encoder", "decoder"):
        sides = (site.query_side, site.key_side)
        own = {
            "sides": sides,
            "tokens": [tokens.labels(trace, side) if record.keys <= _NAMED else [] for side in sides],
        }
    return own | {
        "kind": "attention",
        "site": str(site),
        "title": words["masked_self" if causal else site.kind] + beside,
        "heads": heads,
        "rows": record.queries,
        "columns": record.keys,
    }


def _norm_part(trace: Trace, name: str, target: str, title: str, arrays: Arrays) -> dict[str, Any]:
    arrays[f"{name}.length"] = trace.activation(name).float().norm(dim=-1).numpy()
    return {"kind": "norm", "title": title, "values": f"{name}.length", "target": target}


def _ffn_part(trace: Trace, name: str, target: str, title: str, arrays: Arrays) -> dict[str, Any]:
    """Hidden units after ReLU; neighbouring units are max-pooled to at most `_UNITS` so that a firing one survives."""
    hidden = trace.activation(f"{name}.post").numpy()
    size = -(-hidden.shape[1] // _UNITS)
    padded = np.pad(hidden, ((0, 0), (0, -hidden.shape[1] % size)))
    arrays[f"{name}.units"] = padded.reshape(hidden.shape[0], -1, size).max(-1)
    return {"kind": "ffn", "title": title, "values": f"{name}.units", "target": target, "pooled": size}


def _after_attention(
    trace: Trace, stack: str, layer: int, words: dict[str, str], arrays: Arrays
) -> list[dict[str, Any]]:
    """The feed-forward part where its hidden units were recorded; of a library's model the stream after the layer."""
    ffn, stream, target = f"{stack}.{layer}.ffn", f"{stack}.{layer + 1}.stream", f"{stack}.{layer}.self"
    found = []
    if f"{ffn}.post" in trace.store:
        found.append(_ffn_part(trace, ffn, target, words["ffn"], arrays))
        found.append(_norm_part(trace, f"{ffn}.residual", target, words["add_norm"], arrays))
    elif stream in trace.store:
        found.append(_norm_part(trace, stream, target, words["stream"], arrays) | {"stream": True})
    return found


def stacks(
    trace: Trace, words: dict[str, str], arrays: Arrays, how: str, chips: Mapping[str, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Encoder and decoder, layer by layer, with the names of the arrays that hold each thumbnail.

    chips: those of each list of tokens; a stack beside encoder and decoder comes with its own.
    """
    found = []
    for stack in dict.fromkeys(site.home for site in trace.sites):
        layers: dict[int, list[dict[str, Any]]] = {}
        for site in (s for s in trace.sites if s.home == stack):
            parts = layers.setdefault(site.layer, [])
            parts.append(_attention_part(trace, site, words, arrays, how))
            if f"{site}.residual" in trace.store:
                parts.append(_norm_part(trace, f"{site}.residual", str(site), words["add_norm"], arrays))
        for layer, parts in layers.items():
            parts.extend(_after_attention(trace, stack, layer, words, arrays))
        titled = [{"title": words["layer"].format(layer=i), "parts": parts} for i, parts in sorted(layers.items())]
        found.append({"name": stack, "title": words.get(stack, stack.replace("_", " ")), "layers": titled})
        if stack not in ("encoder", "decoder"):
            found[-1]["tokens"] = chips[stack]
    return found
