"""A second device for tests on a computer that has none: tensors that say they lie on "card:0" and compute on the processor.

As on a graphics card, an operator that is given tensors of both devices raises. `python -m tests.model.second_device` runs
models on the processor and on the card, and prints as JSON how far the two lie apart; it is a process of its own because a
device can be registered for the whole of one only.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

CARD = torch.device("privateuseone", 0)
_BETWEEN = ("aten::copy_", "aten::_copy_from", "aten::index", "aten::index_put_")  # may read both, as on a card
_libraries = []


class CardTensor(torch.Tensor):
    """A tensor on the card; its numbers are `inner`."""

    @staticmethod
    def __new__(cls, inner: Tensor):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=CARD,
        )
        made.inner = inner
        return made

    def __init__(self, inner: Tensor):
        pass

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.inner.untyped_storage()

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __deepcopy__(self, memo: dict) -> CardTensor:
        if id(self) not in memo:
            made = CardTensor(self.inner.detach().clone()).requires_grad_(self.requires_grad)
            made._is_param = getattr(self, "_is_param", False)  # as a Parameter of such a tensor is known by
            memo[id(self)] = made
        return memo[id(self)]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs, name = kwargs or {}, func._schema.name

        def inner(value: Any) -> Any:
            if isinstance(value, CardTensor):
                return value.inner
            if isinstance(value, Tensor) and value.dim() and name not in _BETWEEN:
                raise RuntimeError(f"{name} was given tensors on card:0 and on {value.device}")
            return torch.device("cpu") if isinstance(value, torch.device) else value

        goes = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.device)]
        home = name in ("aten::_to_copy", "aten::to") and any(device.type == "cpu" for device in goes)
        given, named = tree_map(inner, (args, kwargs))
        out = (_attention if "fused_attention_overrideable" in name else func)(*given, **named)
        if home:
            return out
        if func._schema.is_mutable and name.endswith("_"):
            return args[0]
        return tree_map(lambda value: CardTensor(value) if isinstance(value, Tensor) else value, out)


SUMS = True  # whether the card's kernel gives the log-sum-exp, as flash attention does, or an empty tensor, as others


def _attention(q: Tensor, k: Tensor, v: Tensor, bias: Any = None, dropout: float = 0.0, causal: bool = False, *_: Any,
               scale: float | None = None, **_more: Any) -> tuple[Tensor, ...]:  # fmt: skip
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    groups = q.shape[1] // k.shape[1]
    k, v = (part.repeat_interleave(groups, 1) for part in (k, v))
    context, sums = kernel(q, k, v, dropout, causal, attn_mask=bias, scale=scale)
    none = torch.empty(0)
    return context, sums if SUMS else none.reshape(*q.shape[:2], 0), none, none, 0, 0, none, none, none


def register() -> None:
    """Make "card" a device of torch in this process."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend("card")
    torch.__future__.set_swap_module_params_on_conversion(True)  # else tied parameters, of a subclass now, come apart
    library = torch.library.Library("aten", "IMPL")

    def made(operator: Any) -> Callable[..., CardTensor]:
        def make(*args: Any, **kwargs: Any) -> CardTensor:
            here = lambda value: torch.device("cpu") if isinstance(value, torch.device) else value  # noqa: E731
            args, kwargs = tree_map(here, (args, kwargs))
            return CardTensor(operator(*args, **kwargs))

        return make

    def copy_from(source: Tensor, target: Tensor, _non_blocking: bool = False) -> Tensor:
        target.inner.copy_(source.inner if isinstance(source, CardTensor) else source)
        return target

    def attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
                  *, scale: float | None = None, enable_gqa: bool = False) -> Tensor:  # fmt: skip
        kernel = torch.ops.aten._scaled_dot_product_fused_attention_overrideable
        if attn_mask is not None and attn_mask.dtype == torch.bool:  # as torch does before it calls a card's kernel
            attn_mask = torch.zeros_like(attn_mask, dtype=q.dtype).masked_fill_(~attn_mask, -torch.inf)
        if torch.is_grad_enabled():
            return torch.ops.aten._scaled_dot_product_attention_math(
                q, k, v, attn_mask, dropout_p, is_causal, scale=scale
            )[0]
        return kernel(q, k, v, attn_mask, dropout_p, is_causal, scale=scale)[0]

    for name in ("empty.memory_format", "empty_strided"):
        packet, _, overload = name.partition(".")
        library.impl(name, made(getattr(getattr(torch.ops.aten, packet), overload or "default")), "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    library.impl("scaled_dot_product_attention", attention, "AutogradPrivateUse1")
    _libraries.append(library)


def same(first: Any, second: Any) -> float:
    """How far two runs, or two results of the same kind, lie apart; inf where they differ in anything but numbers."""
    if isinstance(first, Tensor):
        plain = type(second) is Tensor and second.device.type == "cpu" and first.shape == second.shape
        return (
            (first.double() - second.double()).abs().max().item()
            if plain and first.numel()
            else 0.0
            if plain
            else math.inf
        )
    if isinstance(first, float):
        return abs(first - second)
    if isinstance(first, list | tuple) and not isinstance(first, str):
        return max((same(a, b) for a, b in zip(first, second, strict=True)), default=0.0)
    if dataclasses.is_dataclass(first):
        names = [field.name for field in dataclasses.fields(first)]
        return same(*([getattr(value, name) for name in names] for value in (first, second)))
    return 0.0 if first == second else math.inf


def runs(first: Any, second: Any) -> dict[str, Any]:
    """One run of a model on either device: where what was recorded lies, and how far it lies apart."""
    tensors = {name: second.store[name] for name in sorted(second.store.names())}
    return {
        "apart": same([first.store[name] for name in sorted(first.store.names())], list(tensors.values())),
        "names": sorted(first.store.names()) == list(tensors), "sums": any(name.endswith(".lse") for name in tensors),
        "elsewhere": [name for name, value in tensors.items() if type(value) is not Tensor or value.device.type != "cpu"],
        "masks": all(same(first.record(s).allowed(), second.record(s).allowed()) == 0 for s in first.sites),
        "checks": second.fidelity().holds, "logits": second.fidelity().logits_error, "tokens": first.sides == second.sides,
        "device": second.facts.get("device", ""),
    }  # fmt: skip


def written(family: str) -> Path:
    from tests.model.test_hugging_face import write

    return write(Path(tempfile.mkdtemp()) / family, family)


def both(name: str) -> tuple[Any, Any]:
    from model import open_model

    folder = name if name in ("translate", "dates") else written(name)
    return open_model(folder, device="cpu"), open_model(folder, device="card")


TEXT = "the cat sat on the mat and the dog ran"


def recorded(name: str, **options: Any) -> dict[str, Any]:
    models = both(name)
    found = runs(*(model.trace("I like cats" if name == "translate" else TEXT, **options) for model in models))
    return found | {"devices": [model.device for model in models]}


def pictures(name: str) -> dict[str, Any]:
    from model.checkpoints.media.pictures import sample_picture, trace_picture
    from model.jobs.device import move
    from tests.model import test_pictures

    models = [getattr(test_pictures, name)() for _ in range(2)]
    move(models[1].module, CARD, [getattr(models[1].module, f"{part}_model") for part in ("vision", "text")
                                  if hasattr(models[1].module, f"{part}_model")])  # fmt: skip
    captions = ["a cat", "a dog"] if name == "clip" else None
    one, two = (trace_picture(model, sample_picture(), captions) for model in models)
    told = same(
        [one.facts.get("captions"), one.facts.get("classes")], [two.facts.get("captions"), two.facts.get("classes")]
    )
    return runs(one, two) | {"told": told < 1e-5 or told}


def sound() -> dict[str, Any]:
    from model.checkpoints.media.sound import trace_sound
    from model.jobs.device import move
    from tests.model.test_sound import short, whisper

    models = [whisper(), whisper()]
    for module in (models[1].module, models[1].untouched):
        move(module, CARD, [module.get_encoder(), module.get_decoder()])
    return runs(*(trace_sound(model, short(), max_new_tokens=5) for model in models))


def beyond(name: str) -> dict[str, float]:
    """Everything that runs a library model besides a record, on either device."""
    from model.checkpoints.library import generate, outputs
    from model.checkpoints.record import mlp_hooks
    from model.generation.sampling import SamplingOptions

    models = both(name)
    traces = [model.trace(TEXT) for model in models]
    found: dict[str, list[Any]] = {}

    def on_each(what: str, run: Callable[[Any, Any], Any]) -> None:
        found[what] = [run(model, trace) for model, trace in zip(models, traces, strict=True)]

    def steps(model: Any, trace: Any) -> list[Tensor]:
        decoder = generate.decoder(model, trace)
        ids = [*decoder.start, 5, 6]
        return [decoder.logits(torch.tensor([ids])), *decoder.stepwise(ids, len(decoder.start)),
                *(record.q for record in decoder.record(ids).values())]  # fmt: skip

    def units(model: Any, trace: Any) -> list[Tensor]:
        stack = list(trace.sides)[-1]
        with mlp_hooks.capture_hidden(model.module, tuple(trace.sides), stack, 1, 2) as captured:
            model.trace(TEXT)
        hidden = captured[0].units()
        return [hidden.post, float(hidden.error)]

    on_each("steps", steps)
    on_each("beams", lambda model, trace: generate.beam_search(model, trace, 3, 1.0, 5).tokens)
    on_each("drawn", lambda model, trace: generate.sample(model, trace, 2, 5, SamplingOptions(), seed=1))
    on_each("continued", lambda model, trace: outputs.sample(model, TEXT, 2, new_tokens=5, seed=1))

    def trained(model: Any, trace: Any) -> list[Any]:
        step = outputs.training_step(model, TEXT, "the mat")
        return [step.labels, step.loss_before, step.loss_after, step.gradient_norm,
                *(record.q for record in step.before.attention.values())]  # fmt: skip

    on_each("trained", trained)
    on_each("cached", lambda model, trace: [run().logits.cpu() for run in generate.real_steps(model, trace, 3)])
    on_each("probe", lambda model, trace: list(generate.probe(model, 3, 5).logits.shape))
    on_each("units", units)

    def edited(model: Any, trace: Any) -> list[Tensor]:
        first = trace.sites[0]
        run = model.again(trace, [f"hide:{first}.1:k1", f"off:{first}.0:mean", f"pattern:{trace.sites[-1]}.0:uniform"])
        return [run.record(site).context for site in run.sites]

    on_each("edited", edited)
    return {what: same(*pair) for what, pair in found.items()}


def ours() -> dict[str, float]:
    """Everything that runs our own Transformer besides a record, on either device."""
    from model.checkpoints.own_decoder import own_decoder
    from model.generation.beam import search
    from model.positions.tables import shuffle, without_positions
    from model.residual.neurons import own_hidden
    from model.residual.stream import both_orders
    from model.transformer.kv_cache import CachedDecoder

    models = both("translate")
    traces = [model.trace("I like cats") for model in models]
    found: dict[str, list[Any]] = {}
    for model, trace in zip(models, traces, strict=True):
        source, target = trace.token_ids("encoder"), trace.token_ids("decoder")
        cached = CachedDecoder(model.module, torch.tensor(source))
        hidden = own_hidden(trace, model.module, "encoder", 0)
        for what, value in {
            "beams": search(own_decoder(model, trace), 3, new_tokens=6).finished[0].tokens,
            "orders": both_orders(model.module, trace, "encoder").lengths["pre"],
            "shuffled": [shuffle(module, source, target, range(len(source))[::-1], 0, 0).shuffled
                         for module in (model.module, without_positions(model.module))],
            "cached": cached.step(target[0]).cpu(), "units": [hidden.post, float(hidden.error)],
            "padded": model.trace("I like cats", pad_to=9).weights("encoder.0.self", 0),
        }.items():  # fmt: skip
            found.setdefault(what, []).append(value)
    return {what: same(*pair) for what, pair in found.items()}


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    **{name: lambda name=name: recorded(name) for name in (
        "translate", "bert", "llama", "gemma2", "bart", "t5", "bloom", "deberta-v2")},
    "llama writes": lambda: recorded("llama", new_tokens=4), "vit": lambda: pictures("vit"), "clip": lambda: pictures("clip"),
    "whisper": sound, "beyond gpt2": lambda: beyond("gpt2"), "beyond bart": lambda: beyond("bart"), "ours": ours,
}  # fmt: skip


def main() -> dict[str, Any]:
    """What each of CASES finds; after "/" without the log-sum-exp of the card's kernel."""
    global SUMS

    register()
    found = {name: case() for name, case in CASES.items()}
    SUMS = False
    return found | {f"{name} / no sums": CASES[name]() for name in ("llama", "bart")}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()))
