"""One training from several seeds: a folder each, and how far their curves lie apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from model.errors import BadOption, TrainingNotWritten, TrainingThere
from model.files.atomic import write_json
from model.training import train
from model.training.options import Options
from model.training.run_files.folder import RUN, log_of, run_of
from model.training.train import OnStep, begin

_MOST = 1000  # seeds of one run


@dataclass(frozen=True)
class Band:
    """Of one quantity of the logs at the steps that all seeds have reached: its mean, least and largest."""

    steps: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def begin_seeds(options: Options, out: str | Path, count: int) -> Path:
    """`begin` for `count` seeds from that of the options on, each in a folder seed-… of `out`; for one it is `begin`.

    Raises BadOption, TrainingThere or TrainingNotWritten.
    """
    if not 1 <= count <= _MOST:
        raise BadOption(what="number of seeds", got=count, allowed=f"a whole number from 1 to {_MOST:,}")
    if count == 1:
        return begin(options, out)
    folder = Path(out).absolute()
    if run_of(folder) is not None:
        raise TrainingThere(path=folder)
    names = [f"seed-{options.seed + number}" for number in range(count)]
    try:
        for number, name in enumerate(names):
            log_dir = None if options.log_dir is None else str(Path(options.log_dir) / name)
            begin(replace(options, seed=options.seed + number, log_dir=log_dir), folder / name)
        write_json(folder / RUN, {"options": options.to_dict(), "seeds": names, "finished": False})
    except OSError as error:
        raise TrainingNotWritten(path=folder, reason=(error.strerror or str(error)).lower(), step=0) from error
    return folder


def folders_of(folder: Path) -> list[Path]:
    """The folders of the seeds of a run; itself where it has one."""
    return [folder / name for name in (run_of(folder) or {}).get("seeds", ())] or [folder]


def go_on(folder: str | Path, on_step: OnStep | None = None) -> str:
    """`model.training.train.go_on` for each seed of the run that is not finished, one after the other; says what it did."""
    folder = Path(folder).absolute()
    parts = folders_of(folder)
    said = [train.go_on(part, on_step, number, len(parts)) for number, part in enumerate(parts)]
    if parts != [folder]:
        write_json(folder / RUN, (run_of(folder) or {}) | {"finished": True})
    return "\n".join(said)


def band_of(folder: Path, quantity: str = "loss") -> Band:
    """How one quantity of the log runs over all seeds."""
    curves = [
        {line["step"]: line[quantity] for line in log_of(part) if quantity in line} for part in folders_of(folder)
    ]
    steps = sorted(set.intersection(*map(set, curves)))
    rows = [[curve[step] for curve in curves] for step in steps]
    mean, low, high = (tuple(how(row) for row in rows) for how in (lambda row: sum(row) / len(row), min, max))
    return Band(tuple(steps), mean, low, high)
