"""Generation with library models: the `Decoder` of a run, and beam search and sampling by the library's own `generate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from model.checkpoints.disk.generation_config import end_tokens
from model.checkpoints.library_logging import quiet
from model.checkpoints.record import forward
from model.checkpoints.tokens import languages
from model.generation.beam import Beams
from model.generation.decoder import Decoder, tokens_left
from model.generation.sampling import Drawn, SamplingOptions, drawn, until_end
from model.jobs.device import host
from model.jobs.progress import tick
from model.trace.attention_record import AttentionRecord
from model.trace.site import Site
from model.trace.trace import Trace

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel


def writes(model: Any) -> bool:
    """Whether a library model of texts has a head that writes."""
    return model.task in ("causal", "seq2seq") and model.reads == "text" and hasattr(model.module, "generate")


def _source(model: HuggingFaceModel, trace: Trace) -> Tensor | None:
    return torch.tensor([trace.token_ids("encoder")]) if model.decodes else None


def _prompt(model: HuggingFaceModel, trace: Trace) -> tuple[int, ...]:
    """What stands before the first written token."""
    ids = trace.token_ids("decoder")
    return tuple(ids[:1]) if model.decodes else tuple(ids[: int(trace.facts.get("prompt", len(ids)))])


def decoder(model: HuggingFaceModel, trace: Trace) -> Decoder:
    """The `Decoder` that continues the prompt of `trace`, or decodes over its source where there is an encoder."""
    source, module = _source(model, trace), model.module
    memory: list[Any] = []

    def encoder_inputs(count: int) -> dict[str, Any]:
        if source is None:
            return {}
        if not memory:
            memory.append(module.get_encoder()(input_ids=source))
        return {
            "encoder_outputs": _repeated(memory[0], count),
            "attention_mask": source.new_ones(count, source.shape[1]),
        }

    def run(ids: Tensor, **options: Any) -> Any:
        name = "input_ids" if source is None else "decoder_input_ids"
        return module(**encoder_inputs(len(ids)), **{name: ids}, **options)

    def logits(ids: Tensor) -> Tensor:
        with model.lock, torch.no_grad():
            return host(run(ids, use_cache=False).logits[:, -1]).float()

    def record(ids: Sequence[int]) -> Mapping[Site, AttentionRecord]:
        text = torch.tensor([list(ids)])
        inputs = {"input_ids": text} if source is None else {"input_ids": source, "decoder_input_ids": text}
        with model.lock, torch.no_grad():
            return forward.record(module, inputs).attention

    def stepwise(ids: Sequence[int], first: int) -> Iterable[Tensor]:
        with model.lock, torch.no_grad():
            yield from _stepwise(run, ids, first)

    return Decoder(_prompt(model, trace), end_tokens(model.module), model.max_length, logits, record, stepwise)


def _repeated(output: Any, count: int) -> Any:
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=output.last_hidden_state.expand(count, -1, -1))


def _stepwise(run: Callable[..., Any], ids: Sequence[int], first: int) -> Iterable[Tensor]:
    """Token by token with the library's cache; a model that keeps none reads the whole prefix again."""
    cache, seen = None, 0
    for n in range(first, len(ids) + 1):
        tick("writing", (n - first) / (len(ids) + 1 - first))
        more = {"past_key_values": cache} if cache is not None else {}
        output = run(torch.tensor([list(ids[seen:n])]), use_cache=True, **more)
        cache = getattr(output, "past_key_values", None)
        seen = n if cache is not None else 0
        yield host(output.logits[0, -1]).float()


@dataclass(frozen=True)
class Compared:
    """Our tree beside the library's answer. `differs`: the step from which they part (0 the first), None where they agree
    token for token, beams and answer alike; tokens: the library's answer."""

    beams: Beams
    tokens: tuple[int, ...]
    differs: int | None


def beam_search(
    model: HuggingFaceModel, trace: Trace, k: int, alpha: float, new_tokens: int, language: str | None = None
) -> Compared:
    """The library's own beam search (early_stopping=False), with the tree that our rules make of the very scores it used.

    Each step's scores are read where `generate` hands them on, after the checkpoint's own processors (tokens it may not
    repeat, or must begin with): −∞ is what these forbid. With one beam the library decodes greedily on logits.
    """
    prompt = _prompt(model, trace)
    limit, ends = tokens_left(model.max_length, len(prompt), new_tokens), end_tokens(model.module)
    beams = Beams(k, alpha, limit, ends)
    parted: list[int] = []

    def on_scores(ids: Tensor, scores: Tensor) -> Tensor:
        written = [tuple(row) for row in ids[:, len(prompt) :].tolist()]
        if not parted and (beams.done or written != beams.running):
            parted.append(len(written[0]))
        if not parted:
            beams.advance(torch.log_softmax(scores.float(), -1) if k == 1 else scores.float())
        tick("writing", len(written[0]) / limit)
        return scores

    options = {"early_stopping": False, "length_penalty": alpha} if k > 1 else {}
    rows = _generate(model, trace, limit, language, on_scores, do_sample=False, num_beams=k, **options)
    answer = until_end(rows[0, len(prompt) :].tolist(), ends)
    ours = beams.finished[0].tokens if beams.finished else ()
    if not parted and (ours != answer or not beams.done):
        parted.append(
            next((n for n, (a, b) in enumerate(zip(ours, answer, strict=False)) if a != b), min(len(ours), len(answer)))
        )
    return Compared(beams, answer, parted[0] if parted else None)


def sample(
    model: HuggingFaceModel,
    trace: Trace,
    count: int,
    new_tokens: int,
    options: SamplingOptions,
    seed: int,
    language: str | None = None,
) -> list[Drawn]:
    """`count` texts drawn by the library's `generate` with `seed`, and the log-probabilities of their tokens."""
    prompt = _prompt(model, trace)
    limit = tokens_left(model.max_length, len(prompt), new_tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = _generate(
            model, trace, limit, language, None, do_sample=True, num_beams=1, num_return_sequences=count,
            temperature=options.temperature, top_k=options.top_k, top_p=options.top_p, return_dict_in_generate=True,
            output_scores=True, output_logits=True,
        )  # fmt: skip
    written = found.sequences[:, len(prompt) :]
    plain, cut = (
        torch.stack([row.double().log_softmax(-1) for row in rows], 1).gather(2, written[:, :, None])[:, :, 0]
        for rows in (found.logits, found.scores)
    )
    return drawn(written.tolist(), end_tokens(model.module), plain, cut)


def _generate(
    model: HuggingFaceModel,
    trace: Trace,
    limit: int,
    language: str | None,
    on_scores: Callable[..., Tensor] | None,
    **options: Any,
) -> Any:
    from transformers import LogitsProcessorList, StoppingCriteriaList

    source = _source(model, trace)
    ids = torch.tensor([_prompt(model, trace)]) if source is None else source

    def ticking(written: Tensor, _scores: object) -> Tensor:
        tick("writing", min(1.0, (written.shape[1] - len(_prompt(model, trace))) / limit))
        return torch.zeros(written.shape[0], dtype=torch.bool, device=written.device)

    processors = LogitsProcessorList([on_scores] if on_scores is not None else [])
    with model.lock, torch.no_grad(), quiet():
        return model.module.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, pad_token_id=model._pad(),
            logits_processor=processors, stopping_criteria=StoppingCriteriaList([ticking]),
            **languages.opening(model.tokenizer, language), **options,
        )  # fmt: skip


def probe(model: HuggingFaceModel, n: int, s: int, **options: Any) -> Any:
    """One forward of the decoder alone on n tokens (the first ids) and s source rows of zeros."""
    module = model.module
    ids = torch.arange(n)[None] % model.module.get_input_embeddings().weight.shape[0]
    with model.lock, torch.no_grad():
        if not model.decodes:
            return module(input_ids=ids, **options)
        from transformers.modeling_outputs import BaseModelOutput

        width = module.get_decoder().get_input_embeddings().weight.shape[1]
        state = BaseModelOutput(last_hidden_state=torch.zeros(1, s, width, dtype=next(module.parameters()).dtype))
        return module(encoder_outputs=state, attention_mask=ids.new_ones(1, s), decoder_input_ids=ids, **options)


def head_once(model: HuggingFaceModel) -> bool:
    """Whether `generate` runs the output head on the last row alone."""
    return bool(model.module._supports_logits_to_keep())


def real_steps(model: HuggingFaceModel, trace: Trace, n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The step after the first n decoder tokens of `trace`, without and with a cache, each to be run once: n ≥ 2.

    The cache is made here, of n − 1 tokens. Raises ValueError for a model that keeps none.
    """
    source, module = _source(model, trace), model.module
    ids = torch.tensor([trace.token_ids("decoder")[:n]])
    last = {"logits_to_keep": 1} if head_once(model) else {}
    with model.lock, torch.no_grad():
        encoder_inputs = {} if source is None else {
            "encoder_outputs": module.get_encoder()(input_ids=source), "attention_mask": torch.ones_like(source)
        }  # fmt: skip
        name = "input_ids" if source is None else "decoder_input_ids"
        cache = getattr(module(**encoder_inputs, **{name: ids[:, :-1]}, use_cache=True), "past_key_values", None)
    if cache is None:
        raise ValueError("the model keeps no cache of keys and values")

    def step(text: Tensor, **options: Any) -> Any:
        with model.lock, torch.no_grad():
            return module(**encoder_inputs, **{name: text}, **options, **last)

    return lambda: step(ids, use_cache=False), lambda: step(ids[:, -1:], use_cache=True, past_key_values=cache)
