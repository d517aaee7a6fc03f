"""What the files of a run may say, checked when they are read: pages and resumes take what stands in them as it is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

STATES = ("starting", "queued", "running", "paused", "stopped", "failed", "finished")


def checked(kind: str, told: Any) -> dict[str, Any]:
    """The table as it is. kind: "run" (run.json), "state" (of resume.safetensors), "line" (of the log), "step" (a line that a
    resume counts on), "heartbeat" or "entry" (of the list of runs and of the queue). Raises ValueError where it is none."""
    _schemas()[kind].model_validate(told)  # pydantic's ValidationError is a ValueError
    return told


def fields(kind: str) -> frozenset[str]:
    """The names that mean something in such a table."""
    return frozenset(_schemas()[kind].model_fields)


@cache
def _schemas() -> dict[str, type[BaseModel]]:
    """Made when first asked for, since pydantic takes 0.1 s to import."""
    from typing import Annotated, Literal

    from pydantic import ConfigDict, Field, FiniteFloat, create_model

    def table(kind: str, /, **fields: Any) -> type[BaseModel]:
        return create_model(kind, __config__=ConfigDict(strict=True), **fields)

    count, whole = Annotated[int, Field(ge=0, lt=2**53)], Annotated[int, Field(ge=1, lt=2**53)]
    path = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
    time = Annotated[FiniteFloat, Field(ge=0)]
    options = table("Options", task=(str, ...), steps=(whole, ...), sizes=(dict[str, Any], {}),
                    choices=(dict[str, str] | None, None), data=(path | None, None), log_dir=(path | None, None),
                    trackio=(str | None, None), replaces=(path | None, None))  # fmt: skip
    seed = Annotated[str, Field(pattern=r"^seed-[0-9]{1,20}$")]
    run = table(
        "Run", options=(options, ...), finished=(bool, False), seeds=(Annotated[list[seed], Field(min_length=1)], [])
    )
    state = table("State", step=(count, ...), taken=(count, ...), data=(str, ...), whole=(str | None, None),
                  log_bytes=(count, ...), seconds=(time, ...))  # fmt: skip
    probe = table("Probe", given=(str, ...), wanted=(str, ...), written=(str, ...), bleu=(float | None, None))
    measured = dict.fromkeys(
        ("validation_loss", "perplexity", "exact_match", "bleu", "chrf", "accuracy", "gradient_norm"), (float, 0.0)
    )
    said: dict[str, Any] = {"step": (whole, ...), "probes": (list[probe], []), "signature": (str, ""), **measured}
    line = table("Line", **said, loss=(float, 0.0), learning_rate=(float, 0.0))
    step = table("Step", **said, loss=(float, ...), learning_rate=(float, ...))
    heartbeat = table(
        "Heartbeat", **measured, loss=(float, 0.0), learning_rate=(float, 0.0), state=(Literal[STATES], "starting"),
        step=(count, 0), steps=(count, 0), seconds_left=(time | None, None), error=(str, ""), code=(str, ""),
        values=(dict[str, str], {}), time=(time, 0.0), pid=(count, 0), said=(str, ""), steps_per_second=(time | None, None),
    )  # fmt: skip
    entry = table("Entry", folder=(path, ...))
    return {"run": run, "state": state, "line": line, "step": step, "heartbeat": heartbeat, "entry": entry}
