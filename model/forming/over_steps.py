"""One text at every snapshot of a training: the attention of each step and its head measures, as curves over the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.checkpoints.history import history
from model.checkpoints.open import open_model
from model.checkpoints.own import OwnModel
from model.forming.change_point import LEAST_OTHER, LEAST_SHARE
from model.jobs.progress import tick
from model.measures.cross_alignment import agreement_of_heads, gold
from model.measures.head_statistics import trace_statistics
from model.measures.registry import BY_NAME
from model.trace import logits
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.trace.trace import Trace

if TYPE_CHECKING:
    from pandas import DataFrame

ALIGNMENT = "alignment"  # beside the measures of the registry: agreement with the gold alignment, where it is known
_KEPT = ("q", "k", "lse", "bias", "bias_offsets", "sinks", "relative_keys")  # what weights are made of
_COMPARED = 512  # tokens up to which the logits are compared with those of a plain run


@dataclass(frozen=True, eq=False)
class StepRun:
    """A run of the weights of one step. trace: the attention alone, without parameters or logits; it has been checked. What a
    decoder wrote in it is the likeliest token of this step after each position, whatever the text goes on with.

    measures: of each (site, head) its measures by name, NaN where one does not apply.
    """

    step: int
    trace: Trace
    measures: Mapping[tuple[Site, int], Mapping[str, float]]

    def held_bytes(self) -> int:
        """Bytes of the recorded attention."""
        return self.trace.held_bytes()


def step_run(step: int, trace: Trace) -> StepRun:
    """Check and measure a run, and keep of it what weights are made of. Ticks "measures"."""
    trace.fidelity(plain=max(len(side.tokens) for side in trace.sides.values()) <= _COMPARED)
    found = {
        (site, head): {name: float(values[head]) for name, values in each.values.items()}
        for site, each in trace_statistics(trace).items()
        for head in range(trace.record(site).heads)
    }
    known = gold(trace)
    for place, (right, counted) in agreement_of_heads(trace, known.rows).items() if not known.missing else ():
        found[place][ALIGNMENT] = right / counted if counted else float("nan")
    return StepRun(step, replace(attention_alone(trace), facts=trace.facts | _own_words(trace)), found)


def _own_words(trace: Trace) -> dict[str, list[str]]:
    """What this step would write after each position of a decoder; its text, forced upon every step, says that of the last."""
    ids = logits.likeliest(trace.store)
    if not trace.written() or len(ids) != len(trace.written()):
        return {}
    return {"written": [trace.vocabulary[i] if i < len(trace.vocabulary) else f"#{i}" for i in ids]}


def attention_alone(trace: Trace) -> Trace:
    """The run without parameters, values, logits and model, for whoever keeps many of them: weights are made as before."""
    wanted = [f"{site}.{part}" for site in trace.sites for part in _KEPT]
    store = MemoryStore({name: trace.store[name] for name in wanted if name in trace.store})
    attention = {site: replace(record, store=store) for site, record in trace.attention.items()}
    return replace(trace, store=store, attention=attention, plain_logits=None)


def written_ids(trace: Trace) -> tuple[int, ...] | None:
    """The tokens that an encoder–decoder wrote or was given, without its start token, to be forced upon every step: runs of other
    targets cannot be compared, and what an early step writes reads back as another text, or as none. None of one stack alone."""
    if not {"encoder", "decoder"} <= trace.sides.keys():
        return None
    return trace.side("decoder").ids[1:]


def over_steps(
    name: str | Path,
    text: str,
    record: Callable[[Any], Trace] | None = None,
    steps: Iterable[int] | None = None,
    confined: bool = False,
    **asked: Any,
) -> list[StepRun]:
    """Record `text` at every step of the history of `name`; ticks "steps" and can be stopped.

    An encoder–decoder reads at every step what it writes at the last one, unless `target` says otherwise. asked: what `trace` of
    the model takes. record: makes the run of an opened model, `trace` unless told. steps: some of them. Raises NoHistory.
    """
    every = history(name, confined=confined)
    steps = every if steps is None else list(steps)
    if record is None:
        last = open_model(name, step=every[-1], confined=confined)
        if isinstance(last, OwnModel) and last.decodes and not asked.get("target"):
            asked["target_ids"] = written_ids(last.trace(text, **asked))

        def record(model: Any) -> Trace:
            return model.trace(text, **asked)

    found = []
    for done, step in enumerate(steps):
        tick("steps", done / len(steps))
        found.append(step_run(step, record(open_model(name, step=step, confined=confined))))
    return found


def table(runs: Iterable[StepRun]) -> DataFrame:
    """One row a step and head: step, site, head, then the measures by the names of `model.measures.registry`, and `alignment`
    (the share of rows whose strongest key is the gold one) where it is known."""
    import pandas as pd

    rows = [
        {"step": run.step, "site": str(site), "head": head, **values}
        for run in runs
        for (site, head), values in run.measures.items()
    ]
    return pd.DataFrame(rows)


def least_change(measure: str) -> float:
    """By how much a measure's levels differ at least where it is said to have changed: 0.1 of a share, else 0.3 of its unit."""
    return LEAST_SHARE if measure == ALIGNMENT or BY_NAME[measure].share else LEAST_OTHER
