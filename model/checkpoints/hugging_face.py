"""A checkpoint of the transformers library on disk, opened: text in, the same `Trace` out as for our own model.

Nothing is fetched and no code of the checkpoint is run: local files only, safetensors only, library classes only.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from model import logits
from model.checkpoints import estimate
from model.checkpoints.estimate import Running
from model.checkpoints.families import FAMILIES
from model.checkpoints.quiet import quiet
from model.checkpoints.reading import Encoded, encode, ids_of, side, vocabulary
from model.checkpoints.recording import Recorded, plain, record
from model.checkpoints.tasks import task_of
from model.errors import HeadlightError, NotInThisModel, TextTooLong, UnsupportedFamily
from model.progress import tick
from model.trace import Side, Trace, TraceKey

# Their positions begin after the padding id's, so that many of the table's rows are never used.
_PADDED_POSITIONS = {
    "roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl", "roberta-prelayernorm", "ibert", "xmod",
    "esm", "luke", "data2vec-text",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class HuggingFaceModel:
    """A library model with its tokenizer. `family` is the configuration's model_type."""

    name: str
    module: nn.Module
    tokenizer: Any
    family: str
    weights_hash: str
    card: Mapping[str, object] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def task(self) -> str:
        """One of `model.checkpoints.tasks.TASKS`."""
        return task_of(type(self.module).__name__)

    @property
    def reads(self) -> str:
        """ "text", "pictures" or "sound"."""
        return next((known.reads for known in FAMILIES if known.model_type == self.family), "text")

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

    @property
    def max_length(self) -> int:
        """Tokens that the positions allow; 1,000,000 where the configuration sets no limit."""
        config = self.module.config
        for name in ("max_position_embeddings", "n_positions", "n_ctx"):
            if isinstance(getattr(config, name, None), int) and getattr(config, name) > 0:  # XLNet: −1, no limit
                reserved = config.pad_token_id + 1 if self.family in _PADDED_POSITIONS else 0
                return getattr(config, name) - reserved
        return 1_000_000

    def trace(
        self,
        text: str,
        target: str | None = None,
        *,
        pair: str | None = None,
        chat: bool = False,
        new_tokens: int | None = None,
        language: str | None = None,
    ) -> Trace:
        """Run `text` and record it in one forward.

        target: forces the output of an encoder–decoder, which else writes its own (greedy). pair: a second text, for
        models that read two. chat: each line of `text` is a turn, the user's first, through the tokenizer's template.
        new_tokens: how many tokens to write at most (default: 40 for an encoder–decoder, none for a decoder, whose
        continuation is then recorded with the text). language: for models of ours; ignored here.
        """
        if self.tokenizer is None:
            raise NotInThisModel(what="Reading a text", does="reads pictures")
        target = target if target is not None and target.strip() else None
        given = encode(self.tokenizer, text, pair, chat)
        self._check(given.length)
        # Said before the forward: a machine that runs out of memory says nothing.
        estimate.check_record(self._cost(given.length + (new_tokens or 0), 1).record_bytes)
        inputs = dict(given.inputs)
        encoder_decoder = bool(self.module.config.is_encoder_decoder)
        prompt, after = given.length, None
        with self.lock, torch.no_grad():
            if encoder_decoder:
                limit = 40 if new_tokens is None else new_tokens
                inputs["decoder_input_ids"], after = self._target(inputs["input_ids"], target, limit)
            elif target is not None:
                raise NotInThisModel(what="An output of its own", does="has no decoder that reads another text")
            elif new_tokens and self.task == "causal":
                inputs = {"input_ids": self.generate(inputs["input_ids"], new_tokens)}
            tick("layers", 0.0)
            try:
                recorded = record(self.module, inputs)
            except HeadlightError:
                raise
            except ValueError as error:  # what of this family cannot be followed, said by the recorder
                names = ", ".join(known.model_type for known in FAMILIES)
                raise UnsupportedFamily(
                    path=self.name, family=self.family, reason=f"and {error}", allowed=names
                ) from error
        options: dict[str, object] = {"pair": pair, "chat": chat or None, "new_tokens": new_tokens or None}
        key = TraceKey(
            self.name, self.weights_hash, text, target,
            tuple(sorted((name, value) for name, value in options.items() if value is not None)),
        )  # fmt: skip
        facts = {"generated": target is None, "prompt": prompt} if encoder_decoder or new_tokens else {}
        return self._trace(key, given, inputs, recorded, facts | {"after": after})

    def expects(self, text: str, pair: str | None = None, chat: bool = False, new_tokens: int = 0) -> Running:
        """What recording this input will take, before it is begun. Raises as `trace` does for input it refuses."""
        given = encode(self.tokenizer, text, pair, chat)
        self._check(given.length)
        return self._cost(given.length + new_tokens, 40 if self.module.config.is_encoder_decoder else 0)

    def _cost(self, n: int, m: int) -> Running:
        facts = self.module.config.to_dict() | {"architectures": [type(self.module).__name__]}
        return estimate.before_run(facts, n, m)

    def _check(self, length: int) -> None:
        if length > self.max_length:
            raise TextTooLong(got=length, allowed=self.max_length)

    def generate(self, ids: Tensor, new_tokens: int, **how: Any) -> Tensor:
        """ids [1, n] -> [s, n + ·]: the text continued, greedily unless `how` says otherwise (the library's own)."""
        from transformers import StoppingCriteriaList

        def heard(written: Tensor, _scores: object) -> Tensor:
            done = written.shape[1] - start
            tick("writing", min(1.0, done / new_tokens))
            return torch.zeros(written.shape[0], dtype=torch.bool, device=written.device)

        encoder_decoder = bool(self.module.config.is_encoder_decoder)
        start = 1 if encoder_decoder else ids.shape[1]
        room = self.max_length - start
        if room < 1:
            raise TextTooLong(got=start, allowed=self.max_length - 1)
        if not hasattr(self.module, "generate"):
            raise NotInThisModel(what="Writing", does="has no head that writes")
        with quiet():
            return self.module.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max(1, min(new_tokens, room)),
                stopping_criteria=StoppingCriteriaList([heard]), pad_token_id=self._pad(),
                **({"do_sample": False, "num_beams": 1} | how),
            )  # fmt: skip

    def _pad(self) -> int | None:
        for number in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if number is not None:
                return number
        return None

    def _target(self, ids: Tensor, forced: str | None, limit: int) -> tuple[Tensor, int | None]:
        """(decoder input ids beginning with the start token [1, m], the token after the last of them where it is known).

        The end token is written by the row before it and never read: a row of its own would predict what nobody asked for.
        """
        if forced is None:
            written = self.generate(ids, limit)
            told = self.module.generation_config.eos_token_id
            ends = told if isinstance(told, list) else [told]
            last = int(written[0, -1])
            return (written[:, :-1], last) if written.shape[1] > 1 and last in ends else (written, None)
        labels = self.tokenizer(text_target=forced, return_tensors="pt").input_ids
        self._check(labels.shape[1])
        if hasattr(self.module, "prepare_decoder_input_ids_from_labels"):
            return self.module.prepare_decoder_input_ids_from_labels(labels), int(labels[0, -1])
        start = torch.full_like(labels[:, :1], self.module.config.decoder_start_token_id)
        return torch.cat([start, labels[:, :-1]], dim=1), int(labels[0, -1])

    def _trace(
        self, key: TraceKey, given: Encoded, inputs: dict[str, Tensor], recorded: Recorded, facts: dict[str, object]
    ) -> Trace:
        store = recorded.store
        sides = self._sides(given, inputs, recorded)
        facts = {"family": self.family, "task": self.task, "norm": "unknown"} | facts
        if self.card.get("fresh"):
            facts["fresh"] = list(self.card["fresh"])
        if (gap := self.tokenizer.mask_token_id) is not None and "encoder" in sides:
            facts["gaps"] = [i for i, number in enumerate(sides["encoder"].ids) if number == gap]
        after = facts.pop("after", None)
        if "decoder" in sides and self.task in ("causal", "seq2seq") and logits.kept(store):
            if after is None:
                ((after, _),) = logits.most_probable(store, -1, 1)
            facts["written"] = [*sides["decoder"].texts[1:], self._text(after)]

        if "class_logits" in store and self.task == "classification":
            facts["classes"] = self._classes(store["class_logits"])

        def plain_logits() -> Tensor:
            with self.lock, torch.no_grad():
                return plain(self.module, inputs)

        return Trace(
            key=key,
            sides=sides,
            attention=recorded.attention,
            store=store,
            vocabulary=self.vocabulary,
            facts=facts,
            plain_logits=plain_logits if logits.kept(store) else None,
        )

    def _classes(self, found: Tensor) -> list[list[object]]:
        """[label, probability] of the likeliest classes, best first; one number alone is a score, not a probability."""
        if found.numel() < 2:
            return []
        best = found.double().softmax(-1).topk(min(10, found.numel()))
        return [[self.labels[i], p] for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]

    def _text(self, number: int) -> str:
        return self.vocabulary[number] if number < len(self.vocabulary) else f"#{number}"

    def _sides(self, given: Encoded, inputs: Mapping[str, Tensor], recorded: Recorded) -> dict[str, Side]:
        own = "decoder" if recorded.stacks == {"decoder"} else "encoder"
        sides = {own: side(self.tokenizer, ids_of(inputs, "input_ids"), given.text, given.segments)}
        if "decoder_input_ids" in inputs:
            sides["decoder"] = side(self.tokenizer, ids_of(inputs, "decoder_input_ids"))
        return sides
