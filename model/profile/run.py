"""Measuring every text of a corpus, here or on a Ray cluster, with interruption and resumption."""

from __future__ import annotations

import inspect
import shutil
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from model import __version__
from model.errors import (
    HeadlightError,
    NothingMeasured,
    NotInThisModel,
    ProfileStopped,
    Stopped,
    TextsFile,
    UnknownOption,
)
from model.jobs.part_files import check, chunks
from model.jobs.progress import ProgressListener, report_to
from model.jobs.signals import until_signal
from model.profile import part_files, table
from model.profile.part_files import Parts
from model.profile.progress import SAVED, Progress
from model.profile.schema import FORMAT, VERSION
from model.profile.texts import Texts, scan


def profile(
    model_name: str, texts: Path, out: Path, *, language: str = "", limit: int | None = None, ray: str = "",
    on_progress: Callable[[Progress], None] = lambda progress: None, on_opened: Callable[[Any], None] = lambda model: None,
    command: str = "",
) -> Progress:  # fmt: skip
    """Measure every head of the model `model_name` on every text of a file, and write the profile `out` (Parquet).

    Finished work lies beside `out` while it lasts; the same call goes on with it. limit: the first so many texts. ray: the
    address of a Ray cluster ("local" starts one here). on_opened: is handed the model once it is open. Raises TextsFile,
    ProfileElsewhere (work of another model, file or version is there), ProfileStopped (a signal),
    NothingMeasured, ProfileNotWritten, and what `open_model` raises.
    """
    from model import open_model

    if limit is not None and limit < 1:
        raise HeadlightError(reason=f"--limit is {limit}: give 1 or more.")
    read = scan(texts, limit)
    model = open_model(model_name)
    on_opened(model)
    options = _options(model, language)
    progress = Progress(read.count, on_progress)
    made_of = _made_of(model, read, options)
    if (there := part_files.made_of(out)) is not None:
        check(out, there, made_of)
        shutil.rmtree(out.with_name(out.name + ".parts"), ignore_errors=True)
        progress.there = True
        return progress
    work = Parts(out, made_of)
    with until_signal() as stopped:
        if ray:
            from model.profile.ray import measure

            measure(ray, (model_name, model.weights_hash), options, read, work, progress, stopped)
        else:
            _measure(model, options, read, work, progress, stopped)
    if read.changed():
        raise TextsFile(path=texts, reason="it was changed while it was read")
    if progress.refused == read.count:
        (first,) = islice(table.refusals([work.read(0)])["listed"], 1)
        shutil.rmtree(work.folder)
        raise NothingMeasured(got=read.count, reason=first["sentence"])
    work.merge(read.count, {
        "format": FORMAT, "version": VERSION, "command": command, "model": model.name, "given": model_name,
        "weights_hash": model.weights_hash, "language": options.get("language", ""), "texts_file": texts.name,
        "texts": read.count, "measured": read.count - progress.refused, "measures": list(table.COLUMNS), "made_of": made_of,
    })  # fmt: skip
    return progress


def _options(model: Any, language: str) -> dict[str, str]:
    """What every run is given beside its text; a mistake in it is said once, not for each text."""
    if (reads := getattr(model, "reads", "text")) != "text" or getattr(model, "tokenizer", model) is None:
        raise NotInThisModel(what="Reading a text", does=f"reads {reads}")
    if not language:
        return {}
    if "language" not in inspect.signature(model.trace).parameters:
        raise HeadlightError(reason="This model takes no --language: leave it out.")
    if language not in (allowed := tuple(model.languages)):
        raise UnknownOption(what="Language", got=language, allowed=", ".join(allowed) or "none: leave it out")
    return {"language": language}


def _made_of(model: Any, texts: Texts, options: Mapping[str, str]) -> dict[str, Any]:
    """What the numbers follow from; where any of it differs, they are other numbers."""
    import torch

    made = {
        "text_file": texts.sha256, "number_of_texts": texts.count, "model": model.weights_hash,
        "language": options.get("language", ""), "set_of_measures": list(table.COLUMNS),
        "version_of_Headlight": f"{__version__}, format {VERSION}", "version_of_torch": torch.__version__,
    }  # fmt: skip
    if hasattr(model, "expects"):  # a model of the library
        import importlib.metadata

        made["version_of_the_library"] = importlib.metadata.version("transformers")
    return made


def _measure(
    model: Any, options: Mapping[str, str], texts: Texts, work: Parts, progress: Progress, stopped: Callable[[], bool]
) -> None:
    """One text after the other, in this process."""
    stream = iter(texts)
    with report_to(ProgressListener(lambda what, fraction: None, stopped)):
        for chunk, here in chunks(texts.count):
            found = [work.read(chunk)]
            answered, saved = table.done(found[0]), time.monotonic()
            progress.begin(found[0])
            for index, text in zip(here, islice(stream, len(here)), strict=False):
                if index in answered:
                    continue
                try:
                    rows = table.measured(model, [(index, text)], options) if not stopped() else None
                except Stopped:
                    rows = None
                if rows is None:
                    work.write(chunk, pa.concat_tables(found))
                    raise ProfileStopped(got=progress.done, allowed=texts.count)
                found.append(rows)
                progress.add(rows)
                if time.monotonic() > saved + SAVED:
                    work.write(chunk, pa.concat_tables(found))
                    saved = time.monotonic()
            if len(found) > 1:
                work.write(chunk, pa.concat_tables(found))
