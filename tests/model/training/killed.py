"""A training that is killed: one process that has imported torch forks the trainings, so that a kill costs no import.

python -m tests.model.training.killed FOLDER: trains once to the end, then once for each of 20 random instants at which it is
killed with SIGKILL and gone on with, and once for some of the times that a file is cut, given its name or brought to the disk;
prints what differs from the first.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import sacrebleu.metrics
import safetensors.torch
import torch
import torch._dynamo

from model.training import train
from model.training.options import options_of
from model.training.tasks import registry
from model.training.tasks.own_text import MASKED
from model.training.tasks.symbols import examples_of, made_from
from model.training.tasks.task import Task
from model.training.train import begin, go_on

INSTANTS, CALLS = 20, (1, 2, 9, 10, 22, 23, 25, 26, 27, 28, 29, 41)
IMPORTED = (sacrebleu.metrics, safetensors.torch, torch._dynamo)  # here, not in every process
SIZES = {"d_model": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 8, "max_length": 12}
TINY = Task(
    "tiny", "pairs", "characters", {"x": "<s>"}, examples_of(lambda letters: made_from([0, 1, 2], letters)),
    train_size=60, steps=40, batch=8, sizes=SIZES, dropout=0.1, test_size=4, validation_size=4,
)  # fmt: skip
# Masked words draw from one more generator.
registry.TASKS = {**registry.TASKS, "tiny": TINY}
train.RARELY = 0  # as often as it is told to, however long a checkpoint takes


def begun(folder: Path, masked: bool) -> Path:
    text = folder.parent / "text.txt"
    if masked:
        text.write_text("\n".join(f"the {a} sees the {b}" for a in "abcdefg" for b in "hijkl"), encoding="utf-8")
    sizes = {"d_model": 8, "heads": 2, "encoder_layers": 1, "d_ff": 8} if masked else {}
    name, data = (MASKED.name, str(text)) if masked else ("tiny", None)
    # Checkpoints where the time falls, which are not at every step.
    return begin(
        options_of(name, data=data, steps=24, batch=8, evaluate_every=13, snapshots=6, save_seconds=0.01, **sizes),
        folder,
    )


def forked(work: Callable[[], object], kill_after: float | None = None) -> tuple[int, float]:
    """Exit status (−9: killed) and seconds of `work` in a process of its own, killed after some time where told."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, code = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(code), time.monotonic() - began


def killed_at(call: int) -> Callable[[], None]:
    """From here on the process kills itself before the `call`th time that a file gets its name or is brought to the disk."""
    count = 0

    def counted(real: Callable) -> Callable:
        def wrapped(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return wrapped

    os.replace, os.fsync, os.ftruncate = counted(os.replace), counted(os.fsync), counted(os.ftruncate)
    return lambda: None


def content(folder: Path) -> dict[str, bytes]:
    """Every file; of the card what does not tell of time."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    card = json.loads(found.pop("card.json"))
    return found | {"card": json.dumps({k: v for k, v in card.items() if k != "seconds"}).encode()}


def trained(folder: Path, call: int | None = None) -> None:
    if call is not None:
        killed_at(call)
    go_on(folder)


def main(root: Path) -> None:
    torch.set_num_threads(1)
    random, differing, died = Random(5), [], []
    for masked in (False, True):
        whole = begun(root / f"whole-{masked}", masked)
        code, seconds = forked(partial(trained, whole))
        assert code == 0
        wanted = content(whole)
        times = [] if masked else [seconds * (i + random.random()) / INSTANTS for i in range(INSTANTS)]
        instants = [(f"after {at:.3f} s", None, at) for at in times]
        calls = [(f"at call {call}", call, None) for call in (CALLS[-2:] if masked else CALLS)]
        for name, call, at in (*instants, *calls):
            folder = begun(root / f"{masked}-{name}".replace(" ", "-"), masked)
            died.append(forked(partial(trained, folder, call), at)[0])
            resumed, _ = forked(partial(trained, folder))
            found = content(folder) if resumed == 0 else {}
            if found != wanted:
                parts = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
                differing.append([masked, name, parts])
    lines = [json.loads(line)["step"] for line in (whole / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    print(json.dumps({"differing": differing, "killed": died.count(-9), "runs": len(died), "steps": lines}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
