"""The model's own number of the layer of each attention, and a name for each further one of its kind in the same layer."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.stacks import layer_of, path_of
from model.trace.site import layer_numbers

Group = tuple[str, str]  # (stack, kind)


def own_layers(calls: Sequence[AttentionCall], groups: Sequence[Group]) -> list[tuple[int, str]]:
    """(number of the layer, name beside others of its group in that layer, "" for the first) of each call.

    The number is the one in the module's path that tells the layers of a group apart; 0, 1, … where no single one does, or
    where the same weights serve several layers. What has no number in a stack of numbered layers (a fusion behind its
    encoders) comes after them.
    """
    layers, depths = _layers(calls, groups), _depths(calls)
    members: dict[Group, dict[Hashable, list[int]]] = {}
    for at, (group, (block, run)) in enumerate(zip(groups, layers, strict=True)):
        members.setdefault(group, {}).setdefault((block, run) if block else (calls[at].place, depths[at]), []).append(
            at
        )
    paths = {
        group: [layers[inside[0]][0] or path_of(calls[inside[0]]) for inside in own.values()]
        for group, own in members.items()
    }
    numbers = {group: layer_numbers(own) for group, own in paths.items()}
    numbered = {group: [any(map(str.isdigit, path.split("."))) for path in own] for group, own in paths.items()}
    last: dict[str, int] = {}
    for group, found in numbers.items():
        if all(numbered[group]):
            last[group[0]] = max(last.get(group[0], 0), *found)
    told: dict[int, tuple[int, str]] = {}
    for group, own in members.items():
        first = 0 if any(numbered[group]) else last.get(group[0], -1) + 1
        names = _names(calls, layers, list(own.values()))
        for number, inside in zip(numbers[group], own.values(), strict=True):
            told |= {at: (first + number, names[at]) for at in inside}
    return [told[at] for at in range(len(calls))]


def _layers(calls: Sequence[AttentionCall], groups: Sequence[Group]) -> list[tuple[str, int]]:
    """(path of the layer that a call is in, "" where none is numbered; which run of that layer)."""
    own = {(stack, layer_of(call)) for call, (stack, kind) in zip(calls, groups, strict=True) if kind == "self"}
    seen: dict[tuple[Group, str], int] = {}
    found = []
    for call, group in zip(calls, groups, strict=True):
        path, block = path_of(call), layer_of(call)
        if (
            group[1] == "cross"
        ):  # several in a list of their own are in the layer whose self-attention is beside the list
            around = [outer for stack, outer in own if outer and stack == group[0] and block.startswith(f"{outer}.")]
            block = max(around, key=len, default=block)
        seen[group, path] = seen.get((group, path), 0) + 1
        # A layer that is a bare container never runs itself: an attention that comes again tells that it does.
        found.append((block, call.entries[block] if block in call.entries else seen[group, path]))
    return found


def _depths(calls: Sequence[AttentionCall]) -> list[int]:
    """How many attentions each reads one after the other: two of one depth in one module without numbers are no two layers."""
    depth: dict[int, int] = {}
    found = []
    for call in calls:
        read = (depth.get(number, -1) for kind, number in call.descent[0] | call.descent[1] if kind == "attention")
        found.append(1 + max(read, default=-1))
        depth |= dict.fromkeys((each.number for each in (call.heads or [call])), found[-1])
    return found


def _names(
    calls: Sequence[AttentionCall], layers: Sequence[tuple[str, int]], members: Sequence[Sequence[int]]
) -> dict[int, str]:
    """Names of a group's calls: that of the module within its layer, "" for one a layer, the same in all that have it."""
    labels: dict[int, str] = {}
    for inside in members:
        counted: dict[str, int] = {}
        for at in inside:
            name = re.sub(r"[^a-z0-9]+", "_", path_of(calls[at])[len(layers[at][0]) :].lower()).strip("_")
            counted[name] = counted.get(name, 0) + 1
            labels[at] = "_".join([*filter(None, [name]), *([str(counted[name])] if counted[name] > 1 else [])])
    usual = next((labels[inside[0]] for inside in members if len(inside) > 1), "")
    names = {}
    for inside in members:
        main = next((at for at in inside if labels[at] == usual), inside[0])
        names |= {at: "" if at == main else labels[at] for at in inside}
    return names
