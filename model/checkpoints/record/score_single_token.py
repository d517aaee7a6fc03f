"""One token alone: there some models mix their values by a multiplication where more tokens make it a matrix product."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from model.checkpoints.record import score_ops
from model.checkpoints.record.score_notes import Attended, Weights


class SingleChain(score_ops.Chain):
    """A `Chain` that also follows weights [h, 1, 1] · v [h, 1, d_v] multiplied cell by cell, as einsum does it."""

    def see(self, func: Any, args: tuple, kwargs: dict, result: Any) -> None:
        note = self.note(args[0]) if func.name() == "aten::mul.Tensor" else None
        if isinstance(note, Weights) and _single(note.call, args[0], args[1]):
            h = note.call.scores.shape[0]
            found = score_ops._mixed(self, note, *(t.reshape(h, 1, -1) for t in (args[0], args[1], result)))
            if found is not None:
                self.notes[result] = found
            return
        super().see(func, args, kwargs, result)


def _single(call: Attended | None, weights: Tensor, v: object) -> bool:
    """Whether this is one weight a head, and v has the heads on the same axis and d_v on a later one."""
    if call is None or call.scores.shape[1:] != (1, 1) or not isinstance(v, Tensor) or v.dim() != weights.dim():
        return False
    h = call.scores.shape[0]
    at = [axis for axis, size in enumerate(weights.shape) if size > 1]
    rest = [axis for axis, size in enumerate(v.shape) if size > 1 and axis not in at]
    return all(v.shape[axis] == h for axis in at) and len(rest) <= 1 and (not at or not rest or at[0] < rest[0])
