"""Recording any PyTorch module: `instrument(module).trace(*inputs)` gives the same `Trace` as a model of ours.

The module is not changed. While it runs once, its operators are followed (`model.instrumentation.operators`), so it does
not matter who wrote its attention: nn.Transformer and its parts, scaled_dot_product_attention, or softmax(q kᵀ / √d) v
by hand.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from model.errors import (
    CompiledModule,
    GroupsOnBatch,
    HiddenOperator,
    OneExample,
    TrainingMode,
)
from model.instrumentation.descent import Descent
from model.instrumentation.key_columns import KeyColumns
from model.instrumentation.layer_streams import LayerStreams
from model.instrumentation.module_reader import BatchSeen, ModuleReader
from model.instrumentation.name_sites import sites
from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.other_forms import OtherForms
from model.instrumentation.operators.output_projection import settle
from model.instrumentation.operators.recorder import Frame, OperatorRecorder, record_operators, slow_path
from model.instrumentation.operators.tracker import ScoreTracker
from model.instrumentation.places.sequences import Sequences
from model.instrumentation.qk_sources import ProjectionSources
from model.instrumentation.refusals import check_followed, guarded, missing
from model.instrumentation.sides import SideMaker
from model.instrumentation.token_texts import TokenTexts
from model.trace import logits as logit_parts
from model.trace.attention_record import AttentionRecord
from model.trace.site import Site, predicting_side
from model.trace.tensors import MemoryStore
from model.trace.trace import Side, Trace, TraceKey


def instrument(
    module: nn.Module,
    tokenizer: Any = None,
    *,
    forward: Callable[..., Any] | None = None,
    logits: bool | None = None,
    name: str | None = None,
) -> Instrumented:
    """Make `module` recordable without changing it.

    tokenizer: what says how ids read: an object with `convert_ids_to_tokens`, `id_to_token` or `decode`, a list of the
    vocabulary, or a function of a list of ids. forward: called instead of the module with the inputs of `trace`.
    logits: whether the output [1, n, V] holds logits; None: where V is the size of the tokenizer's vocabulary.
    Raises CompiledModule for what torch.compile or torch.jit made.
    """
    compiled = any(
        isinstance(part, torch.jit.ScriptModule)
        or type(part).__name__ == "OptimizedModule"
        or getattr(part, "_compiled_call_impl", None) is not None
        for part in module.modules()
    )
    if compiled:
        raise CompiledModule(module=type(module).__name__)
    return Instrumented(module, TokenTexts(tokenizer), forward or module, logits, name or type(module).__name__)


@dataclass(frozen=True, eq=False)
class Instrumented:
    """A module with its tokens; `trace` records one run of it. Made by `instrument`."""

    module: nn.Module
    texts: TokenTexts
    forward: Callable[..., Any]
    logits: bool | None
    name: str
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def trace(self, *args: Any, tokens: Mapping[str, Sequence[str]] | None = None, **kwargs: Any) -> Trace:
        """Run the module on what its forward takes (batch of 1; a text goes through the tokenizer) and record it.

        tokens: how the positions of "encoder" and "decoder" (or of a stack of another name) read; else the tokenizer says
        it of the ids that were looked up, else they are numbered from 0. Raises TrainingMode, OneExample, GroupsOnBatch,
        NoAttention, AttentionLost, TokensDoNotFit or, for the tokens of a stack that the module does not have, UnknownOption.
        """
        self._check_mode()
        args = tuple(self.texts.ids(a) if isinstance(a, str) else a for a in args)
        kwargs = {key: self.texts.ids(a) if isinstance(a, str) else a for key, a in kwargs.items()}
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        recorder = OperatorRecorder(self.module.parameters(), _bare(self.module))
        sources, descent = ProjectionSources(recorder), Descent(inputs)
        columns = KeyColumns(sources, self.module.named_parameters(), descent)
        sequences = Sequences(inputs, descent, recorder.is_parameter)
        reader = ModuleReader(recorder, sources, columns, descent, sequences)
        tracker, layers = ScoreTracker(reader, recorder), LayerStreams(reader.found, descent)
        forms = OtherForms(tracker, lambda tensor: bool(descent.of(tensor)), sequences.on)
        recorder.followers += [forms.see, columns.see, descent.see, sequences.see, layers.see]
        recorder.followers[:] = [guarded(follow, recorder, self.name) for follow in recorder.followers]

        def left(frame: Frame, out: object) -> None:
            layers.left(frame, out)
            tracker.left(frame, out)

        try:
            with self.lock, slow_path(), record_operators(self.module, recorder, layers.entered, left):
                output = self.forward(*args, **kwargs)
        except BatchSeen as seen:
            if (examples := _examples(args, kwargs)) > 1:
                raise OneExample(got=examples) from seen
            raise GroupsOnBatch(module=seen.path or self.name, got=seen.got) from seen
        except RuntimeError as error:  # a tensor of a kind of its own (a causal bias) meets no dispatch mode either
            if hidden := re.search(r"(?:HigherOrderOperator|new Tensor subclass) (\w+)", str(error)):
                raise HiddenOperator(module=self.name, operator=hidden[1]) from error
            raise
        check_followed(tracker, forms, self.name)
        for call in tracker.calls:
            settle(call)
        if reader.ambiguous and (examples := _examples(args, kwargs)) > 1:
            raise OneExample(got=examples)
        sides = SideMaker(self.texts, inputs, descent, tokens or {})
        return self._trace(tracker, layers, sides, output, args, kwargs, missing(tracker, forms))

    def _check_mode(self) -> None:
        for part in self.module.modules():
            rates = [part.p] if isinstance(part, nn.modules.dropout._DropoutNd) else [
                value for key, value in vars(part).items() if "drop" in key and isinstance(value, float)
            ]  # fmt: skip
            if part.training and any(rate > 0 for rate in rates):
                raise TrainingMode(module=self.name)

    def _trace(
        self, tracker: ScoreTracker, layers: LayerStreams, maker: SideMaker, output: Any, args: tuple,
        kwargs: Mapping[str, Any], lost: Sequence[str],
    ) -> Trace:  # fmt: skip
        found = sites(tracker.calls)
        tensors: dict[str, Tensor] = {}
        facts = {site: _keep(site, call, tensors) for site, call in found.items()}
        tensors |= layers.streams({str(site): call for site, call in found.items()})
        sides = maker.sides(found)
        last = len(sides[predicting_side(sides, list(found))].tokens)
        scores = self._logits(output, last)
        tensors |= {} if scores is None else logit_parts.parts(scores)
        # Records are read where they are shown: on the CPU, whatever the module ran on.
        store = MemoryStore({name: tensor.detach().cpu() for name, tensor in tensors.items()})

        def plain_logits() -> Tensor:
            with self.lock, slow_path(), torch.no_grad():
                return self._logits(self.forward(*args, **kwargs), last).detach().cpu()

        return Trace(
            key=TraceKey(
                self.name, _digest(self.module.state_dict().values()), " ".join(next(iter(sides.values())).tokens),
                None, (("inputs", _digest([*args, *kwargs.values()])),),
            ),
            sides=sides,
            attention={site: AttentionRecord(site=site, store=store, **fact) for site, fact in facts.items()},
            store=store,
            vocabulary=self.texts.vocabulary if scores is not None else (),
            facts=self._facts(found, sides, store, lost),
            plain_logits=plain_logits if scores is not None else None,
        )  # fmt: skip

    def _facts(
        self, found: dict[Site, AttentionCall], sides: Mapping[str, Side], store: MemoryStore, lost: Sequence[str]
    ) -> dict[str, object]:
        kinds = {site.kind for site in found if site.home.startswith("decoder")}
        # Cross-attention alone (pooling by a learned query) writes nothing, unless there are logits of it.
        writes = "self" in kinds or (kinds and logit_parts.has_logits(store))
        task = "encoder" if not writes else "seq2seq" if "cross" in kinds else "causal"
        facts: dict[str, object] = {
            "family": type(self.module).__name__, "task": task, "norm": "unknown", "own_module": True,
            "modules": {str(site): call.path[-1][0] if call.path else "" for site, call in found.items()},
        }  # fmt: skip
        if task == "seq2seq":
            facts["generated"] = False  # the decoder's text was given
        if lost:
            facts["missing"] = sorted({path or type(self.module).__name__ for path in lost})
        if "decoder" in sides and self.texts.vocabulary and logit_parts.has_logits(store):
            ((best, _),) = logit_parts.most_probable(store, -1, 1)
            facts["written"] = [*sides["decoder"].texts[1:], self.texts.tokens([best])[0]]
        return facts

    def _logits(self, output: Any, length: int) -> Tensor | None:
        """The logits [n, V] among what the forward returned, or None."""
        if self.logits is False:
            return None
        size = len(self.texts.vocabulary)
        for candidate in _tensors(output):
            fits = candidate.dim() in (2, 3) and candidate.numel() == length * candidate.shape[-1]
            if candidate.is_floating_point() and fits and (self.logits or candidate.shape[-1] == size):
                return candidate.reshape(length, -1)
        return None


def _keep(site: Site, call: AttentionCall, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Put the tensors of a call under its site; -> the rest of its record."""
    parts = {"q": call.q, "k": call.k, "v": call.v, "context": call.context} | call.parts
    if call.output is not None:
        parts["output"] = call.output
    tensors |= {f"{site}.{name}": part for name, part in parts.items()}
    for name, parameter in (("W_O", call.projection), ("b_O", call.projection_bias)):
        if parameter is not None:
            tensors[f"parameters/{site}.{name}"] = parameter
    return {"scale": call.scale, "mask": call.mask, "softcap": call.softcap}


def _bare(module: nn.Module) -> list[Tensor]:
    """The parameters that no layer of PyTorch holds: the author's own, in lists and tables of parameters too."""
    holders = (nn.Module, nn.ParameterList, nn.ParameterDict)
    own = (
        part for part in module.modules() if type(part) in holders or not type(part).__module__.startswith("torch.nn.")
    )
    return [parameter for part in own for parameter in part.parameters(recurse=False)]


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of an output, `logits` first where it is named."""
    if isinstance(output, Tensor):
        return [output]
    named = getattr(output, "logits", None)
    values = output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else ()
    return [item for item in [named, *values] if isinstance(item, Tensor)]


def _examples(args: tuple, kwargs: Mapping[str, Any]) -> int:
    """The size of the batch by the shape of the inputs: ids [b, n] or vectors [b, n, d], in either order of b and n."""
    inputs = [*args, *(value for name, value in kwargs.items() if "mask" not in name)]
    for value in inputs:
        if not isinstance(value, Tensor) or value.dtype == torch.bool:
            continue
        if value.dim() == (3 if value.is_floating_point() else 2) and min(value.shape[:2]) > 1:
            return min(value.shape[:2])
    return 1


def _digest(values: Any) -> str:
    """Sixteen hexadecimal digits that change with the numbers."""
    sha = hashlib.sha256()
    for value in values:
        if isinstance(value, Tensor):
            raw = value.detach().cpu().contiguous().flatten()
            sha.update(f"{tuple(value.shape)}{value.dtype}".encode())
            sha.update(raw.view(torch.uint8).numpy())
        else:
            sha.update(repr(value).encode())
    return sha.hexdigest()[:16]
