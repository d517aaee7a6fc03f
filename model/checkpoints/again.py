"""The run of a trace once more, over the same tokens and none written anew: with edits in it, or with a graph for gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from model.checkpoints.edited import library, own
from model.checkpoints.record import forward
from model.checkpoints.task_heads.outputs import named
from model.edits.parse import parse_all
from model.edits.plan import Edit, Plan
from model.errors import NotInThisModel
from model.jobs.device import host
from model.trace.record_own import ids_of, record_run
from model.trace.trace import Trace
from model.transformer.encoder_decoder import Transformer
from model.transformer.hook_points import changed

if TYPE_CHECKING:
    from model.attribution.attribution import Attribution

Seen = Callable[[str, Tensor], Tensor]  # (site, contexts [b, h, q, d_v]) -> what goes on
Embedded = Callable[[Tensor], Tensor]  # embeddings of a side's tokens [b, n, d] -> what goes on


class RunsAgain:
    """What an opened model does with a run that it recorded."""

    def again(self, trace: Trace, edits: Sequence[Edit | str] = ()) -> Trace:
        """The run of a trace over the same tokens, with edits in it.

        Raises BadEdit, NothingToEdit, NotEditable, or NotInThisModel for an edit that asks for another text and for a run of
        pictures or sound.
        """
        return edited_again(self, trace, edits)

    def with_graph(self, trace: Trace, seen: Seen, embedded: Embedded) -> Mapping[str, Tensor]:
        """What the head gives, by its names in the record, with the graph of a backward pass; contexts and embeddings pass the
        two functions. The caller holds the lock and enables gradients. Raises NotInThisModel."""
        return with_graph(self, trace, seen, embedded)

    def attribute(self, text: str, method: str = "knockout", target: str | None = None, **how: Any) -> Attribution:
        """What a method of `model.attribution` says of the run of `text`; how: as of `attribute_text` there."""
        from model.attribution.attribution import attribute_text

        return attribute_text(self, text, method, target, **how)


def edited_again(model: Any, trace: Trace, edits: Sequence[Edit | str]) -> Trace:
    """See `RunsAgain.again`."""
    _check_text(trace)
    ours = isinstance(model.module, Transformer)
    named_here = partial(own.entering, model.module) if ours else str
    plan = Plan(trace, _no_other, lambda: [trace], named_here).worked_out(parse_all(edits))
    plain_logits = None  # the library's own run takes no edit
    if ours:
        with model.lock, own.edited(model.module, plan):
            store, attention = record_run(model.module, *ids_of(trace), plan.sites)

        def plain_logits() -> Tensor:
            with model.lock, torch.no_grad(), own.edited(model.module, plan):
                return host(model.module(*(None if ids is None else ids[None] for ids in ids_of(trace)))[0])

    else:
        library.check_editable(model.module, plan.texts)
        modules = trace.facts.get("modules", {})
        with model.lock, torch.no_grad(), library.edited(model.module, plan, modules):
            recorded = forward.record(model.module, _inputs(trace), plan)
        store, attention = recorded.store, recorded.attention
    key = replace(trace.key, options=trace.key.options + plan.options)
    facts = dict(trace.facts) | plan.facts
    return replace(
        trace, key=key, store=store, attention=attention, facts=facts, measured=None, plain_logits=plain_logits
    )


def with_graph(model: Any, trace: Trace, seen: Seen, embedded: Embedded) -> Mapping[str, Tensor]:
    """See `RunsAgain.with_graph`."""
    _check_text(trace)
    if trace.facts.get("edits"):
        raise NotInThisModel(what="Explaining an edited run", does="is explained as it is, without edits")
    if isinstance(model.module, Transformer):
        return {"logits": _own(model.module, trace, seen, embedded)}
    if not forward.registered(model.module):
        does = "has an attention that does not pass the library's registry"
        raise NotInThisModel(what="A backward pass over its heads", does=does)

    def handed_on(site: str, context: Tensor) -> Tensor:
        """[b, q, h, d_v], as the registry has it."""
        return seen(site, context.transpose(1, 2)).transpose(1, 2)

    with library.watched(model.module, trace.facts.get("modules", {}), handed_on), _embedding(model.module, embedded):
        return named(type(model.module).__name__, forward.call(model.module, _inputs(trace)))


def _own(module: Transformer, trace: Trace, seen: Seen, embedded: Embedded) -> Tensor:
    points = {part.embedding: embedded for part in (module.source, module.target) if part is not None}
    for site in trace.sites:
        attention = getattr(getattr(module, site.stack)[site.layer], f"{site.kind}_attention")
        points[attention.context] = partial(seen, str(site))
    with changed(points):
        return module(*(None if ids is None else ids[None] for ids in ids_of(trace)))[0]


def _inputs(trace: Trace) -> dict[str, Tensor]:
    """What the library's forward is given to make the run of a trace anew."""
    names = ("input_ids", "decoder_input_ids")
    inputs = dict(zip(names, (torch.tensor([list(side.ids)]) for side in trace.sides.values()), strict=False))
    segments = next(iter(trace.sides.values())).segments
    return inputs | ({"token_type_ids": torch.tensor([list(segments)])} if segments else {})


@contextmanager
def _embedding(module: nn.Module, change: Embedded) -> Iterator[None]:
    """The embeddings of tokens, the encoder's before the decoder's, pass `change`."""
    size = int(getattr(module.config, "vocab_size", 0))
    tables = [part for part in module.modules() if isinstance(part, nn.Embedding) and part.num_embeddings == size]
    handles = [table.register_forward_hook(lambda _part, _inputs, output: change(output)) for table in tables]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_text(trace: Trace) -> None:
    if trace.facts.get("reads", "text") != "text":
        raise NotInThisModel(what="Running this once more", does=f"reads a {trace.facts['reads']}")


def _no_other(_text: str) -> Trace:
    raise NotInThisModel(what="Another text", does="is run over the tokens that it read")
