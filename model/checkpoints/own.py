"""A trained checkpoint of our own Transformer, opened: text in, `Trace` out."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from model.checkpoints import own_files
from model.checkpoints.own_files import FILES
from model.checkpoints.remarks import not_finite
from model.errors import DamagedCheckpoint, HeadlightError, NoCheckpoint, TextTooLong, UnknownOption
from model.jobs.device import CPU, device_of, facts_of, host
from model.text.tokenizer import END, Reading, Tokenizer
from model.trace.record_own import record_run
from model.trace.trace import Side, Trace, TraceKey
from model.transformer.config import TransformerConfig
from model.transformer.encoder_decoder import Transformer
from model.transformer.greedy import greedy


@dataclass(frozen=True, eq=False)
class OwnModel:
    """An encoder–decoder of ours with its tokenizers and card. `starts` maps an output language to its start token."""

    name: str
    module: Transformer
    source: Tokenizer
    target: Tokenizer
    starts: Mapping[str, str]
    card: Mapping[str, object]
    weights_hash: str
    # The module is shared by every page of the app; two threads inside one small model only slow each other down.
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def config(self) -> TransformerConfig:
        return self.module.config

    @property
    def device(self) -> str:
        """Where it runs: "cpu", or a graphics card, "cuda:0"."""
        return str(device_of(self.module))

    @property
    def languages(self) -> tuple[str, ...]:
        """What the model can write, first the default."""
        return tuple(self.starts)

    @property
    def examples(self) -> list[str]:
        return list(self.card.get("examples", []))

    def read(self, text: str) -> Reading:
        """The source as the model reads it. Raises EmptyText, TextTooLong or UnknownWords."""
        return self.source.read(text)

    def trace(
        self, text: str, target: str | None = None, *, language: str | None = None, pad_to: int | None = None
    ) -> Trace:
        """Run `text` and record it.

        target: None lets the model write (greedy); a text forces it. language: one of `languages`. pad_to: pad the
        source to this many tokens, to see the padding mask at work.
        """
        target = target if target is not None and target.strip() else None  # an empty box forces nothing
        language = language or self.languages[0]
        if language not in self.starts:
            raise UnknownOption(what="Language", got=language, allowed=", ".join(self.languages))
        reading = self.read(text)
        length = len(reading.ids)
        if pad_to is not None and not length <= pad_to <= self.config.max_length:
            raise HeadlightError(reason=f"pad_to is {pad_to}: choose {length} to {self.config.max_length}.")
        padding = (pad_to or length) - length
        source = torch.tensor([*reading.ids, *[self.config.pad_id] * padding])
        with self.lock:
            target_ids, finished = self._target(source, target, self.target.ids[self.starts[language]])
            target_tensor = torch.tensor(target_ids)
            store, attention = record_run(self.module, source, target_tensor)

        def plain_logits() -> torch.Tensor:
            with self.lock, torch.no_grad():
                return host(self.module(source[None], target_tensor[None])[0])

        source_tokens = (*reading.tokens, *[self.source.vocabulary[0]] * padding)
        target_tokens = tuple(self.target.vocabulary[i] for i in target_ids)
        last = END if finished else self._best(store["logits"])
        options = {"language": language} | ({"pad_to": pad_to} if pad_to else {})
        return Trace(
            key=TraceKey(self.name, self.weights_hash, text, target, tuple(sorted(options.items()))),
            sides={
                "encoder": _side(self.source, source_tokens),
                "decoder": _side(self.target, target_tokens),
            },
            attention=attention,
            store=store,
            vocabulary=self.target.vocabulary,
            facts={
                "written": [*target_tokens[1:], last],
                "generated": target is None,
                "finished": finished,
                "norm": self.config.norm,
                "positions": self.config.positions,
                "folded": [list(pair) for pair in reading.folded],
                **({"not_finite": broken} if (broken := self.card.get("not_finite")) else {}),
                **facts_of(self.module),
            },
            plain_logits=plain_logits,
        )

    def _target(self, source: torch.Tensor, forced: str | None, start: int) -> tuple[list[int], bool]:
        if forced is None:
            return greedy(self.module, source, start, self.target.ids[END], self.config.max_length)
        ids = self.target.read(forced, side="target").ids
        if len(ids) + 1 > self.config.max_length:
            raise TextTooLong(got=len(ids) + 1, allowed=self.config.max_length)
        return [start, *ids], True

    def _best(self, logits: torch.Tensor) -> str:
        return self.target.vocabulary[int(logits[-1].argmax())]


def _side(tokenizer: Tokenizer, tokens: tuple[str, ...]) -> Side:
    return Side(tokens, tuple(tokenizer.ids[t] for t in tokens), tuple(tokenizer.is_special(t) for t in tokens))


def load(folder: Path, name: str | None = None, device: torch.device = CPU) -> OwnModel:
    """Open the checkpoint in `folder`, to run on `device`. Raises DamagedCheckpoint in one sentence."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    missing = [file for file in FILES if not (folder / file).is_file()]
    if len(missing) == len(FILES):
        raise NoCheckpoint(path=folder)
    if missing:
        raise DamagedCheckpoint(path=folder, reason=f"{', '.join(missing)} is missing")
    weights = folder / "weights.safetensors"
    try:
        told = own_files.read(folder)
        with torch.random.fork_rng(devices=[]):  # building the module may not disturb the caller's random numbers
            module = Transformer(told.config)
        module.load_state_dict({key: value.float() for key, value in load_file(weights).items()})
    except (SafetensorError, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedCheckpoint(path=folder, reason="a file is truncated or not what its name says") from error
    except RuntimeError as error:
        raise DamagedCheckpoint(path=folder, reason="its weights do not fit its config.json") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedCheckpoint(path=folder, reason=str(error).rstrip(".")) from error
    card = told.card | ({"not_finite": broken} if (broken := not_finite(module)) else {})
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
    return OwnModel(name or folder.name, module.to(device).eval(), told.source, told.target, told.starts, card, digest)
