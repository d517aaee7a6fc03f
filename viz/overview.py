"""The first screen's picture: the sentence, the answer, and the whole model with what each part computed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from model.sites import Site
from viz import tokens
from viz.matrix import head_weights, states
from viz.payload import pack

if TYPE_CHECKING:
    from model.trace import Trace

_UNITS = 96
# From here on the thumbnails show the strongest cell of each block; overview_model.js has the same number.
THUMB_BLOCKS = 48


def aligned_head(card: dict[str, Any], language: str | None) -> dict[str, Any]:
    """What the card measured as the best-aligning head of a language: site, head, agreement; {} where it did not.

    The row that writes a word is the one whose ribbons are drawn, so the agreement of "predicting" rows decides.
    """
    return card.get("alignment", {}).get(language or "", {}).get("predicting", {})


def best_cross_head(trace: Trace, card: dict[str, Any], language: str | None) -> tuple[Site, int] | None:
    """The cross-attention head that the card found to align best, else the one with the sharpest rows here."""
    crosses = [site for site in trace.sites if site.kind == "cross"]
    if not crosses:
        return None
    told = aligned_head(card, language)
    if told.get("site") in {str(site) for site in crosses}:
        return Site.parse(told["site"]), int(told["head"])
    sharpness = {
        (site, head): float(trace.weights(site, head).max(dim=-1).values.mean())
        for site in crosses
        for head in range(trace.record(site).heads)
    }
    return max(sharpness, key=sharpness.__getitem__)


def hero_rows(trace: Trace) -> int:
    """How many decoder rows wrote a word that is shown: the end token's row is left out."""
    return sum(1 for item in tokens.written_labels(trace) if item["kind"] != "special")


def _attention_part(trace: Trace, site: Site, words: dict[str, str], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    record = trace.record(site)
    heads = []
    for head in range(record.heads):
        values, allowed = head_weights(record, head)
        name = f"{site}.{head}"
        arrays[name] = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
        arrays[f"{name}.state"] = states(values, allowed)
        title = words["head"].format(head=head)
        heads.append({"array": name, "state": f"{name}.state", "head": head, "title": title})
    causal = record.mask.causal and site.kind == "self"
    return {
        "kind": "attention",
        "site": str(site),
        "title": words["masked_self" if causal else site.kind],
        "heads": heads,
    }


def _norm_part(trace: Trace, name: str, target: str, title: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    arrays[f"{name}.length"] = trace.activation(name).norm(dim=-1).numpy()
    return {"kind": "norm", "title": title, "values": f"{name}.length", "target": target}


def _ffn_part(trace: Trace, name: str, target: str, title: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Hidden units after ReLU; neighbouring units are max-pooled to at most `_UNITS` so that a firing one survives."""
    hidden = trace.activation(f"{name}.post").numpy()
    size = -(-hidden.shape[1] // _UNITS)
    padded = np.pad(hidden, ((0, 0), (0, -hidden.shape[1] % size)))
    arrays[f"{name}.units"] = padded.reshape(hidden.shape[0], -1, size).max(-1)
    return {"kind": "ffn", "title": title, "values": f"{name}.units", "target": target, "pooled": size}


def stacks(trace: Trace, words: dict[str, str], arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Encoder and decoder, layer by layer, with the names of the arrays that hold each thumbnail."""
    found = []
    for stack in dict.fromkeys(site.stack for site in trace.sites):
        layers: dict[int, list[dict[str, Any]]] = {}
        for site in (s for s in trace.sites if s.stack == stack):
            parts = layers.setdefault(site.layer, [])
            parts.append(_attention_part(trace, site, words, arrays))
            parts.append(_norm_part(trace, f"{site}.residual", str(site), words["add_norm"], arrays))
        for layer, parts in layers.items():
            ffn = f"{stack}.{layer}.ffn"
            parts.append(_ffn_part(trace, ffn, f"{stack}.{layer}.self", words["ffn"], arrays))
            parts.append(_norm_part(trace, f"{ffn}.residual", f"{stack}.{layer}.self", words["add_norm"], arrays))
        titled = [{"title": words["layer"].format(layer=i), "parts": parts} for i, parts in sorted(layers.items())]
        found.append({"name": stack, "title": words[stack], "layers": titled})
    return found


def _step_shown(trace: Trace, selection: dict[str, Any] | None) -> int:
    """The decoder position whose next word is shown: the selected query, where it is one, else the last word written."""
    if selection is not None and str(selection["site"]).startswith("decoder"):
        return int(selection["row"])
    return max(0, hero_rows(trace) - 1)


def overview_frame(
    trace: Trace,
    hero: tuple[Site, int] | None,
    selection: dict[str, Any] | None,
    words: dict[str, str],
    hero_title: str = "",
    doors: list[dict[str, str]] | None = None,
) -> bytes:
    """The frame of the overview component; see viz/ui/components/overview.js for how it is drawn."""
    arrays: dict[str, np.ndarray] = {}
    header: dict[str, Any] = {
        "source": tokens.labels(trace, "encoder"),
        "target": [],
        "shifted": tokens.labels(trace, "decoder") if "decoder" in trace.sides else [],
        "source_text": trace.key.source,
        "editable": True,
        "stacks": stacks(trace, words, arrays),
        "selection": selection,
        "words": words,
        "doors": doors or [],
        "direction": "ltr",
    }
    if hero is not None:
        rows = hero_rows(trace)
        header["target"] = tokens.written_labels(trace)[:rows]
        header["hero"] = {"site": str(hero[0]), "head": hero[1], "title": hero_title}
        arrays["hero"] = trace.weights(*hero).numpy()[:rows]
    if trace.logits is not None:
        step = _step_shown(trace, selection)
        header["next"] = {
            "title": words["next"],
            "after": tokens.readable(trace.tokens("decoder")[step]),
            "bars": [
                tokens.label(token, tokens.looks_special(token)) | {"probability": p}
                for token, _, p in trace.next_tokens(step)
            ],
        }
    return pack(header, **arrays)
