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
    """Attentions of one run over one sequence: `paths` of their modules, `prefixes` of those without the layer's number."""

    base: str
    run: int
    prefixes: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
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


def stacks_of(calls: Sequence[AttentionCall], kinds: Sequence[str], bases: Sequence[str]) -> list[Stack]:
    """The stack of each call, whose `name` is "encoder" or "decoder" (its base) wherever there is one of that base."""
    runs, found = _runs(calls), [None] * len(calls)
    stacks: list[Stack] = []
    for own in (True, False):  # cross-attention goes where the self-attention around it is
        for at, (call, kind, base, run) in enumerate(zip(calls, kinds, bases, runs, strict=True)):
            if own == (kind == "self"):
                found[at] = _stack(stacks, call, base, run, own)
    _name(stacks)
    return found


def read_by(cross: AttentionCall, own: Stack, stacks: Sequence[Stack]) -> Stack | None:
    """The stack that the keys of a cross-attention come from; None where they were an input."""
    paths = _paths(cross.descent[1])
    before = [each for each in dict.fromkeys(stacks) if each is not own and paths & set(each.paths)]
    return max(before, key=lambda each: each.run, default=None)


def _runs(calls: Sequence[AttentionCall]) -> list[int]:
    """The number of the run that each call belongs to: a new one begins where a module runs again and reads nothing of itself."""
    run, seen, found = 0, {}, []
    for call in calls:
        path = path_of(call)
        entry = call.entries.get(path, 0)
        if seen.get(path, entry) != entry and not any(_within(other, path) for other in _paths(call.descent[0])):
            run, seen = run + 1, {}
        seen[path] = entry
        found.append(run)
    return found


def _within(path: str, whole: str) -> bool:
    return not whole or path == whole or path.startswith(f"{whole}.")


def _stack(stacks: list[Stack], call: AttentionCall, base: str, run: int, self_attention: bool) -> Stack:
    """The stack that a call goes on with, or a new one, put to the others."""
    path = path_of(call)
    prefix = layer_of(call).rpartition(".")[0] if layer_of(call) else path
    inputs = {origin for origin in call.descent[0] if origin[0] == "input"}
    there = [stack for stack in stacks if stack.run == run and (stack.base == base or not self_attention)]
    same = [stack for stack in there if prefix in stack.prefixes]
    after = [stack for stack in there if _paths(call.descent[0]) & set(stack.paths)]
    beside = [stack for stack in there if stack.inputs & inputs or not (stack.inputs or inputs)]
    # What descends from two stacks joins them, and is a third.
    chosen = same[:1] or (after if len(after) == 1 else [] if after else beside[:1])
    if not chosen or (not self_attention and chosen[0].base != base and not _several(there, chosen[0].base)):
        chosen = [stack for stack in there if stack.base == base and not self_attention][:1] or [Stack(base, run)]
    stack = chosen[0]
    if stack not in stacks:
        stacks.append(stack)
    if prefix not in stack.prefixes:
        stack.prefixes.append(prefix)
    stack.paths.append(path)
    stack.paths += [path_of(head) for head in call.heads]
    stack.inputs |= inputs
    return stack


def _several(stacks: Sequence[Stack], base: str) -> bool:
    return sum(stack.base == base for stack in stacks) > 1


def _paths(origins: frozenset[Origin]) -> set[str]:
    return {path for kind, path in origins if kind == "call"}


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
