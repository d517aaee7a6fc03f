"""A checkpoint of the transformers library on disk, opened: text in, the same `Trace` out as for our own model.

Nothing is fetched and no code of the checkpoint is run: local files only, safetensors only, library classes only.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints.again import RunsAgain
from model.checkpoints.disk import cost
from model.checkpoints.disk.cost import Running
from model.checkpoints.disk.families import rules_of
from model.checkpoints.disk.max_length import longest
from model.checkpoints.disk.tasks import task_of
from model.checkpoints.edited.library import check_editable, edited
from model.checkpoints.edited.work_out import work_out
from model.checkpoints.library import decoder_input, load_errors
from model.checkpoints.library.head_runs import choices, head_facts
from model.checkpoints.library.opening_check import OpeningCheck
from model.checkpoints.library.run_facts import as_labelled, run_facts, sides_of
from model.checkpoints.record.forward import Recorded, plain, record
from model.checkpoints.task_heads.sentence_pooling import pooling
from model.checkpoints.tokens import languages
from model.checkpoints.tokens.encode import Encoded, encode, vocabulary
from model.edits.plan import Edit
from model.edits.run_edits import RunEdits
from model.errors import HeadlightError, NotInThisModel, TextTooLong
from model.jobs.device import device_of
from model.jobs.progress import tick
from model.trace import logits
from model.trace.trace import Trace, TraceKey


@dataclass(frozen=True, eq=False)
class HuggingFaceModel(RunsAgain):
    """A library model with its tokenizer. `family` is the configuration's model_type.

    untouched: the same tensors as the library runs them, with the attention that it chose; None where they are not all in
    memory. opening: how a short input checked when the model was opened.
    """

    name: str
    module: nn.Module
    tokenizer: Any
    family: str
    weights_hash: str
    card: Mapping[str, object] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    untouched: nn.Module | None = field(default=None, repr=False)
    opening: OpeningCheck | None = None

    @property
    def task(self) -> str:
        """One of `model.checkpoints.disk.tasks.TASKS`."""
        return task_of(type(self.module).__name__, bool(self.module.config.is_encoder_decoder))

    @property
    def device(self) -> str:
        """Where it runs: "cpu", or a graphics card, "cuda:0"."""
        return str(device_of(self.module))

    @property
    def reads(self) -> str:
        """ "text", "pictures" or "sound"."""
        return rules_of(self.family).reads

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """What each id reads as; ids beyond the tokenizer's (a padded table) have no text."""
        if self.task == "classification":  # its logits are over labels, not over tokens
            return self.labels
        return () if self.tokenizer is None else vocabulary(self.tokenizer)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes of a classifier, by id."""
        named = getattr(self.module.config, "id2label", None) or {}
        return tuple(str(named.get(i, f"#{i}")) for i in range(len(named)))

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The codes of the languages it can be asked to write, () where it is not one for many."""
        return languages.languages(self.tokenizer) if self.task == "seq2seq" and self.tokenizer is not None else ()

    @cached_property
    def pooling(self) -> str:
        """How its folder makes one vector of a text's rows (`task_heads.sentence_pooling`), where the card does not say."""
        if told := self.card.get("pooling"):
            return str(told)
        folder = getattr(self.module.config, "name_or_path", "")  # where the library read the configuration
        return pooling(Path(folder)) if folder else "mean"

    @property
    def decodes(self) -> bool:
        """Whether it has a decoder beside its encoder."""
        return decoder_input.decodes(self.module)

    @property
    def max_length(self) -> int:
        """Tokens that the positions allow; 1,000,000 where the configuration sets no limit."""
        return longest(self.module.config)

    def trace(
        self,
        text: str,
        target: str | None = None,
        *,
        pair: str | None = None,
        chat: bool = False,
        new_tokens: int | None = None,
        language: str | None = None,
        source_language: str | None = None,
        edits: Sequence[Edit | str] = (),
    ) -> Trace:
        """Run `text` and record it in one forward.

        target: forces the output of an encoder–decoder, which else writes its own (greedy); one that cannot write reads
        what the library feeds it, `facts["decoder_reads"]`. pair: a second text, for models that read two: a question's
        context, the sentence that may follow, the choices of a multiple-choice model, one a line. chat: each line of `text`
        is a turn, the user's first, through the tokenizer's template. new_tokens: how many tokens to write at most (default:
        40 for an encoder–decoder, none for a decoder, whose continuation is then recorded with the text). language,
        source_language: which of `languages` to write and which the text is in (default: the tokenizer's own);
        NotInThisModel where there are none, UnknownOption for one that is not among them. edits: what is changed in the run, the
        writing too (`model.edits.parse`); raises BadEdit, NothingToEdit, NotEditable.
        """
        if self.tokenizer is None or self.reads == "sound" or (self.reads == "pictures" and self.decodes):
            raise NotInThisModel(what="Reading a text", does=f"reads {self.reads}")
        target = target if target is not None and target.strip() else None
        for code in (language, source_language):
            self._check_language(code)
        given, *others = self.readings(text, pair, chat, source_language)
        length = max(reading.length for reading in (given, *others))
        self.check_length(length)
        # Said before the forward: a machine that runs out of memory says nothing.
        cost.check_record(self._cost(length + (new_tokens or 0), 1).peak_bytes)
        asked: dict[str, object] = {
            "pair": pair, "chat": chat or None, "new_tokens": new_tokens or None, "language": language,
            "source_language": source_language,
        }  # fmt: skip
        asked = {name: value for name, value in asked.items() if value is not None}
        check_editable(self.module, edits)
        changed, facts = work_out(self, edits, text, target, asked)
        inputs = dict(given.inputs)
        said: dict[str, object] = {"generated": target is None, "prompt": given.length} if new_tokens else {}
        with self.lock, torch.no_grad(), cost.within_memory(), edited(self.module, changed, facts.get("modules", {})):
            if self.decodes:
                limit = 40 if new_tokens is None else new_tokens
                read = decoder_input.decoder_input(self, inputs["input_ids"], target, limit, language)
                inputs["decoder_input_ids"] = read.ids
                written = {"generated": read.how == "written", "prompt": given.length, "after": read.after}
                said = written if read.how in ("forced", "written") else {"decoder_reads": read.how}
            elif target is not None:
                raise NotInThisModel(what="An output of its own", does="has no decoder that reads another text")
            elif new_tokens and self.task == "causal":
                inputs = {"input_ids": self.generate(inputs["input_ids"], new_tokens)}
            tick("layers", 0.0)
            recorded = self._record(inputs, changed)
            said |= head_facts(self, recorded, inputs, others, pair) | changed.facts
        key = TraceKey(self.name, self.weights_hash, text, target, tuple(sorted(asked.items())) + changed.options)
        return self.as_trace(key, given, inputs, recorded, said)

    def _record(self, inputs: Mapping[str, Tensor], edits: RunEdits | None = None) -> Recorded:
        """One recorded forward. Raises what `load_errors.not_recorded` makes of a failure."""
        try:
            return record(self.module, inputs, edits)
        except HeadlightError:
            raise
        except ValueError as error:
            raise load_errors.not_recorded(self, inputs, error) from error

    def record_ids(self, ids: Sequence[int]) -> Recorded:
        """One forward over these ids as they are, of a model with one stack. Raises TextTooLong."""
        self.check_length(len(ids))
        with self.lock, torch.no_grad(), cost.within_memory():
            return record(self.module, {"input_ids": torch.tensor([list(ids)])})

    def readings(
        self, text: str, pair: str | None = None, chat: bool = False, source_language: str | None = None
    ) -> list[Encoded]:
        """What is read of an input, the reading that is recorded first: of a multiple-choice model one a choice, a line of
        `pair` each; of any other one. Raises as `encode` does."""
        seconds = (choices(pair) or [None]) if self.task == "multiple_choice" else [pair]
        return [self.encode(text, second, chat, source_language) for second in seconds]

    def encode(
        self, text: str, pair: str | None = None, chat: bool = False, source_language: str | None = None
    ) -> Encoded:
        """What the model reads of an input. Raises EmptyText, or NoChatTemplate where there is none for a chat."""
        with languages.reading_as(self.tokenizer, source=source_language):
            return encode(self.tokenizer, text, pair, chat)

    def _check_language(self, code: str | None) -> None:
        if code is not None and not self.languages:
            raise NotInThisModel(what="A choice of language", does="has no languages to choose from")
        languages.check(self.tokenizer, code)

    def expects(self, text: str, pair: str | None = None, chat: bool = False, new_tokens: int = 0) -> Running:
        """What recording this input will take, before it is begun. Raises as `trace` does for input it refuses."""
        length = max(reading.length for reading in self.readings(text, pair, chat))
        self.check_length(length)
        return self._cost(length + new_tokens, 40 if self.decodes else 0)

    def plain(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """What the head gives in the library's own run, by its names in the record; None where there is none to make."""
        if self.untouched is None:
            return None
        with self.lock, torch.no_grad():
            return plain(self.untouched, inputs)

    def _cost(self, n: int, m: int) -> Running:
        facts = self.module.config.to_dict() | {"architectures": [type(self.module).__name__]}
        return cost.before_run(facts, n, m)

    def check_length(self, length: int) -> None:
        """Raises TextTooLong."""
        if length > self.max_length:
            raise TextTooLong(got=length, allowed=self.max_length)

    def generate(self, ids: Tensor, new_tokens: int, language: str | None = None, **how: Any) -> Tensor:
        """ids [1, n] -> [s, n + ·]: the text continued, greedily unless `how` says otherwise (the library's own).

        An encoder–decoder gives what it wrote, [s, 1 + ·], in `language` where that is one of `languages`.
        """
        return decoder_input.written(self, ids, new_tokens, language, **how)

    def _pad(self) -> int | None:
        known = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next((number for number in known if number is not None), None)

    def as_trace(
        self, key: TraceKey, encoded: Encoded, inputs: dict[str, Tensor], recorded: Recorded, facts: dict[str, object]
    ) -> Trace:
        """The trace of one recorded forward of `inputs`; encoded: what the text reads as, facts: how it was run."""
        store = recorded.store
        sides = sides_of(self.tokenizer, encoded, inputs, recorded.stacks)
        facts = run_facts(self, key, sides, store, facts, encoded) | {"modules": recorded.modules}
        named = as_labelled(inputs, sides)
        # The library's own run cannot be edited.
        comparable = self.untouched and logits.comparable(store) and "edits" not in facts
        plain = (lambda: self.plain(named)) if comparable else None
        return Trace(key, sides, recorded.attention, store, self.vocabulary, facts, plain_logits=plain)
