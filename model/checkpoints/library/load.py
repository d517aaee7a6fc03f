"""Opening a checkpoint folder of the transformers library: local files, tensors only, library classes only."""

from __future__ import annotations

import importlib.util
import json
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.checkpoints.convert import cache_entry
from model.checkpoints.convert.convert import OFFLOADED, cache_folder
from model.checkpoints.disk import cost, generation_config, quantised
from model.checkpoints.disk import files as checkpoint_files
from model.checkpoints.disk.families import entry, family_of
from model.checkpoints.disk.other_folders import adapter
from model.checkpoints.disk.processor_config import processor_config
from model.checkpoints.library import adapter as adapters
from model.checkpoints.library import load_errors, size_check
from model.checkpoints.library.decoder_input import entrances
from model.checkpoints.library.library_model import HuggingFaceModel
from model.checkpoints.library.route import NoRoute, route, short_input
from model.checkpoints.library_logging import loading
from model.checkpoints.record.forward import prepare
from model.checkpoints.remarks import not_finite
from model.checkpoints.tokens import watched
from model.checkpoints.tokens.encode import guard, panicked
from model.errors import (
    BadConfig,
    HeadlightError,
    NeedsPackage,
    NotFinite,
    NoTokenizer,
    RemoteCode,
)  # fmt: skip
from model.jobs.device import CPU, move
from model.jobs.progress import tick


@dataclass(frozen=True, eq=False)
class Loaded:
    """A library model without its tokenizer. `fresh`: parameters that the files lack and that are random, by name;
    `unused`: tensors of the files that the class has no place for, `unused_numbers`: how many numbers these hold, 0 where
    the files have no header that tells; `adapter`: what is said of one, and whether it is applied."""

    module: nn.Module
    family: str
    weights_hash: str
    fresh: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    unused_numbers: int = 0
    adapter: dict[str, Any] | None = None

    @property
    def card(self) -> dict[str, object]:
        config = self.module.config
        return {
            "architectures": [type(self.module).__name__],
            "config": json.loads(config.to_json_string()),
            "fresh": self.fresh,
            "unused": self.unused,
            "unused_numbers": self.unused_numbers,
            "not_finite": not_finite(self.module),
        }


def load(
    folder: Path, name: str | None = None, card: Mapping[str, object] | None = None, device: torch.device = CPU,
    adapter_in: Path | None = None,
) -> HuggingFaceModel:  # fmt: skip
    """Open a checkpoint folder of the library; `card` is added to the model's own. A model of pictures alone has no tokenizer
    (None); `card["processor"]` says how pictures or sound are prepared. adapter_in: the folder of an adapter elsewhere.

    Raises a HeadlightError of one sentence, of `errors.checkpoints`, or WeightsTooLarge.
    """
    config = _config(folder)
    family = family_of(config.model_type)
    known = entry(family)
    sees = _sees(config)
    if known is None and sees:
        load_errors.refuse(folder, family, "which reads pictures in a way that is not recorded", "pictures")
    writes = known is not None and known.architecture == "encoder-decoder"
    bare = known is not None and known.reads != "text" and not writes and not checkpoint_files.has_tokenizer(folder)
    wordless = bare or (sees and not writes)
    tokenizer = None if wordless else _tokenizer(folder)
    told = generation_config.settings(folder)
    loaded = read(folder, adapter_in or folder)
    generation_config.check(folder, told, loaded.module)
    guard(loaded.module, tokenizer)
    card = loaded.card | {"processor": processor_config(folder)} | dict(card or {})
    if kind := quantised.unpacked(checkpoint_files.config(folder)):
        card["unpacked"] = kind
    if loaded.adapter is not None:
        card["adapter"] = loaded.adapter
    opened = (tokenizer, family, loaded.weights_hash, card)
    if getattr(loaded.module, "hf_device_map", None):  # a part of the weights lies on disk: no copy could share it
        return HuggingFaceModel(name or folder.name, prepare(loaded.module), *opened)
    with cost.within_memory():
        move(loaded.module, device, entrances(loaded.module))
    tick("checking", None)
    try:
        found = route(loaded.module, short_input(loaded.module), known)
    except NoRoute as error:
        if broken := not_finite(loaded.module):
            raise NotFinite(path=folder, got=len(broken), names=", ".join(broken[:3])) from error
        load_errors.refuse(folder, loaded.family, str(error))
    return HuggingFaceModel(
        name or folder.name, found.module, *opened, untouched=found.untouched, opening=found.opening
    )


def read(folder: Path, adapter_in: Path | None = None) -> Loaded:
    """The module with its weights in float32, in evaluation mode and not yet recorded; raises as `load` does."""
    config = _config(folder)
    weights = checkpoint_files.weights(folder)
    size_check.check(folder, config, _class(config), weights)
    digest = checkpoint_files.digest(weights)
    cache_entry.check_weights(weights, digest)
    tick("loading", None)
    options, give_back = _room(folder, digest)
    mapping, safe = checkpoint_files.without_wrappers(weights), weights[0].suffix == ".safetensors"
    module, info = _from_files(folder, config, weights, mapping, options)
    kept_whole = all(name.startswith("model.") for name in info["unexpected_keys"])
    if load_errors.none_fits(module, info) and kept_whole:  # a trainer's module had the model under that name
        module, info = _from_files(folder, config, weights, (mapping or {}) | {r"^model\.": ""}, options)
    weakref.finalize(module, give_back)
    load_errors.check(weights, module, info)
    converted = checkpoint_files.settings(folder / checkpoint_files.CONVERSION)  # what the file said that it came from
    fresh = sorted({*info["missing_keys"], *converted.get("fresh", ())})
    unused = sorted({*info["unexpected_keys"], *converted.get("unused", ())})
    left = checkpoint_files.numbers(weights, set(unused)) if safe else 0
    told = adapter(adapter_in) if adapter_in is not None else None
    if told is not None:
        adapted = adapters.apply(module, adapter_in, told)
        if adapted.applied:  # another model than without it
            digest = checkpoint_files.digest([*weights, *adapted.weights])
        fresh, unused = fresh + adapted.fresh, unused + adapted.unused
        told = told | {"applied": adapted.applied} | ({} if adapter_in == folder else {"base": str(folder)})
    return Loaded(module.eval(), config.model_type, digest, fresh, unused, left, told)


def _from_files(
    folder: Path, config: Any, weights: list[Path], mapping: dict[str, str] | None, options: dict[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    """What from_pretrained makes of the files, and what it tells of them."""
    try:
        # Parameters that the files lack are drawn at random: always the same ones, and not from the caller's numbers.
        with loading(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _class(config).from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False, weights_only=True,
                use_safetensors=weights[0].suffix == ".safetensors", dtype=torch.float32, output_loading_info=True,
                # An adapter beside the model is applied later, so that what is said of the model's own files is kept.
                ignore_mismatched_sizes=True, key_mapping=mapping, adapter_kwargs={"subfolder": "none"}, **options,
            )  # fmt: skip
    except HeadlightError:
        raise
    except Exception as error:
        raise load_errors.said(folder, weights, config, _class(config), error) from error


def _config(folder: Path) -> Any:
    """The library's configuration. Raises BadFile, RemoteCode or UnsupportedFamily before any weight is touched."""
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    told = checkpoint_files.config(folder)
    family = str(told.get("model_type"))
    if family not in CONFIG_MAPPING:
        if told.get("auto_map"):
            raise RemoteCode(path=folder, family=family, allowed=load_errors.families("text"))
        load_errors.refuse(folder, family, "which the installed transformers library does not know")
    size_check.before_building(folder)
    quantised.check(folder, told)
    if (kind := quantised.unpacked(told)) and importlib.util.find_spec("accelerate") is None:
        raise NeedsPackage(path=folder, package="accelerate", command="pip install accelerate")
    try:
        with loading():
            found = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            # What computed attention where the folder was made need not be installed here: the library's own choice
            # for the model gives the same numbers on any computer.
            found._attn_implementation = None
            for part in (found, found.get_text_config()) if kind else ():
                if packed := getattr(part, "quantization_config", None):
                    # Told outright: where kernels for packed weights are installed the library would keep them so.
                    part.quantization_config = dict(packed) | {"dequantize": True}
            return found
    except Exception as error:  # the library checks values with several validators, each with errors of its own
        raise BadConfig(path=folder, file="config.json", reason=load_errors.first_line(error, 2)) from error


def _class(config: Any) -> Any:
    """The library class that the configuration names, else the bare model of its family."""
    import transformers

    for name in getattr(config, "architectures", None) or []:
        found = getattr(transformers, str(name), None)
        whole = not str(name).endswith("PreTrainedModel")
        if whole and isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
    return transformers.AutoModel


def _sees(config: Any) -> bool:
    """Whether the model reads pixels and no tokens."""
    import transformers

    found = _class(config)
    if found is transformers.AutoModel:
        found = transformers.MODEL_MAPPING.get(type(config), None)
    return getattr(found, "main_input_name", "") == "pixel_values"


def _room(folder: Path, digest: str) -> tuple[dict[str, Any], Callable[[], None]]:
    """What from_pretrained is told where the weights do not fit: the library then leaves a part of them on disk, in a folder
    that lives as long as the module; and what removes it."""
    needed, limit = cost.before_loading(folder).weight_bytes, cost.memory_limit()
    if needed <= limit:
        return {}, lambda: None
    if importlib.util.find_spec("accelerate") is None:
        cost.refuse_weights(needed)
    offload, remove = cache_entry.scratch(folder, cache_folder() / OFFLOADED / digest)
    return {"device_map": "auto", "max_memory": {"cpu": limit}, "offload_folder": str(offload)}, remove


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer, TokenizersBackend

    watched.check_files(folder)
    as_saved = checkpoint_files.settings(folder / checkpoint_files.CONVERSION).get(checkpoint_files.AS_SAVED)
    kind = TokenizersBackend if as_saved else AutoTokenizer
    try:
        with loading():
            tokenizer = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except BaseException as error:
        if not isinstance(error, Exception) and not panicked(error):
            raise
        for package, file in (("sentencepiece", ""), ("tiktoken", "tokenizer.model")):
            # Whatever the library cannot read it tries as tiktoken's at last.
            there = (folder / file).is_file() if file else checkpoint_files.has_tokenizer(folder)
            if package in str(error).lower() and there and importlib.util.find_spec(package) is None:
                raise NeedsPackage(path=folder, package=package, command=f"pip install {package}") from error
        if package := load_errors.needed_package(error):
            raise NeedsPackage(path=folder, package=package, command=f"pip install {package}") from error
        raise NoTokenizer(path=folder) from error
    if not isinstance(tokenizer.model_max_length, int | float):
        raise BadConfig(path=folder, file="tokenizer_config.json", reason="its model_max_length is no number")
    # Where the files are missing the library may still hand out a tokenizer, one that knows its special tokens alone.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise NoTokenizer(path=folder)
    return tokenizer
