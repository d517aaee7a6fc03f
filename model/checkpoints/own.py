"""A trained checkpoint of our own Transformer, opened: text in, `Trace` out."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from model.checkpoints import own_files, own_run
from model.checkpoints.again import RunsAgain
from model.checkpoints.disk.tasks import own_task
from model.checkpoints.edited import own as edited
from model.checkpoints.edited.work_out import work_out
from model.checkpoints.own_files import FILES
from model.checkpoints.own_subwords import Subwords
from model.checkpoints.remarks import not_finite
from model.edits.plan import Edit
from model.errors import DamagedCheckpoint, LacksPackage, NoCheckpoint, NotInThisModel, TextTooLong
from model.files.regular import bytes_of
from model.jobs.device import CPU, device_of, host
from model.text.tokenizer import Reading, Tokenizer
from model.text.truncation import Start
from model.trace.attention_record import AttentionRecord
from model.trace.record_own import record_run
from model.trace.site import Site
from model.trace.tensors import Store
from model.trace.trace import Trace, TraceKey
from model.training.run_files.small_snapshots import unpacked
from model.transformer.config import TransformerConfig
from model.transformer.encoder_decoder import Transformer

_LARGEST = 2**36  # bytes of weights


class Recorded(NamedTuple):
    """One recorded forward: its activations and, of each attention sub-layer, its record."""

    store: Store
    attention: Mapping[Site, AttentionRecord]


@dataclass(frozen=True, eq=False)
class OwnModel(RunsAgain):
    """A Transformer of ours with its tokenizers and card: an encoder–decoder, or one of the two alone.

    source, target: of an encoder, of a decoder; None where the model has none. `starts` maps an output language to its start
    token; a decoder alone has one, which stands before every text. subwords: what cuts its texts, None where words or
    characters do.
    """

    name: str
    module: Transformer
    source: Tokenizer | None
    target: Tokenizer | None
    starts: Mapping[str, str]
    card: Mapping[str, object]
    weights_hash: str
    subwords: Subwords | None = field(default=None, repr=False)
    # The module is shared by every page of the app; two threads inside one small model only slow each other down.
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def config(self) -> TransformerConfig:
        return self.module.config

    @property
    def task(self) -> str:
        """ "seq2seq", "causal" or "masked"."""
        return own_task(self.config.to_dict())

    @property
    def decodes(self) -> bool:
        """Whether it has a decoder beside its encoder."""
        return self.task == "seq2seq"

    @property
    def device(self) -> str:
        """Where it runs: "cpu", or a graphics card, "cuda:0"."""
        return str(device_of(self.module))

    @property
    def languages(self) -> tuple[str, ...]:
        """What an encoder–decoder can write, first the default; () of one stack alone."""
        return tuple(self.starts) if self.decodes else ()

    @property
    def examples(self) -> list[str]:
        return list(self.card.get("examples", []))

    @property
    def max_length(self) -> int:
        """Tokens of a text, the start token counted."""
        return self.config.max_length

    @property
    def reader(self) -> Tokenizer:
        """The tokenizer of the text that is given: the encoder's, or that of a decoder alone."""
        return self.target if self.source is None else self.source

    def read(self, text: str) -> Reading:
        """The text as the model reads it. Raises EmptyText, TextTooLong or UnknownWords."""
        return self.reader.read(text)

    def start(self, text: str, new_tokens: int = 0) -> Start | None:
        """The longest start of `text` that is read beside `new_tokens` to be written after it; None where there is none."""
        return self.reader.start(text, new_tokens if self.task == "causal" else 0)

    def plain_ids(self) -> tuple[list[int], list[int]]:
        """(ids of the tokens that a text is made of, ids that stand before it). Raises NotInThisModel of two stacks."""
        known = [i for i, token in enumerate(self.reader.vocabulary) if not self.reader.is_special(token)]
        if self.decodes or len(known) < 2:
            raise NotInThisModel(what="Reading random tokens", does="does not read one text of tokens in one stack")
        return known, [self.start_id()] if self.task == "causal" else []

    def start_id(self, language: str | None = None) -> int:
        """The token that a decoder begins with: that of a language, or the only one."""
        return self.target.ids[self.starts[language or next(iter(self.starts))]]

    def record_ids(self, ids: Sequence[int]) -> Recorded:
        """One forward over these ids as they are, of a model with one stack. Raises TextTooLong."""
        if len(ids) > self.max_length:
            raise TextTooLong(got=len(ids), allowed=self.max_length)
        given = torch.tensor(list(ids))
        with self.lock:
            return Recorded(*record_run(self.module, *((given, None) if self.task == "masked" else (None, given))))

    def trace(
        self,
        text: str,
        target: str | None = None,
        *,
        language: str | None = None,
        pad_to: int | None = None,
        new_tokens: int | None = None,
        target_ids: Sequence[int] | None = None,
        edits: Sequence[Edit | str] = (),
    ) -> Trace:
        """Run `text` and record it.

        target: None lets an encoder–decoder write (greedy); a text forces it. language: one of `languages`. pad_to: pad an
        encoder's text to this many tokens, to see the padding mask at work. new_tokens: how many tokens to write at most
        (default: as many as there is room for; a decoder alone writes none). target_ids: forces these tokens after the start one,
        also such as no text reads as. edits: what is changed in the run (`model.edits.parse`), the writing too. Raises
        NotInThisModel for what this shape has not, BadEdit, NothingToEdit.
        """
        target = target if target is not None and target.strip() else None  # an empty box forces nothing
        asked = own_run.Asked(
            target, language, pad_to or None, new_tokens or None, None if target_ids is None else tuple(target_ids)
        ).checked(self)
        reading = self.read(text)
        worked_out, _ = work_out(self, edits, text, target, asked.given, partial(edited.entering, self.module))
        with self.lock, edited.edited(self.module, worked_out):
            run = own_run.run_of(self, reading, asked)
            store, attention = record_run(self.module, run.source, run.target, worked_out.sites)

        def plain_logits() -> torch.Tensor:
            with self.lock, torch.no_grad(), edited.edited(self.module, worked_out):
                return host(self.module(*(None if ids is None else ids[None] for ids in (run.source, run.target)))[0])

        sides = own_run.sides_of(self, run)
        facts = own_run.facts_of_run(self, run, sides, store["logits"], reading)
        return Trace(
            key=TraceKey(self.name, self.weights_hash, text, target, asked.options + worked_out.options),
            sides=sides,
            attention=attention,
            store=store,
            vocabulary=(self.target or self.source).texts,
            facts=facts | worked_out.facts,
            plain_logits=plain_logits,
        )


def load(folder: Path, name: str | None = None, device: torch.device = CPU, snapshot: Path | None = None) -> OwnModel:
    """Open the checkpoint in `folder`, to run on `device`; snapshot: a file of the weights of another step.

    Raises DamagedCheckpoint in one sentence.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as load_bytes

    missing = [file for file in FILES if not (folder / file).is_file()]
    if len(missing) == len(FILES):
        raise NoCheckpoint(path=folder)
    if missing:
        raise DamagedCheckpoint(path=folder, reason=f"{', '.join(missing)} is missing")
    weights = snapshot or folder / "weights.safetensors"
    file = f"its snapshot {snapshot.name}" if snapshot else "a file"
    try:
        told = own_files.read(folder)
        with torch.random.fork_rng(devices=[]):  # building the module may not disturb the caller's random numbers
            module = Transformer(told.config)
        content = bytes_of(weights, _LARGEST)
        module.load_state_dict(unpacked(load_bytes(content)))
    except (DamagedCheckpoint, LacksPackage):
        raise
    except (SafetensorError, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedCheckpoint(path=folder, reason=f"{file} is truncated or not what its name says") from error
    except RuntimeError as error:
        what = f"{file} does" if snapshot else "its weights do"
        raise DamagedCheckpoint(path=folder, reason=f"{what} not fit its config.json") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedCheckpoint(path=folder, reason=str(error).rstrip(".")) from error
    card = told.card | ({"not_finite": broken} if (broken := not_finite(module)) else {})
    digest = hashlib.sha256(content).hexdigest()[:16]
    return OwnModel(
        name or folder.name, module.to(device).eval(), told.source, told.target, told.starts, card, digest, told.subwords
    )  # fmt: skip
