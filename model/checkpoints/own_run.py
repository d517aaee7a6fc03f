"""What a model of ours runs of a text: the ids of the sides that it has, what it was asked for, and the facts of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from model.errors import HeadlightError, NotInThisModel, OutOfRange, TextTooLong, UnknownOption
from model.jobs.device import facts_of
from model.text.tokenizer import END, MASK, Reading, Tokenizer
from model.trace.trace_key import Side
from model.transformer.greedy import greedy

if TYPE_CHECKING:
    from model.checkpoints.own import OwnModel


@dataclass(frozen=True)
class Asked:
    """What is asked for beside the text; see `OwnModel.trace`."""

    target: str | None = None
    language: str | None = None
    pad_to: int | None = None
    new_tokens: int | None = None
    target_ids: tuple[int, ...] | None = None

    @property
    def options(self) -> tuple[tuple[str, object], ...]:
        """Those of a `TraceKey`."""
        ids = None if self.target_ids is None else " ".join(map(str, self.target_ids))
        every = {
            "language": self.language, "new_tokens": self.new_tokens, "pad_to": self.pad_to, "target_ids": ids,
        }  # fmt: skip
        return tuple((name, value) for name, value in every.items() if value is not None)

    @property
    def given(self) -> dict[str, object]:
        """What `OwnModel.trace` is asked besides the texts, to ask it of another run."""
        every = {
            "language": self.language,
            "new_tokens": self.new_tokens,
            "pad_to": self.pad_to,
            "target_ids": self.target_ids,
        }
        return {name: value for name, value in every.items() if value is not None}

    def checked(self, model: OwnModel) -> Asked:
        """The same with the default language. Raises NotInThisModel for what the shape of `model` has not, or UnknownOption."""
        if (self.target is not None or self.target_ids is not None) and model.task != "seq2seq":
            raise NotInThisModel(what="An output of its own", does="has no decoder that reads another text")
        if self.pad_to is not None and model.source is None:
            raise NotInThisModel(what="Padding its text", does="has no encoder")
        if self.new_tokens and model.target is None:
            raise NotInThisModel(what="Writing", does="reads, and says nothing of what comes next")
        if self.language is None or self.language in model.languages:
            return replace(self, language=self.language or next(iter(model.languages), None))
        if not model.languages:
            raise NotInThisModel(what="A choice of language", does="has no languages to choose from")
        raise UnknownOption(what="Language", got=self.language, allowed=", ".join(model.languages))


@dataclass(frozen=True)
class Run:
    """Source ids [n] and target ids [m], of which one stack alone has one; what is known of them before they are run.

    ended: whether the end token follows the target.
    """

    source: torch.Tensor | None
    target: torch.Tensor | None
    facts: Mapping[str, object]
    ended: bool = False


def run_of(model: OwnModel, reading: Reading, asked: Asked) -> Run:
    """What is run of a text that was read. Raises TextTooLong, or HeadlightError for a `pad_to` out of range."""
    ids, most = list(reading.ids), model.max_length
    if model.task == "causal":
        return _continued(model, [model.start_id(), *ids], asked.new_tokens)
    length = asked.pad_to or len(ids)
    if not len(ids) <= length <= most:
        raise HeadlightError(reason=f"pad_to is {length}: choose {len(ids)} to {most}.")
    source = torch.tensor([*ids, *[model.config.pad_id] * (length - len(ids))])
    if model.task == "masked":
        gap = model.source.ids[MASK]
        return Run(source, None, {"gaps": [i for i, number in enumerate(ids) if number == gap]})
    start = model.start_id(asked.language)
    if asked.target_ids is not None:
        return _forced(model, source, start, asked.target_ids)
    if asked.target is None:
        limit = most if asked.new_tokens is None else 1 + asked.new_tokens
        written, ended = greedy(model.module, source, start, model.target.ids[END], limit)
        return Run(source, torch.tensor(written), {"generated": True, "finished": ended}, ended)
    return _forced(model, source, start, model.target.read(asked.target, side="target").ids)


def _forced(model: OwnModel, source: torch.Tensor, start: int, ids: Sequence[int]) -> Run:
    if len(ids) + 1 > model.max_length:
        raise TextTooLong(got=len(ids) + 1, allowed=model.max_length)
    for number in ids:
        OutOfRange.check("Token", number, len(model.target) - 1)
    return Run(source, torch.tensor([start, *ids]), {"generated": False, "finished": True}, True)


def _continued(model: OwnModel, prompt: list[int], new_tokens: int | None) -> Run:
    """A decoder's text and, where it is asked to write, what it goes on with; an end that it wrote is not run again."""
    if new_tokens is None:
        return Run(None, torch.tensor(prompt), {})
    if len(prompt) >= model.max_length:  # without the start token, which nobody typed
        raise TextTooLong(got=len(prompt) - 1, allowed=model.max_length - 2)
    ids, ended = greedy(model.module, None, prompt, model.target.ids[END], len(prompt) + new_tokens)
    return Run(None, torch.tensor(ids), {"generated": True, "prompt": len(prompt)}, ended)


def sides_of(model: OwnModel, run: Run) -> dict[str, Side]:
    """The tokens of each stack, as they ran."""
    every = {"encoder": (model.source, run.source), "decoder": (model.target, run.target)}
    sides = {}
    for stack, (tokenizer, given) in every.items():
        if given is not None:
            ids = tuple(given.tolist())
            tokens = tuple(tokenizer.vocabulary[i] for i in ids)
            special = tuple(map(tokenizer.is_special, tokens))
            sides[stack] = Side(tokens, ids, special, *_read_as(tokenizer, ids, special))
    return sides


def _read_as(tokenizer: Tokenizer, ids: tuple[int, ...], special: tuple[bool, ...]) -> tuple[tuple, ...]:
    """Of subwords: how each reads, and which word it belongs to; one begins at a space, a gap is one."""
    if tokenizer.kind != "subwords":
        return ()
    shown = tuple(tokenizer.texts[i] for i in ids)
    words, last, inside = [], -1, False
    for text, is_special in zip(shown, special, strict=True):
        begins = is_special or text[:1].isspace() or not inside
        last += begins and (not is_special or text == MASK)
        words.append(last if not is_special or text == MASK else -1)
        inside = not is_special
    return shown, tuple(words)


def facts_of_run(
    model: OwnModel, run: Run, sides: Mapping[str, Side], logits: torch.Tensor, reading: Reading
) -> dict[str, object]:
    """`Trace.facts`."""
    facts = dict(run.facts) | {
        "task": model.task,
        "norm": model.config.norm,
        "positions": model.config.positions,
        "folded": [list(pair) for pair in reading.folded],
        "pieces": model.reader.kind,
    }
    if "decoder" in sides:
        last = END if run.ended else model.target.texts[int(logits[-1].argmax())]
        facts["written"] = [*sides["decoder"].texts[1:], last]
    if broken := model.card.get("not_finite"):
        facts["not_finite"] = broken
    return facts | facts_of(model.module)
