"""Sites of a foreign module's attention calls: stack, layer and kind, from their paths, their data and their masks."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import chain, count

import torch

from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.own_layers import own_layers
from model.instrumentation.sides import TokenLists
from model.instrumentation.stacks import block_of, layer_of, path_of, read_by, stacks_of
from model.trace.mask_and_bias import simplest_mask
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


def _kind(call: AttentionCall) -> str:
    own = path_of(call)[len(layer_of(call)) :].removeprefix(".")
    parent = call.path[-2][1] if len(call.path) > 1 else ""
    if own == "multihead_attn" and "DecoderLayer" in parent:
        return "cross"
    if re.search(r"(self|slf)_?", own, re.IGNORECASE) and _SELF.search(own):
        return "self"
    if _CROSS.search(own) and not (call.from_elsewhere is False and _stack_by_name(call) == "encoder"):
        return "cross"
    if call.from_elsewhere is False or (call.columns and call.from_elsewhere is None):
        return "self"
    queries, keys = call.descent
    # Keys that were shortened or normed by themselves are of another tensor than queries, which yet comes from the same.
    if queries and queries == keys:
        return "self"
    return "cross" if call.from_elsewhere or call.q.shape[1] != call.k.shape[1] else "self"


def _stack_by_name(call: AttentionCall) -> str | None:
    """What the names of the modules around the attention say, else what their classes do."""
    outer = layer_of(call) or (call.path[-2][0] if len(call.path) > 1 else "")
    names = [(segment, _DECODER, _ENCODER) for segment in outer.split(".")]
    classes = [(kind, _CLASS_DECODER, _CLASS_ENCODER) for _, kind in reversed(call.path)]
    for text, decoder, encoder in [*names, *classes]:
        is_decoder, is_encoder = bool(decoder.search(text)), bool(encoder.search(text))
        if is_decoder != is_encoder:
            return "decoder" if is_decoder else "encoder"
    return None


def _causal(call: AttentionCall) -> bool:
    """Whether each position reads itself and those before it; keys that are no positions are read by all."""
    n, m = call.q.shape[1], call.k.shape[1]
    if not call.columns or n < 2:
        return bool(call.mask.causal) and n > 1
    own = torch.cat([torch.full((size,), label is None) for label, size in call.columns])
    allowed = call.mask.allowed(n, m)[:, own]
    return allowed.shape[1] == n and bool(simplest_mask(allowed).causal)


def _bases(calls: Sequence[AttentionCall], kinds: Sequence[str]) -> list[str]:
    """Encoder or decoder. Cross-attention is the decoder's. Self-attention belongs where the names say, else to the decoder
    where it is causal or shares its layer with a cross-attention, else to the encoder. Where nothing is a decoder by name or
    by cross-attention, causal layers are one whatever they are called: many language models are an nn.TransformerEncoder.
    """
    named = [_stack_by_name(call) for call in calls]
    with_cross = {block_of(call) for call, kind in zip(calls, kinds, strict=True) if kind == "cross"} - {""}
    has_decoder = "cross" in kinds or "decoder" in named
    # One query alone (a step of a loop with a cache) has no mask: its module has one where it reads several.
    causal_paths = {path_of(call) for call in calls if _causal(call)}
    found = []
    for call, kind, name in zip(calls, kinds, named, strict=True):
        causal = path_of(call) in causal_paths
        by_data = "decoder" if causal or block_of(call) in with_cross else "encoder"
        found.append("decoder" if kind == "cross" or (causal and not has_decoder) else name or by_data)
    return found


def sites(calls: Sequence[AttentionCall]) -> dict[Site, AttentionCall]:
    """A site for each call, with its stack, the model's own number of its layer, and the sides that name its rows and columns.

    Of several attentions of one kind in a layer the first is the stack's; each other stands under the name of its module
    ("decoder_image_cross.0.cross"), over the same rows.
    """
    kinds = [_kind(call) for call in calls]
    stacks = stacks_of(calls, kinds, _bases(calls, kinds))
    layers = own_layers(calls, [(stack.name, kind) for stack, kind in zip(stacks, kinds, strict=True)])
    lists = TokenLists()
    found: dict[Site, AttentionCall] = {}
    for call, kind, stack, (layer, beside) in zip(calls, kinds, stacks, layers, strict=True):
        site = Site(stack.name, layer, kind)
        keys = None
        if kind == "cross":
            read = read_by(call, stack, stacks)
            taken = any(each.name == "encoder" for each in stacks)  # by a stack of its own, that these keys are not of
            keys = read.name if read is not None else "input" if taken else "encoder"
        sides, call.beside = lists.sides(site, call, keys, beside), bool(beside)
        found[replace(_named_beside(site, beside, found), sides=sides)] = call
    return found


def _named_beside(site: Site, beside: str, taken: Container[Site]) -> Site:
    """The site under a name of its own, before the step of a loop; numbered where another has that name already."""
    whole, step, number = site.stack.partition("_step_")
    name = f"{whole}_{beside}" if beside else whole
    free = chain([name], (f"{name}_{again}" for again in count(2)))
    return next(each for name in free if (each := replace(site, stack=f"{name}{step}{number}")) not in taken)
