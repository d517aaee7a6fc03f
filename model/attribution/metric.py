"""The number that is explained: the logit of a token, or better by how much it is ahead of another one, at one position.

Never a probability: where a model is certain its gradient is gone, while the difference of two logits still tells.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from model.errors import NotInThisModel, OutOfRange, UnknownOption
from model.trace import logits
from model.trace.trace import Trace


@dataclass(frozen=True)
class Metric:
    """logit[position, token] − logit[position, against], or the first alone. name: the output that it is of, "logits" or
    "class_logits" [V], which has no positions. texts: of the two tokens."""

    name: str
    position: int
    token: int
    against: int | None
    texts: tuple[str, str]

    def of(self, output: Tensor) -> Tensor:
        """The number, of logits [n, V] or of classes [V]."""
        row = output if output.dim() == 1 else output[self.position]
        return row[self.token] if self.against is None else row[self.token] - row[self.against]

    def value(self, trace: Trace) -> float:
        """The number in a run; of one whose logits were too many to keep, where both tokens are among those kept of the row.

        Raises NotInThisModel.
        """
        if self.name in trace.store:
            return float(self.of(trace.store[self.name].double()))
        kept = {}
        if self.name == "logits" and "likeliest.ids" in trace.store:
            row = (trace.store[f"likeliest.{part}"][self.position].tolist() for part in ("ids", "logits"))
            kept = dict(zip(*row, strict=True))
        if self.token not in kept or self.against not in (None, *kept):
            raise NotInThisModel(what="This number", does="has too many logits to keep, and not these among those kept")
        return kept[self.token] - (0.0 if self.against is None else kept[self.against])


def metric_of(
    trace: Trace, position: int | None = None, token: int | str | None = None, against: int | str | None = None
) -> Metric:
    """What is explained of a run. position: counts from the end where it is negative; by default the first gap of a model of
    masked words, else the last. token: by default the likeliest there; against: the likeliest other one, -1 for none.

    Raises NotInThisModel where nothing names tokens or classes, OutOfRange, UnknownOption.
    """
    names = trace.vocabulary
    if "class_logits" in trace.store:
        row = trace.store["class_logits"]
        best, at, name = row.argsort(descending=True).tolist(), 0, "class_logits"
    elif logits.has_logits(trace.store):
        count, gaps = len(trace.tokens(trace.predicting_side)), trace.facts.get("gaps") or []
        at = (gaps[0] if gaps else -1) if position is None else position
        at = OutOfRange.check("Position", at + count if at < 0 else at, count - 1)
        best, name = [i for i, _ in logits.most_probable(trace.store, at, 8)], "logits"
    else:
        raise NotInThisModel(what="Explaining what it says", does="names no tokens and no classes")
    chosen = best[0] if token is None else _id(token, names)
    other = next((i for i in best if i != chosen), None) if against is None else _id(against, names)
    other = None if other == -1 else other
    return Metric(name, at, chosen, other, (_text(names, chosen), "" if other is None else _text(names, other)))


def _id(token: int | str, names: tuple[str, ...]) -> int:
    if isinstance(token, int):
        return token if token == -1 else OutOfRange.check("Token", token, max(len(names) - 1, 0))
    for text in (token, f" {token}", f"▁{token}", f"##{token}"):
        if text in names:
            return names.index(text)
    raise UnknownOption(what="Token", got=token[:40], allowed="the tokens of this model's vocabulary")


def _text(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"#{number}"
