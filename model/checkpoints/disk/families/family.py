"""`Family`, one entry of the registry of library model families: the usual is a field's default, an exception is its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VOCABULARY = 97  # rows of the token table of the smallest models, those that tests are made of


@dataclass(frozen=True)
class RandomModel:
    """A model with random weights and a tokenizer, which a person can have made (`model.checkpoints.random_models.make`).

    special: the tokenizer's special tokens in the order of their ids; template: what stands around a text ($A). name: what
    it is asked by, "" for the family's model_type. config: changes to `Family.small`. sharpen: as `Family.sharpen`. seed:
    of the weights. multilingual: whether the tokenizer is cased and learnt from texts in five languages.
    """

    special: tuple[str, ...]
    template: str = "$A"
    name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    sharpen: float = 8.0
    seed: int = 0
    multilingual: bool = False


@dataclass(frozen=True)
class Family:
    """One family, by its `model_type` in config.json. Names of modules are regular expressions on dotted paths.

    What it is, and how it is recorded:

    title: what people call it. model, config: the library's classes. architecture: "encoder" (every token sees all),
    "decoder" (a token sees those before it), "encoder-decoder", or "dual encoder" (one tower for pictures, one for texts).
    small: what makes the configuration of its smallest model. notes: of its attention, for the list of families. route:
    "hook" where attention goes through the library's registry, "replay" where it has to be watched as it multiplies
    (see those modules), "" where that is another for its parts, and is found when it is opened. unregistered: whether it has
    attention beside the registry's, which is not recorded and is said to be missing. reads: "text", "pictures" or "sound".

    Whose facts these are:

    like: model_types outside the registry that the library builds like this one, so that its exceptions are theirs.
    tower_types: model_types of one of its towers saved alone, which is then opened as a model of this family.

    Positions:

    positions: "learned", "sinusoidal", "rotary", "alibi", "relative" or "convolutional" (the frames around a frame, folded
    and added to it), as usual for the family; a configuration that is told otherwise by its modules is described by these.
    position_table: the embedding that is added, by its own name.
    positions_after_padding: whether position 0 is the row behind the padding id's, so that the rows up to it go unused.
    unlimited_length: whether nothing ends with the configured length, which is that of the training texts.

    The block:

    norm: "pre", f(norm(x)) + x; "post", norm(f(x) + x) (Vaswani et al. 2017, section 5.4); "sandwich", norm(f(norm(x))) + x;
    "reordered", norm(f(x)) + x; "" where it is another for its parts. qk_norm: whether q and k are normalised before their
    product. gated: the stacks whose feed-forward layers multiply two first projections (Shazeer 2020). cross_attention: the
    module, anywhere in the path.
    feed_forward: the path's end of the last projection of a feed-forward layer, "" where no single one ends it (experts).

    Configuration, task and inputs:

    config_names: a size of `config_sizes.Sizes` -> its name in config.json, where none of the usual is right. tasks: library
    class -> its task, where the end of its name says another (`model.checkpoints.disk.tasks`). processor: the library class
    that prepares pictures or sound; center_crop: whether, where a folder has no settings for it, a picture is cut to the
    model's size, else it is squeezed into it whole. captions: what becomes of a dual encoder's products of a picture and
    several texts, the "softmax" over them or the "sigmoid" of each by itself. pads_texts: whether it reads a text filled up
    to its length. examples: what to try first, where the architecture's usual texts
    would not do. card: the key in `model.families` under which its models are offered.

    Models with random weights:

    sharpen: what the matrices of its smallest model are multiplied by, so that attention is not flat; 1 where scores are
    not divided by √d_k, or float32 would keep no digit of them. random_models: those that a person can have made.
    """

    model_type: str
    title: str
    model: str
    config: str
    small: dict[str, Any]
    notes: str = ""
    architecture: str = ""
    route: str = "hook"
    unregistered: bool = False
    reads: str = "text"
    like: tuple[str, ...] = ()
    tower_types: tuple[str, ...] = ()
    positions: str = ""
    position_table: str = r"positions?_embed(s|dings?)?|pos_embed(s|dings?)?|embed_positions"
    positions_after_padding: bool = False
    unlimited_length: bool = False
    norm: str = "pre"
    qk_norm: bool = False
    gated: tuple[str, ...] = ()
    cross_attention: str = r"encoder_attn|cross_?attn|crossattention|inter_attention"
    feed_forward: str = r"mlp\.down_proj|mlp\.c_proj|(^|\.)fc2|layers?\.\d+\.output\.dense"
    config_names: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""
    center_crop: bool = False
    captions: str = "softmax"
    pads_texts: bool = False
    examples: tuple[str, ...] = ()
    card: str = ""
    sharpen: float = 5.0
    random_models: tuple[RandomModel, ...] = ()
