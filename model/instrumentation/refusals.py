"""What of a foreign module cannot be recorded as it is, each in its own sentence: never a picture with wrong names."""

from __future__ import annotations

from collections.abc import Callable

from model.errors import (
    AttentionLost,
    DropoutOn,
    HeadlightError,
    MixedByCell,
    NoAttention,
    NoSoftmax,
    OtherScores,
    RecorderFailed,
    SharedOut,
    WeightsChanged,
)
from model.errors.library_text import library_text
from model.instrumentation.module_reader import BatchSeen
from model.instrumentation.operators.other_forms import OtherForms
from model.instrumentation.operators.recorder import Operation, OperatorRecorder
from model.instrumentation.operators.tracker import ScoreTracker


def check_followed(tracker: ScoreTracker, forms: OtherForms, name: str) -> None:
    """Raises SharedOut, WeightsChanged, DropoutOn or AttentionLost for attention that was met but not recorded; where nothing
    was recorded, what was met instead: MixedByCell, NoSoftmax, OtherScores, else NoAttention.
    """
    if shared := [path for call, path in tracker.over_queries if call.context is None]:
        raise SharedOut(module=shared[0] or name)
    for call, path, operator in tracker.changes.changed:
        if call.context is not None:  # it met its values unchanged too
            continue
        if path in tracker.changes.random:
            raise DropoutOn(module=path or name)
        raise WeightsChanged(module=path or name, operator=operator) if operator else AttentionLost(module=path or name)
    if tracker.calls:
        return
    kinds = ((AttentionLost, tracker.lost_scores), (MixedByCell, _by_cell(tracker)), (NoSoftmax, forms.paths),
             (OtherScores, forms.of_other_scores))  # fmt: skip
    for kind, paths in kinds:
        if paths:
            raise kind(module=paths[0] or name)
    raise NoAttention(module=name)


def _by_cell(tracker: ScoreTracker) -> list[str]:
    return [path for call, path in tracker.changes.by_cell if call.context is None]


def missing(tracker: ScoreTracker, forms: OtherForms) -> list[str]:
    """Paths of the modules whose attention was met beside what was recorded, and is not in the record."""
    return [*tracker.lost_scores, *_by_cell(tracker), *forms.paths, *forms.of_other_scores]


def guarded(follow: Callable[[Operation], None], recorder: OperatorRecorder, name: str) -> Callable[[Operation], None]:
    """A follower whose own faults are told as such: a module that runs alone runs on whatever is recorded of it."""

    def followed(operation: Operation) -> None:
        try:
            follow(operation)
        except (HeadlightError, BatchSeen):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {library_text(error)}"
            raise RecorderFailed(operator=operation.name, module=recorder.innermost or name, reason=reason) from error

    return followed
