"""Model families from the Transformer of 2017 on: the architecture of each, and the sizes of its named original.

Sizes are those of the paper that `source` names. `counted` is the number of parameters that the transformers library's
class for that configuration has (`counts` names the class), or that `block_parameters` gives; papers round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from model.checkpoints.disk.families import FAMILIES, made_at_random

# Small random models with our own code, and what they are called.
_OF_OURS = {"shaw": "Transformer (Shaw et al. 2018)"}


@dataclass(frozen=True)
class FamilyCard:
    """One family. The values of stacks, positions, norm, mask and objective are names with a text in the catalogue.

    stacks: "both", "encoder" or "decoder". norm: "post", "pre" or "pre_rms". layers: of each stack. small: the name in
    `model.checkpoints.random_models.make` of a random one ("" where there is none). trained: the name of the small trained
    one that ships, which is offered first. library, config, counts: the library's family (its entry in
    `model.checkpoints.disk.families`), the changes to its configuration that give the original, and the model class whose
    parameters are counted; "" where the library has no such model.
    """

    key: str
    title: str
    year: int
    paper: str
    source: str
    original: str
    stacks: str
    positions: str
    norm: str
    activation: str
    mask: str
    objective: str
    layers: int
    d_model: int
    heads: int
    d_ff: int
    vocabulary: int
    length: int | None
    counted: int
    parents: tuple[str, ...] = ()
    small: str = ""
    trained: str = ""
    library: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    counts: str = ""
    d_k: int | None = None

    @property
    def head_width(self) -> int:
        """d_k: d_model / heads, but where the paper says another (T5)."""
        return self.d_k or self.d_model // self.heads


_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
CARDS = (
    FamilyCard(
        "transformer", "Transformer", 2017, "Vaswani et al. 2017, Attention Is All You Need", "arXiv:1706.03762, table 3",
        "base", "both", "sinusoidal", "post", "ReLU", "causal_decoder", "translation", 6, 512, 8, 2048, 37_000, None,
        63_082_496, trained="translate",
    ),
    FamilyCard(
        "gpt", "GPT", 2018, "Radford et al. 2018, Improving Language Understanding by Generative Pre-Training",
        "section 4.1", "GPT", "decoder", "learned", "post", "GELU", "causal", "next", 12, 768, 12, 3072, 40_478, 512,
        116_534_784, ("transformer",), "gpt", "small-gpt", "openai-gpt", {}, "OpenAIGPTLMHeadModel",
    ),
    FamilyCard(
        "bert", "BERT", 2018, "Devlin et al. 2019, BERT", "arXiv:1810.04805, section 3", "base", "encoder", "learned",
        "post", "GELU", "none", "masked_pairs", 12, 768, 12, 3072, 30_522, 512, 109_482_240, ("transformer", "gpt"),
        "bert", "small-bert", "bert", {}, "BertModel",
    ),
    FamilyCard(
        "mbert", "mBERT", 2018, "Devlin et al. 2018, multilingual README; Pires et al. 2019", "arXiv:1906.01502",
        "base, cased", "encoder", "learned", "post", "GELU", "none", "masked_languages", 12, 768, 12, 3072, 119_547, 512,
        177_853_440, ("bert",), "mbert", "small-mbert", "bert", {"vocab_size": 119_547}, "BertModel",
    ),
    FamilyCard(
        "gpt2", "GPT-2", 2019, "Radford et al. 2019, Language Models are Unsupervised Multitask Learners", "table 2",
        "small", "decoder", "learned", "pre", "GELU", "causal", "next", 12, 768, 12, 3072, 50_257, 1024, 124_439_808,
        ("gpt",), "gpt2", "small-gpt2", "gpt2", {}, "GPT2LMHeadModel",
    ),
    FamilyCard(
        "xlnet", "XLNet", 2019, "Yang et al. 2019, XLNet", "arXiv:1906.08237, appendix A.4", "large", "encoder",
        "relative_xl", "post", "GELU", "permutation", "permutation", 24, 1024, 16, 4096, 32_000, 512, 360_268_800,
        ("bert", "gpt"), "xlnet", "small-xlnet", "xlnet", {}, "XLNetModel",
    ),
    FamilyCard(
        "roberta", "RoBERTa", 2019, "Liu et al. 2019, RoBERTa", "arXiv:1907.11692, section 3", "large", "encoder",
        "learned", "post", "GELU", "none", "masked_dynamic", 24, 1024, 16, 4096, 50_265, 512, 355_359_744, ("bert",),
        "roberta", "small-roberta", "roberta",
        _LARGE | {"vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1}, "RobertaModel",
    ),
    FamilyCard(
        "bart", "BART", 2019, "Lewis et al. 2020, BART", "arXiv:1910.13461, section 2", "large", "both", "learned",
        "post", "GELU", "causal_decoder", "infilling", 12, 1024, 16, 4096, 50_265, 1024, 406_291_456, ("bert", "gpt"),
        "bart", "small-bart", "bart", {}, "BartForConditionalGeneration",
    ),
    FamilyCard(
        "t5", "T5", 2019, "Raffel et al. 2020, Exploring the Limits of Transfer Learning", "arXiv:1910.10683, section 3.1",
        "base", "both", "relative_bias", "pre_rms", "ReLU", "causal_decoder", "spans", 12, 768, 12, 3072, 32_128, 512,
        222_903_552, ("transformer", "bert"), "t5", "small-t5", "t5",
        {"num_layers": 12, "d_model": 768, "num_heads": 12, "d_ff": 3072}, "T5ForConditionalGeneration", 64,
    ),
    FamilyCard(
        "gpt3", "GPT-3", 2020, "Brown et al. 2020, Language Models are Few-Shot Learners", "arXiv:2005.14165, table 2.1",
        "175B", "decoder", "learned", "pre", "GELU", "causal_sparse", "next", 96, 12_288, 96, 49_152, 50_257, 2048,
        174_604_259_328, ("gpt2",), "gpt_neo", "small-gpt-neo",
    ),
)  # fmt: skip


def card(key: str) -> FamilyCard:
    """The card of a family; raises KeyError."""
    return {known.key: known for known in CARDS}[key]


def random_title(name: str) -> str:
    """What the architecture of a small random model is called (`model.checkpoints.random_models.make`): as on the card of its
    family where the library has that one, else the first name in the registry."""
    cards = {known.small: known.title for known in CARDS if known.library} | _OF_OURS
    return cards.get(name) or made_at_random()[name][0].title.partition(",")[0]


def random_title_of(path: str) -> str:
    """The same of the folder of a small random model, "random-gpt2"; "" of any other."""
    head, _, name = PurePath(path).name.partition("-")
    return random_title(name) if head == "random" and name in (*made_at_random(), *_OF_OURS) else ""


def related(key: str) -> tuple[str, ...]:
    """The families of opened models that are of a card's kind: the library's say so (`Family.card`), that of an encoder–decoder
    which somebody else wrote is of 2017's; ours are of several, by their shape."""
    library = tuple(family.model_type for family in FAMILIES if family.card == key)
    return (*library, "Seq2Seq") if key == "transformer" else library


def block_parameters(shape: FamilyCard) -> int:
    """Weights and biases of the matrices and norms of a named original, output layer tied to the embedding.

    A block has W_Q, W_K, W_V, W_O (4 d² + 4 d), feed-forward (2 d d_ff + d_ff + d) and its norms (2 d each); a decoder
    beside an encoder has cross-attention and one norm more. One embedding for all (section 3.4 of the 2017 paper), one
    table of positions where they are learned, a last norm to each stack where the norms stand before the sub-layers.
    """
    d, norm = shape.d_model, 2 * shape.d_model
    attention, feed = 4 * d * d + 4 * d, 2 * d * shape.d_ff + shape.d_ff + d
    per_layer = attention + feed + 2 * norm
    if shape.stacks == "both":
        per_layer += attention + feed + 2 * norm + attention + norm
    positions = (shape.length or 0) * d if shape.positions == "learned" else 0
    ends = norm * (2 if shape.stacks == "both" else 1) if shape.norm == "pre" else 0
    return shape.layers * per_layer + shape.vocabulary * d + positions + ends
