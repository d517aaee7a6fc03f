"""Our own Transformer as a `Decoder`: next-token logits, recorded forwards and step-by-step decoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.checkpoints.library.outputs import Continuation
from model.checkpoints.own import OwnModel
from model.errors import NotInThisModel
from model.generation.decoder import Decoder
from model.generation.sampling import SamplingOptions, draw
from model.jobs.device import host
from model.jobs.progress import tick
from model.text.tokenizer import END
from model.trace.attention_record import AttentionRecord
from model.trace.record_own import ids_of, record_run
from model.trace.site import Site
from model.trace.trace import Trace


def own_decoder(model: OwnModel, trace: Trace) -> Decoder:
    """The `Decoder` that continues after the start token of `trace`, over the source that it recorded; of a decoder alone,
    after the prompt of `trace`."""
    module = model.module
    source, _ = ids_of(trace)
    with model.lock, torch.no_grad():
        memory = None if source is None else module.encode(source[None])

    def logits(ids: Int[Tensor, "s n"]) -> Float[Tensor, "s V"]:
        read = () if source is None else (memory.expand(len(ids), -1, -1), source.expand(len(ids), -1))
        with model.lock, torch.no_grad():
            return host(module.decode(ids, *read)[:, -1])

    def record(ids: Sequence[int]) -> Mapping[Site, AttentionRecord]:
        with model.lock:
            return record_run(module, source, torch.tensor(list(ids)))[1]

    def stepwise(ids: Sequence[int], first: int) -> Iterable[Tensor]:
        for n in range(first, len(ids) + 1):
            tick("writing", (n - first) / (len(ids) + 1 - first))
            yield logits(torch.tensor([list(ids[:n])]))[0]

    end = frozenset({model.target.ids[END]})
    written = trace.token_ids("decoder")
    start = tuple(written[: 1 if source is not None else int(trace.facts.get("prompt", len(written)))])
    return Decoder(start, end, module.config.max_length, logits, record, stepwise, (module.config.pad_id,))


def sample(
    model: OwnModel, text: str, count: int = 3, *, new_tokens: int = 30, temperature: float = 1.0, top_k: int = 50,
    top_p: float = 1.0, seed: int = 0,
) -> list[Continuation]:  # fmt: skip
    """`count` texts that a decoder alone goes on with after `text`, drawn with `seed`; see `library.outputs.sample`.

    Raises NotInThisModel of another shape, HeadlightError for an option out of its range, and what reading the text raises.
    """
    if model.task != "causal":
        raise NotInThisModel(what="Going on with a text", does="has no decoder alone")
    options = SamplingOptions(temperature, top_k, top_p)
    decoder = own_decoder(model, model.trace(text))
    found = []
    for each in draw(decoder, count, new_tokens, options, seed):
        added = model.target.text([model.target.vocabulary[i] for i in each.tokens])
        between = " " if model.target.kind == "words" and added else ""
        found.append(Continuation(f"{text.rstrip()}{between}{added}", added, len(each.tokens), sum(each.log_p)))
    return found
