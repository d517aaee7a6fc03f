"""Sizes and switches of our own Transformer; `PAPER_BASE` is the base model of Vaswani et al. (2017), table 3."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from model.errors import HeadlightError

POSITIONS = ("sinusoidal", "learned", "relative", "rotary", "alibi", "none")
NORMS = ("post", "pre")
_COUNTS = dict.fromkeys(
    ("source_vocabulary", "target_vocabulary", "d_model", "heads", "max_length", "relative_distance")
)
_MAY_BE_0 = dict.fromkeys(("encoder_layers", "decoder_layers", "d_ff"))


class BadConfig(HeadlightError):
    code = "bad_sizes"
    sentence = "{what} is {got}, but {rule}."


@dataclass(frozen=True)
class TransformerConfig:
    """Every size of a Transformer in one of three shapes: encoder–decoder (Vaswani et al. 2017), decoder only without encoder
    layers (Radford et al. 2018, GPT), encoder only without decoder layers (Devlin et al. 2019, BERT).

    Without `d_ff` a layer is attention alone (Elhage et al. 2021). `positions` and `norm` are switches; lengths are counted
    in tokens. A side that is not there has no vocabulary: its size says nothing.
    """

    source_vocabulary: int = 5000
    target_vocabulary: int = 5000
    d_model: int = 512
    heads: int = 8
    encoder_layers: int = 6
    decoder_layers: int = 6
    d_ff: int = 2048
    dropout: float = 0.1
    max_length: int = 100
    positions: str = "sinusoidal"
    norm: str = "post"
    pad_id: int = 0
    relative_distance: int = 16

    def __post_init__(self) -> None:
        for name in _COUNTS | _MAY_BE_0:
            self._check(name, type(getattr(self, name)) is int, "it must be a whole number")
            least = 1 if name in _COUNTS else 0
            self._check(name, getattr(self, name) >= least, f"it must be at least {least}")
        layers = self.encoder_layers + self.decoder_layers
        self._check("decoder_layers", layers > 0, "one of encoder_layers and decoder_layers must be at least 1")
        self._check("d_model", self.d_model % self.heads == 0, f"it must be divisible by heads = {self.heads}")
        smaller = min(self.vocabularies.values())
        self._check("pad_id", 0 <= self.pad_id < smaller, f"it must be in every vocabulary: 0 to {smaller - 1}")
        self._check("dropout", 0 <= self.dropout < 1, "it must be at least 0 and below 1")
        self._check("positions", self.positions in POSITIONS, f"it must be one of {', '.join(POSITIONS)}")
        self._check("norm", self.norm in NORMS, f"it must be one of {', '.join(NORMS)}")
        if self.positions == "rotary":
            self._check(
                "d_k", self.d_k % 2 == 0, "rotary positions turn pairs of dimensions, so it must be even", self.d_k
            )
        if self.positions == "sinusoidal":
            self._check("d_model", self.d_model % 2 == 0, "sinusoidal positions come in pairs, so it must be even")

    def _check(self, what: str, holds: bool, rule: str, got: object = None) -> None:
        if not holds:
            raise BadConfig(what=what, got=getattr(self, what) if got is None else got, rule=rule)

    @property
    def vocabularies(self) -> dict[str, int]:
        """How many tokens each side that is there knows: {"source": …, "target": …}."""
        sides = {"source": self.encoder_layers, "target": self.decoder_layers}
        return {side: getattr(self, f"{side}_vocabulary") for side, layers in sides.items() if layers}

    @property
    def d_k(self) -> int:
        """Dimension of one head's queries, keys and values: d_model / heads (paper section 3.2.2)."""
        return self.d_model // self.heads

    def with_changes(self, **changes: object) -> TransformerConfig:
        return replace(self, **changes)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


PAPER_BASE = TransformerConfig()
CONFIGURATIONS = {"paper-base": PAPER_BASE}
