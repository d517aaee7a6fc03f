"""A checkpoint of the transformers library on disk, opened: text in, the same `Trace` out as for our own model.

Nothing is fetched and no code of the checkpoint is run: local files only, safetensors only, library classes only.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints.recording import Recorded, plain, record
from model.errors import EmptyText, TextTooLong
from model.trace import Side, Trace, TraceKey


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
    def max_length(self) -> int:
        """Tokens that the positions allow; 1,000,000 where the configuration sets no limit."""
        config = self.module.config
        for name in ("max_position_embeddings", "n_positions", "n_ctx"):
            if isinstance(getattr(config, name, None), int):
                return getattr(config, name)
        return 1_000_000

    def trace(self, text: str, target: str | None = None, *, max_new_tokens: int = 40) -> Trace:
        """Run `text` and record it; an encoder–decoder writes its target (greedy) unless `target` forces one."""
        if not text.strip():
            raise EmptyText()
        ids = self.tokenizer(text, return_tensors="pt").input_ids
        if ids.shape[1] > self.max_length:
            raise TextTooLong(got=ids.shape[1], allowed=self.max_length)
        inputs = {"input_ids": ids}
        with self.lock, torch.no_grad():
            if self.module.config.is_encoder_decoder:
                inputs["decoder_input_ids"] = self._target(ids, target, max_new_tokens)
            recorded = record(self.module, inputs)
        return self._trace(text, target, inputs, recorded)

    def _target(self, ids: Tensor, forced: str | None, limit: int) -> Tensor:
        """Decoder input ids beginning with the start token: [1, m]."""
        if forced and forced.strip():
            labels = self.tokenizer(text_target=forced, return_tensors="pt").input_ids
            return self.module.prepare_decoder_input_ids_from_labels(labels)
        return self.module.generate(input_ids=ids, max_new_tokens=limit, do_sample=False, num_beams=1)

    def _trace(self, text: str, target: str | None, inputs: dict[str, Tensor], recorded: Recorded) -> Trace:
        sides = {}
        for name, ids in inputs.items():
            decoder = name.startswith("decoder") or (len(inputs) == 1 and recorded.stacks == {"decoder"})
            sides["decoder" if decoder else "encoder"] = self._side(ids[0].tolist())

        def plain_logits() -> Tensor:
            with self.lock, torch.no_grad():
                return plain(self.module, inputs)

        store = recorded.store
        facts: dict[str, object] = {"family": self.family, "generated": target is None, "norm": "unknown"}
        if "logits" in store and "decoder" in sides:
            best = int(store["logits"][-1].argmax())
            facts["written"] = [*sides["decoder"].tokens[1:], *self._side([best]).tokens]
        return Trace(
            key=TraceKey(self.name, self.weights_hash, text, target),
            sides=sides,
            attention=recorded.attention,
            store=store,
            vocabulary=tuple(self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))),
            facts=facts,
            plain_logits=plain_logits if "logits" in store else None,
        )

    def _side(self, ids: list[int]) -> Side:
        special = set(self.tokenizer.all_special_ids)
        tokens = tuple(self.tokenizer.convert_ids_to_tokens(ids))
        return Side(tokens, tuple(ids), tuple(i in special for i in ids))
