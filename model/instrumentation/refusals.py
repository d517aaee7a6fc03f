"""What of a foreign module cannot be recorded as it is, each in its own sentence: never a picture with wrong names."""

from __future__ import annotations

from model.errors import AttentionLost, DropoutOn, NoAttention, SharedOut, WeightsChanged
from model.instrumentation.operators.tracker import ScoreTracker


def check_followed(tracker: ScoreTracker, name: str) -> None:
    """Raises SharedOut, WeightsChanged, DropoutOn, AttentionLost or NoAttention: attention that was met but not recorded."""
    if shared := [path for call, path in tracker.over_queries if call.context is None]:
        raise SharedOut(module=shared[0] or name)
    for call, path, operator in tracker.changed:
        if call.context is not None:  # it met its values unchanged too
            continue
        if path in tracker.random:
            raise DropoutOn(module=path or name)
        raise WeightsChanged(module=path or name, operator=operator) if operator else AttentionLost(module=path or name)
    if not tracker.calls:
        raise AttentionLost(module=tracker.lost_scores[0] or name) if tracker.lost_scores else NoAttention(module=name)
