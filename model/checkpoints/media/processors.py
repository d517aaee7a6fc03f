"""Image and sound processors of a checkpoint, from the settings in its own folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from model.checkpoints.disk.families import family_of, rules_of
from model.errors import BadConfig
from model.errors.library_text import library_text

_LARGEST = 8192  # pixels a side; more would fill the memory before anything could be said


def both_ways(size: int | Sequence[int]) -> tuple[int, int]:
    """A size of a configuration as (height, width)."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def vision_config(config: Any) -> Any:
    """The part of a configuration that is about pictures: the whole, a tower's, or an encoder's."""
    return getattr(config, "vision_config", None) or getattr(config, "encoder", None) or config


def image_processor(module: nn.Module, processor_config: Mapping[str, object] | None) -> Any:
    """The library's own image processor, the one that needs Pillow alone, with the folder's settings.

    Without settings: the model's size, and the mean and deviation that the family's processor has by itself.
    """
    import transformers

    family = rules_of(family_of(module.config.model_type))
    if processor_config is None:
        height, width = both_ways(vision_config(module.config).image_size)
        whole = {"height": height, "width": width}
        size = {"size": {"shortest_edge": height}, "crop_size": whole} if family.center_crop else {"size": whole}
        return getattr(transformers, family.processor + "Pil")(**size)
    named = str(processor_config.get("image_processor_type") or processor_config.get("feature_extractor_type") or "")
    named = named.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    kind = getattr(transformers, f"{named}Pil", None) or getattr(transformers, family.processor + "Pil")
    try:
        made = kind.from_dict(dict(processor_config))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise refused_settings(module, error) from error
    for asked in (made.size, made.crop_size):
        for name, got in dict(asked or {}).items():
            if isinstance(got, int) and not 1 <= got <= _LARGEST:
                raise refused_settings(module, ValueError(f"{name} is {got}, and 1 to {_LARGEST} pixels are made"))
    return made


def refused_settings(module: nn.Module, error: Exception) -> BadConfig:
    """What to raise where the folder's settings are none that a picture can be prepared with."""
    path = getattr(module.config, "_name_or_path", "") or type(module).__name__
    return BadConfig(path=path, file="preprocessor_config.json", reason=library_text(error))
