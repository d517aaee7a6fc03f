"""Sites of a foreign module's attention calls: stack, layer and kind, from its path, its data and its mask."""

from __future__ import annotations

import re

from model.instrumentation.operators.attention_call import AttentionCall
from model.trace.site import Site

_CROSS = re.compile(
    r"enc(oder)?_?att|enc_?dec|dec_?enc|cross|src_?att|source_?att|mem(ory)?_?att|inter_?att|context_?att|ctx_?att",
    re.IGNORECASE,
)
_SELF = re.compile(
    r"(self|slf)_?mha|(self|slf)_?(multi_?head_?)?att|^att(n|ention)?[12]?$|selfattention", re.IGNORECASE
)
_DECODER = re.compile(r"(^|_)(dec|decs|tgt|target)(_|$)|decod", re.IGNORECASE)
_ENCODER = re.compile(r"(^|_)(enc|encs|src|source)(_|$)|encod", re.IGNORECASE)
_CLASS_DECODER, _CLASS_ENCODER = re.compile(r"Decod"), re.compile(r"Encod")


def layer_of(call: AttentionCall) -> str:
    """The dotted path up to the last number in it ("decoder.layers.0"), "" where it has none."""
    return _halves(call)[0]


def _halves(call: AttentionCall) -> tuple[str, str]:
    """The path of the innermost module as (up to its last number, the rest)."""
    segments = call.path[-1][0].split(".") if call.path else [""]
    last = max((i for i, segment in enumerate(segments) if segment.isdigit()), default=-1)
    return ".".join(segments[: last + 1]), ".".join(segments[last + 1 :])


def _kind(call: AttentionCall) -> str:
    own = _halves(call)[1]
    parent = call.path[-2][1] if len(call.path) > 1 else ""
    if own == "multihead_attn" and "DecoderLayer" in parent:
        return "cross"
    if re.search(r"(self|slf)_?", own, re.IGNORECASE) and _SELF.search(own):
        return "self"
    if _CROSS.search(own) and not (call.from_elsewhere is False and _stack_by_name(call) == "encoder"):
        return "cross"
    if call.q.shape[1] != call.k.shape[1]:
        return "cross"
    return "cross" if call.from_elsewhere else "self"


def _stack_by_name(call: AttentionCall) -> str | None:
    """What the names of the modules around the attention say, else what their classes do."""
    outer = _halves(call)[0] or (call.path[-2][0] if len(call.path) > 1 else "")
    names = [(segment, _DECODER, _ENCODER) for segment in outer.split(".")]
    classes = [(kind, _CLASS_DECODER, _CLASS_ENCODER) for _, kind in reversed(call.path)]
    for text, decoder, encoder in [*names, *classes]:
        is_decoder, is_encoder = bool(decoder.search(text)), bool(encoder.search(text))
        if is_decoder != is_encoder:
            return "decoder" if is_decoder else "encoder"
    return None


def _causal(call: AttentionCall) -> bool:
    return bool(call.mask.causal) and call.q.shape[1] > 1


def sites(calls: list[AttentionCall]) -> dict[Site, AttentionCall]:
    """A site for each call, layers counted in the order of the calls.

    Cross-attention is the decoder's. Self-attention belongs where the names say, else to the decoder where it is causal
    or shares its layer with a cross-attention, else to the encoder. Where nothing is a decoder by name or by
    cross-attention, causal layers are one whatever they are called: many language models are an nn.TransformerEncoder.
    """
    kinds = [_kind(call) for call in calls]
    named = [_stack_by_name(call) for call in calls]
    with_cross = {layer_of(call) for call, kind in zip(calls, kinds, strict=True) if kind == "cross"} - {""}
    has_decoder = "cross" in kinds or "decoder" in named
    counts: dict[tuple[str, str], int] = {}
    found: dict[Site, AttentionCall] = {}
    for call, kind, name in zip(calls, kinds, named, strict=True):
        causal = _causal(call)
        by_data = "decoder" if causal or layer_of(call) in with_cross else "encoder"
        stack = "decoder" if kind == "cross" or (causal and not has_decoder) else name or by_data
        layer = counts.get((stack, kind), 0)
        counts[stack, kind] = layer + 1
        found[Site(stack, layer, kind)] = call
    return found
