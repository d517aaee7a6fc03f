"""Pictures into vision models: a file read, prepared as the library's own processor does it, run and recorded.

ViT cuts a picture into patches and reads them as tokens after one [CLS] (Dosovitskiy et al. 2021); CLIP has such a tower
beside a causal text tower and compares their vectors (Radford et al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from model.checkpoints.disk.cost import within_memory
from model.checkpoints.disk.families import TOWERS, rules_of
from model.checkpoints.media import writing
from model.checkpoints.media.picture_files import Picture, read_picture, sample_picture
from model.checkpoints.media.processors import both_ways, image_processor, refused_settings, vision_config
from model.checkpoints.record.forward import Recorded, record
from model.checkpoints.record.position_tables import adds_positions
from model.checkpoints.tokens.encode import side, tokenized
from model.errors import (
    BadConfig,
    EmptyText,
    NotInThisModel,
    OutOfRange,
    TextTooLong,
)
from model.jobs.device import facts_of, host
from model.trace import logits
from model.trace.trace import Side, Trace, TraceKey

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel

__all__ = ["Picture", "cropped_input", "pixels", "read_picture", "sample_picture", "trace_picture"]
_TOP = 5
_BEFORE = ("[CLS]", "[DIST]")  # what stands before the patches: of ViT, and of DeiT besides


def _image(picture: Picture) -> Any:
    from PIL import Image

    return Image.fromarray(picture.rgb)  # as an array, three rows would pass for three colours


def pixels(module: nn.Module, picture: Picture, processor_config: Mapping[str, object] | None) -> Tensor:
    """What the model reads: float32 [1, 3, H, W], resized, cropped, rescaled and normalised as the folder says."""
    prepare = image_processor(module, processor_config)
    try:
        return prepare(_image(picture), return_tensors="pt")["pixel_values"].float()
    except (
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        OverflowError,
    ) as error:  # its settings are checked as it runs
        raise refused_settings(module, error) from error


def cropped_input(module: nn.Module, picture: Picture, processor_config: Mapping[str, object] | None) -> Tensor:
    """The part of the picture that the model reads, at its size and in its own colours: uint8 [H, W, 3]."""
    prepare = image_processor(module, processor_config)
    found = prepare(_image(picture), do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
    return torch.from_numpy(np.ascontiguousarray(found.transpose(1, 2, 0)).astype(np.uint8))


def trace_picture(
    model: HuggingFaceModel,
    picture: Picture,
    text: str | Sequence[str] | None = None,
    *,
    selected: int = 0,
    processor_config: Mapping[str, object] | None = None,
) -> Trace:
    """Run a picture and record it: a ViT; CLIP or SigLIP with one caption or several, of which number `selected` is recorded;
    a model that writes about its picture (TrOCR), whose text `text` forces.

    The encoder's tokens are "[CLS]", where the model has one, and the patches "r0c0", "r0c1", …, their ids the positions; the
    store has what the model saw as "image" [H, W, 3]. The text of CLIP is the decoder side. processor_config: else the model
    card's "processor". Raises EmptyText, TextTooLong, OutOfRange, or BadConfig where folder and model disagree.
    """
    if model.reads != "pictures":
        raise NotInThisModel(what="Reading a picture", does=f"reads {model.reads}")
    texts = [text] if isinstance(text, str) else list(text or ())
    captions = [] if model.decodes else texts
    if captions and (model.tokenizer is None or not hasattr(model.module.config, "text_config")):
        raise NotInThisModel(what="Comparing a caption", does="reads pictures alone")
    settings = processor_config if processor_config is not None else model.card.get("processor")
    given = pixels(model.module, picture, settings).to(model.module.dtype)
    _check(model, given)
    inputs, sides, read = {"pixel_values": given}, {}, None
    if captions:
        ids = [_caption(model, caption) for caption in captions]
        selected = OutOfRange.check("Caption", selected, len(ids) - 1)
        inputs = {"input_ids": ids[selected]} | inputs
        sides["decoder"] = side(model.tokenizer, ids[selected][0].tolist(), captions[selected])
    with model.lock, torch.no_grad(), within_memory():
        if model.decodes:
            read = writing.decoder_read(model, inputs, texts[0] if texts else None)
            inputs["decoder_input_ids"] = torch.tensor([read.ids])
            sides["decoder"] = side(model.tokenizer, read.ids)
        # The other captions go first, so that what listens to the model's last run hears the recorded one.
        others = (
            {i: _vector(model.module, caption) for i, caption in enumerate(ids) if i != selected} if captions else {}
        )
        recorded, output = _recorded(model.module if captions else _without_text(model), inputs)
        rows = next(record.queries for site, record in recorded.attention.items() if site.stack == "encoder")
        sides = {"encoder": _patches(model.module, rows)} | sides
        facts = _facts(model, picture, settings) | {"modules": recorded.modules}
        if captions:
            vectors = others | {selected: output.text_embeds}
            facts["captions"] = _similarities(model.module, output, [vectors[i] for i in range(len(ids))], captions)
            facts |= {"captions_how": rules_of(model.family).captions, "selected": selected}
    if read is not None:
        facts |= {"task": model.task} | read.facts(model, recorded.store)
    elif getattr(output, "logits", None) is not None:
        facts["classes"] = _classes(model.module, output.logits[0])
    recorded.store.add("image", cropped_input(model.module, picture, settings))
    target = texts[selected] if captions or (read is not None and not read.generated) else None
    options = (("captions", "\n".join(captions)), ("selected", selected)) if len(captions) > 1 else ()
    key = TraceKey(model.name, model.weights_hash, f"picture {picture.digest}", target, options)
    vocabulary = tuple(model.vocabulary) if "decoder" in sides else ()
    plain = (lambda: model.plain(inputs)) if model.untouched and logits.comparable(recorded.store) else None
    return Trace(key, sides, recorded.attention, recorded.store, vocabulary, facts, plain_logits=plain)


def _without_text(model: HuggingFaceModel) -> nn.Module:
    """What runs on a picture alone: of a dual encoder its tower for pictures."""
    module, tower = model.module, TOWERS["encoder"]
    return getattr(module, tower) if model.task == "embedding" and hasattr(module, tower) else module


def _check(model: HuggingFaceModel, given: Tensor) -> None:
    channels = getattr(vision_config(model.module.config), "num_channels", 3)
    if channels != given.shape[1]:
        does = f"reads pictures of {channels} channel(s)"
        raise NotInThisModel(what=f"Reading a picture of {given.shape[1]} channels, red, green and blue,", does=does)
    wanted = both_ways(vision_config(model.module.config).image_size)
    if tuple(given.shape[2:]) != wanted:
        got = " × ".join(map(str, given.shape[2:]))
        reason = f"it makes pictures of {got}, and its model reads {wanted[0]} × {wanted[1]}"
        raise BadConfig(path=model.name, file="preprocessor_config.json", reason=reason)


def _grid(module: nn.Module) -> tuple[int, int]:
    size, patch = both_ways(vision_config(module.config).image_size), both_ways(vision_config(module.config).patch_size)
    return size[0] // patch[0], size[1] // patch[1]


def _patches(module: nn.Module, count: int) -> Side:
    """The `count` rows of the tower for pictures: what stands before the patches ([CLS] in ViT, nothing in SigLIP), and they."""
    rows, columns = _grid(module)
    before = count - rows * columns
    first = (*_BEFORE, *(f"[{i}]" for i in range(len(_BEFORE), before)))[:before]
    tokens = (*first, *(f"r{row}c{column}" for row in range(rows) for column in range(columns)))
    return Side(tokens, tuple(range(count)), (*[True] * before, *[False] * (rows * columns)))


def _caption(model: HuggingFaceModel, text: str) -> Tensor:
    if not text.strip():
        raise EmptyText()
    allowed = model.module.config.text_config.max_position_embeddings
    filled = {"padding": "max_length", "max_length": allowed} if rules_of(model.family).pads_texts else {}
    ids = tokenized(model.tokenizer, text, **filled).input_ids
    if ids.shape[1] > allowed:
        raise TextTooLong(got=ids.shape[1], allowed=allowed)
    return ids


def _recorded(module: nn.Module, inputs: dict[str, Tensor]) -> tuple[Recorded, Any]:
    """The record of one forward and what that very forward gave; CLIP's towers carry their own hidden states."""
    outputs: list[Any] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        recorded = record(module, inputs)
    finally:
        handle.remove()
    for stack, name in TOWERS.items():
        tower = getattr(outputs[0], f"{name}_output", None)
        for i, state in enumerate(getattr(tower, "hidden_states", None) or ()):
            recorded.store.add(f"{stack}.{i}.stream", host(state[0]))
    return recorded, outputs[0]


def _facts(model: HuggingFaceModel, picture: Picture, settings: Mapping[str, object] | None) -> dict[str, object]:
    prepare = image_processor(model.module, settings)
    normalised = prepare.do_normalize
    return {
        **facts_of(model.module),
        "family": model.family,
        "norm": "unknown",
        "adds_positions": adds_positions(model.module),
        "reads": "picture",
        **({"opening": model.opening.facts()} if model.opening else {}),
        "picture": picture.name,
        "original": list(picture.rgb.shape[:2]),
        "grid": list(_grid(model.module)),
        "preparation": {
            "from": "assumed" if settings is None else "preprocessor_config.json",
            "mean": list(prepare.image_mean) if normalised else None,
            "std": list(prepare.image_std) if normalised else None,
        },
    }


def _classes(module: nn.Module, logits: Tensor) -> list[list[object]]:
    """The likeliest labels, best first: [label, probability]."""
    best = logits.double().softmax(-1).topk(min(_TOP, logits.shape[-1]))
    names = module.config.id2label
    return [[names.get(i, f"#{i}"), p] for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def _vector(module: nn.Module, caption: Tensor) -> Tensor:
    """What the tower for texts makes of a caption by itself: padding would be one more thing to trust."""
    return module.get_text_features(input_ids=caption).pooler_output


def _similarities(module: nn.Module, output: Any, texts: list[Tensor], captions: list[str]) -> list[dict[str, object]]:
    """Per caption its cosine with the picture, and its probability: of cosine · scale the softmax over the captions (CLIP),
    or of cosine · scale + bias the sigmoid, each by itself (SigLIP: Zhai et al. 2023, algorithm 1). texts: their vectors."""
    vectors = torch.cat([text / text.norm(dim=-1, keepdim=True) for text in texts])
    cosines = (vectors @ output.image_embeds.T)[:, 0]
    products = (cosines * module.logit_scale.exp()).double()
    if rules_of(module.config.model_type).captions == "sigmoid":
        probabilities = (products + module.logit_bias.double()).sigmoid()
    else:
        probabilities = products.softmax(0)
    rows = zip(captions, cosines.tolist(), probabilities.tolist(), strict=True)
    return [{"text": text, "similarity": cosine, "probability": p} for text, cosine, p in rows]
