"""Which stack each attention of a foreign module belongs to, where there are more than an encoder and a decoder.

Two encoders that read inputs of their own are two stacks, called as their modules are. A module that runs again from the
start (a loop that writes, one encoder for two texts) is one stack a step. Both are told by descent, not by names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from model.instrumentation.operators.attention_call import AttentionCall, Origin


@dataclass(eq=False)
class Stack:
    """Attentions of one run over one sequence: their `places`, `prefixes` of their modules' paths without the layer's number,
    and `queries`, how many the first of them had."""

    base: str
    run: int
    prefixes: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    queries: int = 0
    inputs: set[Origin] = field(default_factory=set)
    name: str = ""


def path_of(call: AttentionCall) -> str:
    """The dotted path of the innermost module that the whole call ran in."""
    return call.path[-1][0] if call.path else ""


def layer_of(call: AttentionCall) -> str:
    """The dotted path up to the last number in it ("decoder.layers.0"), "" where it has none."""
    segments = path_of(call).split(".")
    last = max((at for at, segment in enumerate(segments) if segment.isdigit()), default=-1)
    return ".".join(segments[: last + 1])


def block_of(call: AttentionCall) -> str:
    """The dotted path of the layer that a call is part of: up to its last number, else of the module around its own."""
    return layer_of(call) or path_of(call).rpartition(".")[0]


def stacks_of(calls: Sequence[AttentionCall], kinds: Sequence[str], bases: Sequence[str]) -> list[Stack]:
    """The stack of each call, whose `name` is "encoder" or "decoder" (its base) wherever there is one of that base."""
    runs, found = _runs(calls), [None] * len(calls)
    order = {call.place: at for at, call in enumerate(calls)}
    stacks: list[Stack] = []
    for own in (True, False):  # cross-attention goes where the self-attention around it is
        for at, (call, kind, base, run) in enumerate(zip(calls, kinds, bases, runs, strict=True)):
            if own == (kind == "self"):
                found[at] = _stack(stacks, call, base, run, None if own else {p: i for p, i in order.items() if i < at})
    _name(stacks)
    return found


def read_by(cross: AttentionCall, own: Stack, stacks: Sequence[Stack]) -> Stack | None:
    """The stack that the keys of a cross-attention come from; None where they were an input."""
    places = _places(cross.descent[1])
    before = [each for each in dict.fromkeys(stacks) if each is not own and places & set(each.places)]
    # Keys of a tower that has read another itself come of both: they are as many as its own queries.
    fitting = [each for each in before if each.queries == cross.k.shape[1]] or before
    return max(fitting, key=lambda each: each.run, default=None)


def _runs(calls: Sequence[AttentionCall]) -> list[int]:
    """The number of the run that each call belongs to: a new one begins where a module runs again and reads nothing of itself."""
    run, seen, found = 0, {}, []
    for call in calls:
        path = path_of(call)
        entry = call.entries.get(path, 0)
        if seen.get(path, entry) != entry and not any(
            _within(other.partition("@")[0], path) for other in _places(call.descent[0])
        ):
            run, seen = run + 1, {}
        seen[path] = entry
        found.append(run)
    return found


def _within(path: str, whole: str) -> bool:
    return not whole or path == whole or path.startswith(f"{whole}.")


def _stack(stacks: list[Stack], call: AttentionCall, base: str, run: int, before: dict[str, int] | None) -> Stack:
    """The stack that a call goes on with, or a new one, put to the others. before: of cross-attention, what ran before it."""
    self_attention = before is None
    path = path_of(call)
    prefix = layer_of(call).rpartition(".")[0] if layer_of(call) else path
    inputs = {origin for origin in call.descent[0] if origin[0] == "input"}
    there = [stack for stack in stacks if stack.run == run and (stack.base == base or not self_attention)]
    same = [stack for stack in there if prefix in stack.prefixes]
    after = [stack for stack in there if _places(call.descent[0]) & set(stack.places)]
    if len(after) > 1 and not self_attention:  # towers that read each other: its own is the one whose last word it has
        after = [stack for stack in after if _last(stack, before) in _places(call.descent[0])]
    beside = [stack for stack in there if stack.inputs & inputs or not (stack.inputs or inputs)]
    # What descends from two stacks joins them, and is a third.
    chosen = after if len(after) == 1 else [] if after else beside[:1]
    chosen = (same[:1] or chosen) if self_attention or len(after) != 1 else chosen
    if not chosen or (not self_attention and chosen[0].base != base and not _several(there, chosen[0].base)):
        chosen = [stack for stack in there if stack.base == base and not self_attention][:1] or [Stack(base, run)]
    stack = chosen[0]
    if stack not in stacks:
        stacks.append(stack)
    if prefix not in stack.prefixes:
        stack.prefixes.append(prefix)
    stack.places += [call.place, *(head.place for head in call.heads)]
    stack.queries = stack.queries or call.q.shape[1]
    stack.inputs |= inputs
    return stack


def _last(stack: Stack, before: dict[str, int]) -> str:
    """The last attention of a stack that ran before."""
    return max((place for place in stack.places if place in before), key=before.__getitem__, default="")


def _several(stacks: Sequence[Stack], base: str) -> bool:
    return sum(stack.base == base for stack in stacks) > 1


def _places(origins: frozenset[Origin]) -> set[str]:
    return {place for kind, place in origins if kind == "call"}


def _name(stacks: list[Stack]) -> None:
    for base in {stack.base for stack in stacks}:
        of_base = [stack for stack in stacks if stack.base == base]
        for run in {stack.run for stack in of_base}:
            beside = [stack for stack in of_base if stack.run == run]
            names = _told_apart([stack.prefixes[0] for stack in beside], base) if len(beside) > 1 else [base]
            for stack, name in zip(beside, names, strict=True):
                stack.name = name
        for name in {stack.name for stack in of_base}:
            steps = [stack for stack in of_base if stack.name == name]
            for number, stack in enumerate(steps, 1):
                stack.name = f"{name}_step_{number}" if len(steps) > 1 else name


def _told_apart(prefixes: Sequence[str], base: str) -> list[str]:
    """Names of modules without what all of them begin and end with: "text_encoder" and "image_encoder"."""
    parts = [prefix.split(".") for prefix in prefixes]
    while min(map(len, parts)) > 1 and len({part[-1] for part in parts}) == 1:
        parts = [part[:-1] for part in parts]
    while min(map(len, parts)) > 1 and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    names = [re.sub(r"[^a-z0-9_]", "_", "_".join(part).lower()) for part in parts]
    names = [name if re.match("[a-z]", name) else f"{base}_{name}" for name in names]
    return names if len(set(names)) == len(names) else [f"{base}_{number}" for number in range(1, len(names) + 1)]
