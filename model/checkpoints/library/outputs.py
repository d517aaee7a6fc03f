"""Outputs of a library model beyond attention: sampled continuations, one training step, sentence embeddings."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from model.checkpoints.disk import cost
from model.checkpoints.disk.generation_config import end_tokens
from model.checkpoints.library.decoder_input import decoder_input
from model.checkpoints.record.forward import record
from model.checkpoints.task_heads.sentence_pooling import pooled, pooling
from model.checkpoints.tokens.continuation import joined
from model.checkpoints.tokens.encode import Encoded, check_ids, tokenized
from model.checkpoints.tokens.languages import opening, reading_as
from model.errors import HeadlightError, NotInThisModel, TextTooLong, TooLargeToTrain
from model.jobs.device import host
from model.jobs.progress import tick
from model.trace.trace_key import TraceKey

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel
    from model.trace.trace import Trace

__all__ = ["Continuation", "TrainingStep", "pooling", "sample", "sentence_vector", "training_step"]
# A training step holds weights, gradients and Adam's two moments: four times the weights, on a copy.
LARGEST_TRAINED = 500_000_000


@dataclass(frozen=True)
class Continuation:
    """One sampled sequence: the whole text, what was added, and Σ log p of the added tokens under the model itself.

    The log-probabilities are those of the unmodified distribution, whatever temperature, top-k or top-p drew with.
    """

    text: str
    added: str
    tokens: int
    log_probability: float


@dataclass(frozen=True)
class TrainingStep:
    """One optimiser step on one pair: the cross-entropy before and after, per token of `labels`, and ‖gradient‖₂.

    probabilities: of each of `labels` before the step and after it. before, after: the runs of the tokens that were learned
    from, with the weights before the step and after it.
    """

    labels: tuple[str, ...]
    loss_before: float
    loss_after: float
    gradient_norm: float
    learning_rate: float
    probabilities: tuple[tuple[float, float], ...]
    before: Trace
    after: Trace


def sample(
    model: HuggingFaceModel, text: str, count: int = 3, *, new_tokens: int = 30, temperature: float = 1.0,
    top_k: int = 50, top_p: float = 1.0, seed: int = 0, chat: bool = False, language: str | None = None,
    source_language: str | None = None,
) -> list[Continuation]:  # fmt: skip
    """`count` sequences that go on with `text` (or answer it, from an encoder–decoder), drawn with `seed`.

    temperature > 0; top_k 0 keeps every token; top_p in (0, 1]. The same seed draws the same sequences. chat and the
    languages are read as `HuggingFaceModel.trace` reads them; a token that a language forces is not scored.
    """
    if model.task not in ("causal", "seq2seq"):
        raise NotInThisModel(what="Writing", does="reads, and says nothing of what comes next")
    for name, got, right in (
        ("temperature", temperature, temperature > 0), ("top_p", top_p, 0 < top_p <= 1), ("top_k", top_k, top_k >= 0),
        ("count", count, 1 <= count <= 10), ("new_tokens", new_tokens, 1 <= new_tokens <= 200),
    ):  # fmt: skip
        if not right or not math.isfinite(got):
            raise HeadlightError(reason=f"{name} is {got}, which is out of its range.")
    ids = model.encode(text, None, chat, source_language).inputs["input_ids"]
    # A decoder needs room for one token at least.
    _check(ids.shape[1], model.max_length - (model.task == "causal"))
    with model.lock, torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = model.generate(
            ids,
            new_tokens,
            language,
            do_sample=True,
            num_return_sequences=count,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        forced = int("forced_bos_token_id" in opening(model.tokenizer, language))
        return [_continuation(model, ids, row, forced) for row in found]


def _check(length: int, allowed: int) -> None:
    if length > allowed:
        raise TextTooLong(got=length, allowed=allowed)


def _continuation(model: HuggingFaceModel, ids: Tensor, row: Tensor, forced: int) -> Continuation:
    """Score one drawn sequence by the model's own probabilities, up to its end token and without `forced` first ones."""
    both = model.task == "seq2seq"
    start = 1 + forced if both else ids.shape[1]
    ends = end_tokens(model.module)
    stop = next((i + 1 for i in range(start, len(row)) if int(row[i]) in ends), len(row))
    row = row[:stop]
    given = {"input_ids": ids, "decoder_input_ids": row[None]} if both else {"input_ids": row[None]}
    logits = host(model.module(**given, use_cache=False).logits[0]).float()
    steps = logits[start - 1 : -1].log_softmax(-1).gather(1, row[start:, None])
    added = model.tokenizer.decode(row[start:], skip_special_tokens=True)
    whole = added if both else model.tokenizer.decode(row, skip_special_tokens=True)
    return Continuation(whole, added, int(row.shape[0] - start), float(steps.double().sum()))


def training_step(
    model: HuggingFaceModel, text: str, target: str, *, learning_rate: float = 1e-4, chat: bool = False,
    language: str | None = None, source_language: str | None = None,
) -> TrainingStep:  # fmt: skip
    """One Adam step (β = 0.9, 0.98, ε = 1e-9; Vaswani et al. 2017, section 5.3) on a copy; the model stays as it is.

    An encoder–decoder learns to write `target`; a decoder learns to go on with it, and the text itself is not scored; the
    space between two words is put where neither has one.
    Without labels a model gives no loss, which is why the target is needed. chat and the languages: as `sample`.
    """
    if model.task not in ("causal", "seq2seq"):
        raise NotInThisModel(what="Learning to write a target", does="has no output that writes")
    if not target.strip():
        raise HeadlightError(reason="The target is empty: without labels there is no loss. Type what it should write.")
    size = sum(p.numel() for p in model.module.parameters())
    if size > LARGEST_TRAINED:
        raise TooLargeToTrain(got=f"{size:,}", allowed=f"{LARGEST_TRAINED:,}")
    with reading_as(model.tokenizer, source_language, language):
        encoded, given, labels = labelled_pair(model, text, target, chat)
        read = _as_read(model, given, target, language)
    check_ids(model.tokenizer, labels, model.module.get_input_embeddings().weight.shape[0])
    _check(max(given["input_ids"].shape[1], labels.shape[1]), model.max_length)
    tick("training", 0.1)
    options = {
        "learning_rate": learning_rate,
        "chat": chat or None,
        "language": language,
        "source_language": source_language,
    }
    told = tuple(sorted((name, value) for name, value in options.items() if value is not None))
    key = TraceKey(model.name, model.weights_hash, text, target, told)
    with model.lock:
        # Of the model itself: a record has its projections, which the step below changes in place.
        before = _recorded(model, key, encoded, read, labels)
        # Together, so that the copy as the library runs it has the copy's tensors.
        module, untouched = copy.deepcopy((model.module, model.untouched))
    with torch.enable_grad():
        optimiser = torch.optim.Adam(module.parameters(), lr=learning_rate, betas=(0.9, 0.98), eps=1e-9)
        loss = module(**given, labels=labels, use_cache=False).loss
        tick("training", 0.4)
        loss.backward()
        norm = math.sqrt(sum(float(p.grad.double().pow(2).sum()) for p in module.parameters() if p.grad is not None))
        tick("training", 0.7)
        optimiser.step()
    with torch.no_grad():
        loss_after = float(module(**given, labels=labels, use_cache=False).loss)
    stepped = replace(model, module=module, untouched=untouched, weights_hash=f"{model.weights_hash}+step")
    after = _recorded(stepped, replace(key, weights_hash=stepped.weights_hash), encoded, read, labels)
    after.fidelity()  # measured here: then the copies need not live as long as the run
    scored = labels[0][labels[0] != -100].tolist()
    names = tuple(model.vocabulary[i] if i < len(model.vocabulary) else f"#{i}" for i in scored)
    told = tuple(zip(*(_of_labels(run, labels, model.decodes) for run in (before, after)), strict=True))
    return TrainingStep(names, float(loss.detach()), loss_after, norm, learning_rate, told, before, after)


def _of_labels(run: Trace, labels: Tensor, decodes: bool) -> list[float]:
    """The probability that a run gives to each label, in the row that is scored for it: a decoder's is the one before."""
    targets = labels[0] if decodes else labels[0, 1:]
    rows = (targets != -100).nonzero().flatten()
    logits = run.logits[: len(targets)][rows].double()
    return logits.softmax(-1).gather(1, targets[rows, None])[:, 0].tolist()


def _as_read(model: HuggingFaceModel, given: dict[str, Tensor], target: str, language: str | None) -> dict[str, Tensor]:
    """What the forward reads while it learns: of an encoder–decoder the labels too, moved on by one."""
    if model.task != "seq2seq":
        return given
    return given | {"decoder_input_ids": decoder_input(model, given["input_ids"], target, 1, language).ids}


@torch.no_grad()
def _recorded(
    model: HuggingFaceModel, key: TraceKey, encoded: Encoded, read: dict[str, Tensor], labels: Tensor
) -> Trace:  # fmt: skip
    """The forward of a step, with the weights that the module has now."""
    with cost.within_memory():
        found = record(model.module, read)
    said: dict[str, object] = {"generated": False, "prompt": encoded.length}
    return model.as_trace(key, encoded, read, found, said | ({"after": int(labels[0, -1])} if model.decodes else {}))


def labelled_pair(
    model: HuggingFaceModel, text: str, target: str, chat: bool = False
) -> tuple[Encoded, dict[str, Tensor], Tensor]:  # fmt: skip
    """(what the text reads as, what is given to the model, the labels [1, n], −100 where nothing is scored)."""
    encoded = model.encode(text, None, chat)
    ids = encoded.inputs["input_ids"]
    if model.task == "seq2seq":
        return encoded, {"input_ids": ids}, tokenized(model.tokenizer, text_target=target).input_ids
    target = target if chat else joined(model.tokenizer, text, target)
    more = tokenized(model.tokenizer, target, add_special_tokens=False).input_ids
    labels = torch.cat([torch.full_like(ids, -100), more], dim=1)
    return encoded, {"input_ids": torch.cat([ids, more], dim=1)}, labels


def sentence_vector(trace: Trace, how: str | None = None) -> Tensor:
    """A sentence as one vector of length 1, from the last layer's recorded stream: float64 [d].

    how: "mean", "cls", "max" or "last", see `model.checkpoints.task_heads.sentence_pooling`; else as the model's folder says.
    """
    stack = "encoder" if "encoder" in trace.sides else "decoder"
    layers = [site.layer for site in trace.sites if site.stack == stack]
    stream = trace.activation(f"{stack}.{max(layers) + 1}.stream").double()
    return functional.normalize(pooled(stream, how or str(trace.facts.get("pooling", "mean"))), dim=0)
