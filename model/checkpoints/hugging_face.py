"""A checkpoint of the transformers library on disk, opened: text in, the same `Trace` out as for our own model.

Nothing is fetched and no code of the checkpoint is run: local files only, safetensors only, library classes only.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints import hook
from model.checkpoints.families import FAMILIES
from model.errors import DamagedCheckpoint, EmptyText, TextTooLong, UnsupportedFamily
from model.masks import Mask, compress
from model.record import AttentionRecord
from model.sites import Site
from model.store import MemoryStore
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


@dataclass(frozen=True, eq=False)
class Recorded:
    """One recorded forward of a library model, batch axis gone."""

    store: MemoryStore
    attention: dict[Site, AttentionRecord]

    @property
    def stacks(self) -> set[str]:
        return {site.stack for site in self.attention}


def record(module: nn.Module, inputs: Mapping[str, Tensor]) -> Recorded:
    """Run a library model once on inputs of batch 1 and keep every attention call and hidden state.

    The model must have been put on our registry entry (`use_hook`). Raises ValueError when nothing was heard.
    """
    with hook.listen(module) as calls:
        output = module(**inputs, use_cache=False, output_hidden_states=True) if _caches(module) else module(
            **inputs, output_hidden_states=True
        )  # fmt: skip
    if not calls:
        raise ValueError("no attention call was heard: this family does not go through the library's registry")
    tensors: dict[str, Tensor] = {}
    attention = attention_records(calls, tensors)
    for stack in {site.stack for site in attention}:
        name = "hidden_states" if getattr(output, "hidden_states", None) is not None else f"{stack}_hidden_states"
        for i, state in enumerate(getattr(output, name, None) or ()):
            tensors[f"{stack}.{i}.stream"] = state[0]
    logits = getattr(output, "logits", None)
    if logits is not None and logits.dim() == 3:  # one row a token; a classifier has one for the whole input
        tensors["logits"] = logits[0]
    store = MemoryStore(tensors)
    return Recorded(store, {site: _with_store(site, facts, store) for site, facts in attention.items()})


def plain(module: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    """Logits [n, V] (a classifier's: [V]) of a run that nobody listens to."""
    return (module(**inputs, use_cache=False) if _caches(module) else module(**inputs)).logits[0]


def _caches(module: nn.Module) -> bool:
    return hasattr(module.config, "use_cache")


def _with_store(site: Site, facts: dict[str, Any], store: MemoryStore) -> AttentionRecord:
    return AttentionRecord(site=site, store=store, **facts)


def attention_records(calls: list[hook.Call], tensors: dict[str, Tensor]) -> dict[Site, dict[str, Any]]:
    """Name each call by its site, put its tensors under that name, and keep its scale, mask and soft cap.

    Layers are counted in the order of the calls, because one module may serve every layer (ALBERT).
    """
    masks: dict[int, Any] = {}
    biases: dict[int, tuple[str, Tensor]] = {}
    counts: dict[tuple[str, str], int] = {}
    found: dict[Site, dict[str, Any]] = {}
    for call in calls:
        mask = _mask(call, masks)
        kind = "cross" if call.cross else "self"
        stack = "decoder" if call.cross or mask.causal else "encoder"
        site = Site(stack, counts.get((stack, kind), 0), kind)
        counts[stack, kind] = site.layer + 1
        parts = {"q": call.q[0], "k": call.k[0], "v": call.v[0], "context": call.context[0].transpose(0, 1)}
        if call.lse is not None:
            parts["lse"] = call.lse[0, : call.q.shape[1], : call.q.shape[2]]
        if call.output is not None:
            parts["output"] = call.output.reshape(-1, call.output.shape[-1])
        if call.sinks is not None:
            parts["sinks"] = call.sinks.detach().reshape(-1)
        if call.bias is not None:
            name, bias = biases.setdefault(id(call.bias), position_bias(call.bias[0]))
            parts[name] = bias
        tensors |= {f"{site}.{name}": part.detach() for name, part in parts.items()}
        if call.projection is not None:
            weight = call.projection.weight.detach()
            tensors[f"parameters/{site}.W_O"] = weight.T if isinstance(call.projection, nn.Linear) else weight
            if call.projection.bias is not None:
                tensors[f"parameters/{site}.b_O"] = call.projection.bias.detach()
        found[site] = {"scale": call.scale, "mask": mask, "softcap": call.softcap}
    return found


def _mask(call: hook.Call, seen: dict[int, Any]) -> Any:
    """The mask of a call as a rule; one tensor serves many layers and is read once."""
    if call.mask is None:
        return Mask(call.causal)
    if id(call.mask) not in seen:
        mask = call.mask[0, 0][:, : call.k.shape[2]]
        seen[id(call.mask)] = compress(mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2)
    return seen[id(call.mask)]


def position_bias(bias: Tensor) -> tuple[str, Tensor]:
    """bias [h, q, k] -> ("bias_offsets", [h, q + k − 1]) where it depends on the offset alone, else ("bias", as it is)."""
    _, q, k = bias.shape
    offsets = torch.cat([bias[:, :, 0].flip(1), bias[:, 0, 1:]], dim=1)
    i, j = torch.arange(q)[:, None], torch.arange(k)[None]
    if torch.equal(offsets[:, j - i + q - 1], bias):
        return "bias_offsets", offsets.contiguous()
    return "bias", bias


def use_hook(module: nn.Module) -> nn.Module:
    """Put a library model on our registry entry, once and for good: switching to and fro races between threads."""
    hook.register()
    module.set_attn_implementation(hook.NAME)
    return module.eval()


def _refuse(folder: Path, family: str, reason: str) -> None:
    allowed = ", ".join(known.model_type for known in FAMILIES if known.reads == "text")
    raise UnsupportedFamily(path=folder, family=family, reason=reason, allowed=allowed)


def _refuse_unread(folder: Path, family: str) -> None:
    """Pictures and sound are recorded by `record`, but there is no reader for them here yet."""
    for known in FAMILIES:
        if known.model_type == family and known.reads != "text":
            _refuse(folder, family, f"which reads {known.reads}, and this version reads text")


def load(folder: Path) -> HuggingFaceModel:
    """Open a checkpoint folder of the library. Raises DamagedCheckpoint or UnsupportedFamily in one sentence."""
    import transformers
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _refuse_unread(folder, config.model_type)
        names = getattr(config, "architectures", None) or []
        known = [getattr(transformers, name) for name in names if hasattr(transformers, name)]
        kind = known[0] if known else transformers.AutoModel
        module = kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except UnsupportedFamily:
        raise
    except SafetensorError as error:
        raise DamagedCheckpoint(path=folder, reason="a weights file is truncated or not what its name says") from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise DamagedCheckpoint(path=folder, reason=reason) from error
    if not getattr(module, "_can_set_attn_implementation", lambda: True)():
        _refuse(folder, config.model_type, "whose attention does not go through the library's registry")
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return HuggingFaceModel(
        folder.name, use_hook(module), tokenizer, config.model_type, digest.hexdigest()[:16],
        {"architectures": names, "config": json.loads(config.to_json_string())},
    )  # fmt: skip
