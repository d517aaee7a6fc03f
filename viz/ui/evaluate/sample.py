"""Held-out examples of the open model: the test split of its own run, or of what it was trained on; as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.checkpoints.own import OwnModel
from model.errors import HeadlightError
from viz.base import numbers
from viz.ui.language import say
from viz.ui.state import jobs, model_list, view

if TYPE_CHECKING:
    from collections.abc import Iterable

    from model.checkpoints.disk.discovery import Entry
    from model.training.data import Example

_SENTENCES = 300


@dataclass(frozen=True)
class Sample:
    """Lines as a file called `name`, in `language` where the model is asked for one; note, values: the sentence about them."""

    text: str
    name: str
    language: str | None = None
    note: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """The sentence, "" where there is none."""
        return say(f"evaluate.sample_{self.note}", **self.values) if self.note else ""


def sample(model: Any) -> Sample | None:
    """What `model` can be scored on without a file of one's own; None where it reads something else. Raises what reading a
    run's own data raises."""
    now = view.current()
    key = (now.model, model_list.changed(now.model), now.to)
    known = model_list.entry(now.model)  # the work is in no session
    return jobs.cached("evaluate", "sample", key, lambda: _sample(model, known, now.to), say("evaluate.sampling"))


def lines(model: Any, count: int) -> list[str]:
    """A few examples to type others after, " | " between a source and its target."""
    if (family := _small(model)) is not None and family.objective.reads != "pairs":
        from model.small_families.scores import held_out_texts

        return [text.text for text in held_out_texts(family, count)]
    found = sample(model)
    return [line.replace("\t", " | ") for line in found.text.splitlines()[:count]] if found is not None else []


def _sample(model: Any, known: Entry | None, to: str) -> Sample | None:
    if (family := _small(model)) is not None:
        return _of_family(model, family)
    if isinstance(model, OwnModel):
        return _of_run(model, known, to) or _of_translator(model, to)
    return _of_english(model)


def _small(model: Any) -> Any:
    """Which small family a model of the library is, told by its card; None for others."""
    if isinstance(model, OwnModel):
        return None
    from model.small_families.registry import SMALL

    return SMALL.get(str(getattr(model, "card", {}).get("name", "")))


def _of_family(model: Any, family: Any) -> Sample:
    from model.small_families.scores import held_out_examples

    found, count = held_out_examples(family, model.tokenizer)
    loss = numbers.short(float(model.card["loss"]), 4)
    note = "other" if family.objective.reads == "texts" else "card" if len(found) < count else "whole_card"
    values = {"loss": loss, "n": f"{len(found):,}", "all": f"{count:,}"}
    ending = "tsv" if found[0][1] is not None else "txt"
    return Sample(_file(found), f"{family.name}-held-out.{ending}", note=note, values=values)


def _of_run(model: OwnModel, known: Entry | None, to: str) -> Sample | None:
    """The test split of a run of one's own, or of a task whose model ships; None of others."""
    from model.training.options import of_folder
    from model.training.run_files.folder import run_of
    from model.training.tasks.registry import TASKS, held_out

    told = run_of(known.path) if known is not None and Path(known.path).is_dir() else None
    if told is None:
        name = known.name if known is not None and known.kind == "shipped" else ""
        if name not in TASKS or name == "translate":
            return None
        found, kind = held_out(name, None, _SENTENCES), TASKS[name].kind
        return Sample(_of_examples(model, found, kind), f"{name}-test.tsv")
    from model.training.tasks.registry import task_of
    from model.training.tasks.task import TEST_SEED

    options = of_folder(known.path, told["options"])
    if options.data is not None and model_list.place(options.data) is None:  # where a server for others may not look
        return None
    task = task_of(options.task, options.data)
    language = _language(to, task.languages)
    if task.read is None:
        examples: Iterable[Example] = task.examples("test", language, _SENTENCES, TEST_SEED)
    else:
        examples = task.data(options).test[language]
    text = _of_examples(model, examples, options.vocabulary)
    written = language if len(task.languages) > 1 else None
    return Sample(text, f"{options.task}-test.tsv", written, "run", {"n": f"{text.count(chr(10)):,}"})


def _language(to: str, known: tuple[str, ...]) -> str:
    return to if to in known else known[0]


def _of_examples(model: Any, found: Iterable[Example], kind: str) -> str:
    """Tokens as they are typed: words with spaces between them, characters and subwords as they join."""

    def written(tokens: tuple[str, ...], side: Any) -> str:
        return {"words": " ", "characters": ""}[kind].join(tokens) if kind != "subwords" else side.text(tokens)

    sides = model.source, model.target
    texts = [
        tuple(written(tokens, side) for tokens, side in zip((one.source, one.target), sides, strict=True) if tokens)
        for one in found
    ]
    return _file([(text[0], text[1] if len(text) > 1 else None) for text in texts])


def _of_translator(model: OwnModel, to: str) -> Sample | None:
    """Sentences of our grammar that no shipped model was trained on, for a checkpoint that reads them."""
    from model.training.tasks.registry import held_out

    if not {"zh", "fr"} & set(getattr(model, "starts", ())):
        return None
    to = _language(to, tuple(one for one in ("zh", "fr") if one in model.starts))
    pairs = [(" ".join(one.source), " ".join(one.target)) for one in held_out("translate", to, _SENTENCES)]
    return Sample(_file(pairs), f"grammar-{to}.tsv", to) if _reads(model, pairs[0][0]) else None


def _of_english(model: Any) -> Sample:
    """For a model of the library from elsewhere: pairs of English and French, or English texts, as people write them."""
    from model.training.tasks.registry import held_out

    if getattr(model, "task", "") == "seq2seq":
        pairs = [(_typed(one.source), _typed(one.target)) for one in held_out("translate", "fr", _SENTENCES)]
        return Sample(_file(pairs), "grammar-fr.tsv", "fr")
    return Sample(
        _file([(_typed(one.source), None) for one in held_out("translate", "fr", _SENTENCES)]), "grammar-en.txt"
    )


def _typed(words: tuple[str, ...]) -> str:
    text = " ".join(words).replace("' ", "'")
    for mark in ".?,":
        text = text.replace(f" {mark}", mark)
    return text


def _file(examples: Iterable[tuple[str, str | None]]) -> str:
    return "".join(f"{source}\n" if target is None else f"{source}\t{target}\n" for source, target in examples)


def _reads(model: Any, text: str) -> bool:
    try:
        model.read(text)
    except HeadlightError:
        return False
    return True
