"""The tasks by name, in the order in which they are offered; and the held-out examples of those that ship."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from model.errors import BadOption, UnknownOption
from model.training.data import Example
from model.training.tasks import addition, copy, dates, induction, own_text, parallel_text, reverse, sort, translate
from model.training.tasks.own_files import has_two_columns
from model.training.tasks.task import TEST_SEED, Task

_ALL = (
    copy.TASK, reverse.TASK, sort.TASK, addition.TASK, induction.TASK, dates.TASK, translate.TASK,
    parallel_text.TASK, own_text.TASK, own_text.MASKED,
)  # fmt: skip
TASKS: Mapping[str, Task] = {task.name: task for task in _ALL}
SHIPPED = ("translate", "dates")


def task_of(name: str | None, data: str | Path | None = None) -> Task:
    """The task `name`; with a file of your own and no name, parallel text where its lines have two columns, else text.

    Raises UnknownOption, or BadOption where a file is given to a task that makes its own data, or none to one that needs it.
    """
    if name is None and data is None:
        raise UnknownOption(what="Task", got="", allowed=", ".join(TASKS))
    if data is not None and name in (None, "translate"):
        # `train translate --data FILE` means: translate as the file does.
        return parallel_text.TASK if name or has_two_columns(Path(data)) else own_text.TASK
    if name not in TASKS:
        raise UnknownOption(what="Task", got=name, allowed=", ".join(TASKS))
    task = TASKS[name]
    if (task.read is None) != (data is None):
        allowed = "none, because this task makes its own" if task.read is None else "a file of yours (--data FILE)"
        raise BadOption(what=f"data of the task {name}", got=data or "none", allowed=allowed)
    return task


@cache
def held_out(name: str, language: str | None = None, count: int = 2000, split: str = "test") -> tuple[Example, ...]:
    """Examples that the shipped model never saw: tokens of source and target, and the gold alignment.

    `source` and `target` are tokens (words, or characters for "dates"); `alignment[t]` are the source positions of
    target token t. language: one of the task's; the first where None.
    """
    task = task_of(name)
    language = language or task.languages[0]
    if language not in task.languages:
        raise UnknownOption(what="Language", got=language, allowed=", ".join(task.languages))
    return tuple(task.examples(split, language, count, TEST_SEED))
