"""What else can be chosen of a training, folded: sizes, regularisation, the schedule with its curve, the vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import export, numbers
from viz.ui.language import say
from viz.ui.shared import figure_footer
from viz.ui.state import page_controls
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.training.options import Options
    from model.training.tasks.task import Task

_MOST = {"d_model": 1024, "heads": 64, "encoder_layers": 12, "decoder_layers": 12, "d_ff": 4096, "max_length": 1024}
_MAY_BE_0 = ("d_ff",)
_POINTS = 400  # of the curve of the learning rate
_MOST_SEEDS = 5
_NARROW, _WIDE = 150, 230  # px of a number and of a list


def show(task: Task, usual: Options, steps: int) -> tuple[dict[str, Any], int]:
    """(the options that were chosen otherwise than the task has them, how many seeds)."""
    with st.expander(say("train.more")):
        chosen = _sizes(task, usual) | _learning(usual)
        chosen |= _vocabulary(usual) if task.read is not None else {}
        rates, seeds = _rates(task, usual, steps, chosen)
        return chosen | rates, seeds


def _row() -> Any:
    """Controls one beside the other, as many as there is room for."""
    return st.container(horizontal=True, gap="small", vertical_alignment="bottom")


def _list(row: Any, name: str, first: str, options: tuple[str, ...], task: str) -> str:
    return row.selectbox(
        say(f"train.{name}"), options, format_func=lambda one: say(f"train.{name}_{one.replace('-', '_')}"), width=_WIDE,
        **page_controls.among(f"train-{name}@{task}", first, options),
    )  # fmt: skip


def _whole(row: Any, name: str, first: int, low: int, high: int, of: str) -> int:
    key = f"train-{name.replace('_', '-')}@{of}"
    given = page_controls.between(key, first, low, high)
    return int(row.number_input(say(f"train.{name}"), low, high, step=1, width=_NARROW, **given))


def _part(row: Any, name: str, first: float, high: float, of: str, step: float) -> float:
    key = f"train-{name.replace('_', '-')}@{of}"
    given = page_controls.between(key, float(first), 0.0, high)
    return float(row.number_input(say(f"train.{name}"), 0.0, high, step=step, format="%g", width=_NARROW, **given))


def _sizes(task: Task, usual: Options) -> dict[str, Any]:
    from model.transformer.config import NORMS, POSITIONS

    without = {"next": "encoder_layers", "masked": "decoder_layers"}.get(task.shape)
    names = [name for name in _MOST if name != without]
    row, found = _row(), {}
    for name in names:
        low = 0 if name in _MAY_BE_0 else 1
        found[name] = _whole(row, name, usual.sizes[name], low, _MOST[name], task.name)
    row = _row()
    found["positions"] = _list(row, "positions", usual.sizes.get("positions", POSITIONS[0]), POSITIONS, task.name)
    found["norm"] = _list(row, "norm", usual.sizes.get("norm", NORMS[0]), NORMS, task.name)
    found["dropout"] = _part(row, "dropout", usual.dropout, 0.9, task.name, 0.05)
    found["label_smoothing"] = _part(row, "label_smoothing", usual.label_smoothing, 0.9, task.name, 0.05)
    return {name: value for name, value in found.items() if value != _usual(usual, name)}


def _usual(usual: Options, name: str) -> Any:
    first = {"positions": "sinusoidal", "norm": "post"}
    return usual.sizes.get(name, first.get(name, getattr(usual, name, None)))


def _learning(usual: Options) -> dict[str, Any]:
    row = _row()
    found: dict[str, Any] = {"batch": _whole(row, "batch", usual.batch, 1, 4096, usual.task)}
    if usual.data is None:
        found["train_size"] = _whole(row, "train_size", usual.train_size, 1, 1_000_000, usual.task)
    return {name: value for name, value in found.items() if value != getattr(usual, name)}


def _vocabulary(usual: Options) -> dict[str, Any]:
    from model.training.options import VOCABULARIES

    row = _row()
    kind = _list(row, "vocabulary", usual.vocabulary, VOCABULARIES, usual.task)
    if kind != "subwords":
        return {} if kind == usual.vocabulary else {"vocabulary": kind}
    size = _whole(row, "vocabulary_size", usual.vocabulary_size, 300, 50_000, usual.task)
    return {"vocabulary": kind, "vocabulary_size": size}


def _rates(task: Task, usual: Options, steps: int, chosen: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The schedule with its highest rate, drawn as the training will have it; and how many seeds."""
    from model.training.schedules import SCHEDULES, Span

    row = _row()
    schedule = _list(row, "schedule", usual.schedule, tuple(SCHEDULES), task.name)
    width = chosen.get("d_model", usual.sizes["d_model"])
    warmup = usual.warmup
    if schedule != "constant":
        warmup = _whole(row, "warmup", usual.warmup, 1, 100_000, task.name)
    own = usual.peak if schedule == usual.schedule else None
    whole = Span(steps, warmup, width)
    if schedule == "cosine" and whole.rising < warmup:  # the paper's schedule takes it as it is
        st.caption(say("train.warmup_cut", asked=f"{warmup:,}", used=f"{whole.rising:,}", steps=f"{steps:,}"))
    highest = max(SCHEDULES[schedule](step, whole) for step in (whole.rising, warmup))
    first = round(highest, 6) if own is None else own
    peak = _part(row, "peak", first, 1.0, f"{task.name}-{schedule}-{width}-{warmup}", 0.0001)
    seeds = _whole(row, "seeds", 1, 1, _MOST_SEEDS, task.name)
    asked = own if peak == first else peak
    _drawn(SCHEDULES[schedule], Span(steps, warmup, width, asked), steps)
    found = {"schedule": schedule, "warmup": warmup} | ({"peak": peak} if peak != first else {})
    return {name: value for name, value in found.items() if value != getattr(usual, name)}, seeds


def _steps(last: int, most: int) -> list[int]:
    """Steps from the first to the last, at most so many."""
    every = max(1, -(-last // most))
    return sorted({*range(1, last + 1, every), last})


def _drawn(schedule: Any, span: Any, steps: int) -> None:
    from viz.training_curve import rate_curve

    shown = sorted({*_steps(steps, _POINTS), min(span.rising, steps), min(span.warmup, steps)})
    rates = [schedule(step, span) for step in shown]
    words = {"step": say("train.step"), "rate": say("train.learning_rate")}
    st.altair_chart(rate_curve(rates, shown, words, theme()), width="stretch", key="train-schedule-curve")

    def csv() -> bytes:
        import pandas as pd

        return export.table_csv(pd.DataFrame({"step": shown, "learning_rate": rates}))

    highest = max(rates)
    sentence = say("train.schedule_sentence", rate=numbers.short(highest), step=f"{shown[rates.index(highest)]:,}")
    figure_footer.draw(
        "train-schedule", sentence, None, lambda: {"learning-rate.csv": csv},
        lambda: rate_curve(rates, shown, words).properties(width=700), (schedule,),
    )  # fmt: skip
