"""The registry of library model families that can be opened, looked up by `model_type`.

A new family is one entry in the file of its architecture: `tests/model/test_families.py` and its neighbours hold every
entry to the library's own attention. Code elsewhere reads an entry's field and asks for no family by its name.
"""

from __future__ import annotations

from model.checkpoints.disk.families.decoders import DECODERS
from model.checkpoints.disk.families.encoder_decoders import ENCODER_DECODERS
from model.checkpoints.disk.families.encoders import ENCODERS
from model.checkpoints.disk.families.family import Family, RandomModel
from model.checkpoints.disk.families.media import MEDIA
from model.checkpoints.disk.families.smallest import small_inputs, small_model

__all__ = [
    "FAMILIES", "TOWERS", "Family", "RandomModel", "entry", "family_of", "made_at_random", "rules_of", "small_inputs",
    "small_model",
]  # fmt: skip
FAMILIES: tuple[Family, ...] = (*ENCODERS, *DECODERS, *MEDIA, *ENCODER_DECODERS)
# Stack of the record -> the module that a dual encoder of the library has for it.
TOWERS = {"encoder": "vision_model", "decoder": "text_model"}


def _every(name: str) -> str:
    return "|".join(dict.fromkeys(getattr(family, name) for family in FAMILIES if getattr(family, name)))


# A model outside the registry: no exception is known of it, and its modules may be called as in any family.
_OTHER = Family(
    "", "", "AutoModel", "AutoConfig", {}, cross_attention=_every("cross_attention"),
    feed_forward=rf"{_every('feed_forward')}|feed_forward\.down_proj",  # the dense layers of Llama 4, of Jamba
    position_table=_every("position_table"),
)  # fmt: skip
_ENTRIES = {family.model_type: family for family in FAMILIES}
_RULES = {also: family for family in FAMILIES for also in family.like} | _ENTRIES


def entry(model_type: str) -> Family | None:
    """The registry's entry, None for a family that has none."""
    return _ENTRIES.get(model_type)


def rules_of(model_type: str) -> Family:
    """The entry whose fields hold for a `model_type`: its own, that of a family like it, else one of defaults alone."""
    return _RULES.get(model_type, _OTHER)


def family_of(model_type: str) -> str:
    """The family that a `model_type` of config.json belongs to: CLIP's vision tower alone is of CLIP."""
    return next((family.model_type for family in FAMILIES if model_type in family.tower_types), model_type)


def made_at_random() -> dict[str, tuple[Family, RandomModel]]:
    """Name -> family and recipe of every model with random weights that a person can have made."""
    return {each.name or family.model_type: (family, each) for family in FAMILIES for each in family.random_models}
