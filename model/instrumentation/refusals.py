"""What of a foreign module cannot be recorded as it is, each in its own sentence: never a picture with wrong names."""

from __future__ import annotations

from collections.abc import Mapping

from model.errors import (
    AttentionLost,
    DecodingLoop,
    DropoutOn,
    ExtraKeys,
    NoAttention,
    SeveralLengths,
    WeightsChanged,
)
from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.tracker import ScoreTracker
from model.trace.site import Site


def check_followed(tracker: ScoreTracker, name: str) -> None:
    """Raises WeightsChanged, DropoutOn, AttentionLost or NoAttention: attention that was met and is not in the record."""
    for call, path, operator in tracker.changed:
        if call.context is not None:  # it met its values unchanged too
            continue
        if path in tracker.random:
            raise DropoutOn(module=path or name)
        raise WeightsChanged(module=path or name, operator=operator) if operator else AttentionLost(module=path or name)
    if not tracker.calls:
        raise NoAttention(module=name)


def check_lengths(found: Mapping[Site, AttentionCall]) -> None:
    """Raises ExtraKeys, DecodingLoop or SeveralLengths where one list of tokens could not name every row and column."""
    paths: dict[str, list[AttentionCall]] = {}
    first: dict[str, tuple[int, str]] = {}
    for call in found.values():
        paths.setdefault(call.path[-1][0] if call.path else "", []).append(call)
    for path, calls in paths.items():
        if len({(call.q.shape[1], call.k.shape[1]) for call in calls}) > 1:
            raise DecodingLoop(module=path or "the module", got=len(calls))
    for site, call in found.items():
        path = call.path[-1][0] if call.path else str(site)
        queries, keys = call.q.shape[1], call.k.shape[1]
        if queries < keys and call.from_elsewhere is False:
            raise ExtraKeys(module=path, got=queries, allowed=keys)
        for side, length in ((site.query_side, queries), (site.key_side, keys)):
            known, other = first.setdefault(side, (length, path))
            if known != length:
                raise SeveralLengths(module=path, got=length, other=other, allowed=known)
