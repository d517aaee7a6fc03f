"""Every family of texts of the installed transformers library, tried: a small random model of each, recorded and compared.

A family counts as exact where the record of a short input gives the library's own weights and output to 2·10⁻⁶ of their size;
else it is refused, with the sentence that a person would read.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints.disk.families import Family, entry, rules_of, small_inputs, small_model
from model.checkpoints.library.load_errors import first_line
from model.checkpoints.library.opening_check import OpeningCheck
from model.checkpoints.library.route import NONE_HEARD, NOT_RUN, NoRoute, route
from model.checkpoints.library_logging import quiet
from model.checkpoints.record.forward import registered
from model.jobs.progress import tick

EXACT = 2e-6
_VOCABULARY, _SHARPEN = 97, 3.0
_MOST = 20_000_000  # parameters
# Names of sizes in the library's configurations -> small ones.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim", "model_dim", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers", "encoder_layers",
                     "decoder_layers", "num_encoder_layers", "encoder_num_hidden_layers", "decoder_num_hidden_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads",
                     "decoder_attention_heads", "num_encoder_attention_heads", "num_decoder_attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "hidden_dim", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim",
                     "ffn_hidden_size", "d_inner", "moe_intermediate_size", "shared_expert_intermediate_size"), 64),
    **dict.fromkeys(("num_key_value_heads", "n_kv_heads"), 2),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "n_group", "topk_group", "n_shared_experts"), 1),
    **dict.fromkeys(("vocab_size", "tgt_vocab_size", "src_vocab_size", "decoder_vocab_size", "entity_vocab_size"), _VOCABULARY),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length"), 64),
    **dict.fromkeys(("head_dim", "d_kv", "attention_head_size"), 8),
    **dict.fromkeys(("embedding_size", "entity_emb_size", "rank_size"), 16),
}  # fmt: skip
# What to change where the library does not run that, or has no attention in so few layers: latent attention and rotations of a
# part, rotations by sections, hybrids whose attention comes late.
_LATENT = {
    "num_key_value_heads": 4, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "qk_head_dim": 16, "v_head_dim": 8,
    "kv_lora_rank": 16, "q_lora_rank": 16, "rotary_dim": 4, "head_dim": None,
}  # fmt: skip
_WIDE = {"hidden_size": 512, "head_dim": 128}
_DEEP = {name: 8 for name, size in _SIZES.items() if size == 2 and "layer" in name}
# Sizes that a class computes, or wants alike.
_OWN = {"num_hidden_layers": None, "embedding_size": 32, "is_decoder": True, "pad_token_id": 2}
_RECIPES: tuple[dict[str, Any], ...] = ({}, _LATENT, _WIDE, _DEEP, _LATENT | _DEEP, _OWN)
_KINDS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING", "MODEL_FOR_MASKED_LM_MAPPING", "MODEL_MAPPING",
)  # fmt: skip
_NOT_TEXT = ("pixel_values", "input_features", "input_values", "pixel_values_videos", "past_values", "audio_values")
RESULTS = ("exact", "partly", "refused", "not built", "failed")


@dataclass(frozen=True)
class FamilyResult:
    """A family by its model_type and the class that was tried. result: one of `RESULTS`.

    "partly": what is missing is said on every page; "failed": a fault of ours. way: "registry" or "operators". error: the
    largest difference from the library's own numbers. why: what is missing, or wrong.
    """

    model_type: str
    model: str
    result: str
    way: str = ""
    error: float = math.nan
    why: str = ""

    @property
    def told(self) -> str:
        """The result in words."""
        if self.result not in ("exact", "partly"):
            # A reason goes on from "This is a …": "and its attention …", "which reads …".
            return f"{self.result}: {self.why.removeprefix('and ').removeprefix('which ')}"
        how = "through the registry" if self.way == "registry" else "operator by operator"
        return f"{self.result}, to {self.error:.0e}, {how}" + (f": {self.why}" if self.why else "")


def check_families(only: Collection[str] = ()) -> Iterator[FamilyResult]:
    """One result for each family that reads texts, or for these alone; ticks "families"."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    names = sorted(only or CONFIG_MAPPING.keys())
    for i, model_type in enumerate(names):
        tick("families", i / len(names))
        kind = _class(CONFIG_MAPPING[model_type])
        if kind is not None:
            yield _result(model_type, kind, CONFIG_MAPPING[model_type])


def table(results: list[FamilyResult]) -> str:
    """The list as Markdown."""
    import transformers

    count = {name: sum(one.result == name for one in results) for name in RESULTS}
    tried = [one for one in results if one.result != "not built"]
    rows = "\n".join(f"| {one.model_type} | {one.model} | {one.told} |" for one in tried)
    left = ", ".join(one.model_type for one in results if one.result == "not built")
    return f"""# Families of the transformers library

Written by `python -m model families --check --out docs/families.md`: of every family of texts of transformers
{transformers.__version__}, a small model with random weights, recorded on a short input and held against what the library
itself computes of it: its eager attention weights, its logits and hidden states.

{count["exact"]} are exact, {count["partly"]} in part (what is missing is said on every page), {count["refused"]} are refused by
name, {count["failed"]} fail.

| family | class | result |
|---|---|---|
{rows}

Not tried, because no small configuration of it could be made without knowing it ({count["not built"]}): {left}.
"""


def _class(config: Any) -> type[nn.Module] | None:
    """The library's class for texts of a configuration: the first of those that write, fill in or embed."""
    import transformers

    for name in _KINDS:
        try:
            found = getattr(transformers, name).get(config, None)
        except ValueError:  # the library's list names a class that it does not have
            continue
        found = found[0] if isinstance(found, tuple) else found
        if found is not None and not hasattr(found, "_backends"):  # else it needs a package that is not installed
            takes = inspect.signature(found.forward).parameters
            return found if "input_ids" in takes and not any(other in takes for other in _NOT_TEXT) else None
    return None


def _result(model_type: str, kind: type[nn.Module], config: type) -> FamilyResult:
    """Of the first recipe of sizes that the library runs, with attention in it; else of the first."""
    found = [_attempt(model_type, kind, config, _RECIPES[0])]
    for recipe in _RECIPES[1:] if entry(model_type) is None else ():
        if not _untried(found[-1]):
            break
        found.append(_attempt(model_type, kind, config, recipe))
    return found[0] if _untried(found[-1]) else found[-1]


def _untried(result: FamilyResult) -> bool:
    return result.result == "not built" or any(words in result.why for words in (NOT_RUN, NONE_HEARD))


def _attempt(
    model_type: str,
    kind: type[nn.Module],
    config: type,
    recipe: Mapping[str, Any],
    how: tuple[torch.dtype, float] | None = None,
) -> FamilyResult:
    """What one small model shows. how: its dtype and what its matrices are multiplied by, else as always."""
    known = entry(model_type)
    dtype, sharpen = how or (torch.float32, _SHARPEN)
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            module = small_model(known) if known is not None else _small(model_type, kind, config, recipe, sharpen)
            module = module.to(dtype)
    except Exception as error:  # a configuration that needs more than sizes
        return FamilyResult(model_type, kind.__name__, "not built", why=first_line(error))
    name = type(module).__name__
    try:
        with quiet():
            found = route(module, _inputs(module, known), known)
    except NoRoute as error:
        return FamilyResult(model_type, name, "refused", why=str(error))
    except Exception as error:  # that is what this list is for
        return FamilyResult(model_type, name, "failed", why=f"{type(error).__name__}: {first_line(error)}")
    way, off = "registry" if registered(found.module) else "operators", _error(found.opening)
    # Where scores are so large that float32 itself is no nearer, on some processors, float64 or smaller scores tell.
    for other in ((torch.float64, _SHARPEN), (torch.float32, 1.0)) if off > EXACT and how is None else ():
        again = _attempt(model_type, kind, config, recipe, other) if found.opening.holds else None
        if again is not None and again.result in ("exact", "partly"):
            return again
    if off > EXACT:
        return FamilyResult(model_type, name, "failed", way, off, f"off by {off:.1e}")
    missing = ", ".join(found.opening.missing)
    return FamilyResult(model_type, name, "partly" if missing else "exact", way, off, missing and f"without {missing}")


def _inputs(module: nn.Module, known: Family | None) -> dict[str, Tensor]:
    both = bool(getattr(module.config, "is_encoder_decoder", False))
    if known is not None:
        return small_inputs(known, both)
    generator = torch.Generator().manual_seed(1)
    lengths = {"input_ids": 24} | ({"decoder_input_ids": 9} if both else {})
    return {name: torch.randint(4, _VOCABULARY, (1, n), generator=generator) for name, n in lengths.items()}


def _error(opening: OpeningCheck) -> float:
    """The largest difference of a weight, or of the output as a part of what its numbers allow, times 2·10⁻⁶."""
    weights = opening.weights[0] if opening.weights else 0.0
    output = opening.output[0] / opening.output[1] * EXACT if opening.output and opening.output[1] else 0.0
    return max(weights, output)


def _small(
    model_type: str, kind: type[nn.Module], config: type, recipe: Mapping[str, Any], sharpen: float
) -> nn.Module:
    """A random model of the class with small sizes, its matrices larger than they are drawn, so that attention is not even."""
    torch.manual_seed(0)
    usual, rules = config(), rules_of(model_type)
    wanted = {name: size for name, size in (_SIZES | recipe).items() if size is not None}
    absent = object()
    sizes = {name: value for name, value in wanted.items() if isinstance(getattr(usual, name, absent), int | None)}
    ids = {
        name: 2
        for name in ("pad_token_id", "bos_token_id", "eos_token_id")
        if isinstance(getattr(usual, name, None), int)
    }
    with torch.device("meta"):  # the shapes alone: one whose sizes have other names may have billions of numbers
        shapes = kind(config(**sizes, **ids))
    if sum(parameter.numel() for parameter in shapes.parameters()) > _MOST:
        raise ValueError("its sizes have names of their own")
    module = kind(config(**sizes, **ids)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(rules.sharpen if rules.model_type else sharpen)
    return module
