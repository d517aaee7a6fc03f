"""Sizes and switches of our own Transformer; `PAPER_BASE` is the base model of Vaswani et al. (2017), table 3."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from model.errors import HeadlightError

POSITIONS = ("sinusoidal", "learned", "relative", "rotary", "alibi", "none")
NORMS = ("post", "pre")


class BadConfig(HeadlightError):
    code = "bad_config"
    sentence = "{what} is {got}, but {rule}."


@dataclass(frozen=True)
class TransformerConfig:
    """Every size of the encoder–decoder. `positions` and `norm` are switches; lengths are counted in tokens."""

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
        for name in (
            "source_vocabulary",
            "target_vocabulary",
            "d_model",
            "heads",
            "d_ff",
            "max_length",
            "relative_distance",
        ):
            self._check(name, type(getattr(self, name)) is int, "it must be a whole number")
            self._check(name, getattr(self, name) >= 1, "it must be at least 1")
        for name in ("encoder_layers", "decoder_layers"):
            self._check(name, type(getattr(self, name)) is int, "it must be a whole number")
            self._check(name, getattr(self, name) >= 1, "an encoder–decoder needs at least one layer on each side")
        self._check("d_model", self.d_model % self.heads == 0, f"it must be divisible by heads = {self.heads}")
        smaller = min(self.source_vocabulary, self.target_vocabulary)
        self._check("pad_id", 0 <= self.pad_id < smaller, f"it must be in both vocabularies: 0 to {smaller - 1}")
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
    def d_k(self) -> int:
        """Dimension of one head's queries, keys and values: d_model / heads (paper section 3.2.2)."""
        return self.d_model // self.heads

    def with_changes(self, **changes: object) -> TransformerConfig:
        return replace(self, **changes)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


PAPER_BASE = TransformerConfig()
CONFIGURATIONS = {"paper-base": PAPER_BASE}
