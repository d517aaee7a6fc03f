"""Our own Transformer, as in "Attention Is All You Need" (Vaswani et al. 2017), figure 1, and its two halves."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.errors import TextTooLong
from model.transformer.config import TransformerConfig
from model.transformer.hook_points import HookPoint
from model.transformer.layers import DecoderLayer, EncoderLayer, LayerNorm
from model.transformer.masks import RuleMask, padding
from model.transformer.positions import Learned, Sinusoidal


class Embedding(nn.Module):
    """Token embedding × √d_model, plus the position where the switch says so: [b, n] -> [b, n, d]."""

    def __init__(self, vocabulary: int, config: TransformerConfig):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, config.d_model, padding_idx=config.pad_id)
        nn.init.normal_(self.tokens.weight, std=config.d_model**-0.5)
        kinds = {"sinusoidal": Sinusoidal, "learned": Learned}
        kind = kinds.get(config.positions)
        self.positions = kind(config.max_length, config.d_model) if kind else None
        self.dropout = nn.Dropout(config.dropout)
        self.max_length, self.factor = config.max_length, math.sqrt(config.d_model)
        self.embedding, self.encoding, self.input = HookPoint(), HookPoint(), HookPoint()

    def forward(self, ids: Tensor) -> Tensor:
        if ids.shape[1] > self.max_length:
            raise TextTooLong(got=ids.shape[1], allowed=self.max_length)
        x = self.embedding(self.tokens(ids) * self.factor)
        if self.positions is not None:
            x = x + self.encoding(self.positions.encoding(ids.shape[1])[None])
        return self.dropout(self.input(x))


class Transformer(nn.Module):
    """source ids [b, n] and target ids [b, m] (shifted right, beginning with a start token) -> logits [b, m, V].

    logits[:, t] scores the token that follows target position t. Without encoder layers source is None and the same holds
    of the target alone; without decoder layers target is None, and logits[:, i] [b, n, V] scores the token at source position
    i itself, over the source's vocabulary. Padding (`config.pad_id`) is masked on the key axis.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        sides = config.vocabularies
        self.source = Embedding(sides["source"], config) if "source" in sides else None
        self.target = Embedding(sides["target"], config) if "target" in sides else None
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        ends = config.norm == "pre"  # pre-LN leaves the stream unnormalised, so each stack closes with one more norm
        self.encoder_norm = LayerNorm(config.d_model) if ends and self.encoder else nn.Identity()
        self.decoder_norm = LayerNorm(config.d_model) if ends and self.decoder else nn.Identity()
        self.project = nn.Linear(config.d_model, sides.get("target", config.source_vocabulary))
        self.memory, self.final, self.logits = HookPoint(), HookPoint(), HookPoint()
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and name.endswith("weight") and "tokens" not in name:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        for embedding in filter(None, (self.source, self.target)):
            with torch.no_grad():
                embedding.tokens.weight[self.config.pad_id].zero_()

    @property
    def device(self) -> torch.device:
        """Where the parameters lie, and where inputs are moved before they are read."""
        return self.project.weight.device

    def masks(self, source: Tensor | None, target: Tensor | None) -> dict[str, RuleMask]:
        """The rules of the attentions that are there: encoder self (padding), decoder self (causal and padding), cross (the
        source's padding)."""
        pad, rules = self.config.pad_id, {}
        if source is not None:
            rules["encoder.self"] = padding(source, pad)
        if target is not None:
            rules["decoder.self"] = padding(target, pad, causal=True)
        if source is not None and target is not None:
            rules["decoder.cross"] = padding(source, pad)
        return rules

    def encode(self, source: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        source = source.to(self.device)
        mask = padding(source, self.config.pad_id)
        x = self.source(source)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.memory(self.encoder_norm(x))

    def decode(
        self,
        target: Int[Tensor, "b m"],
        memory: Float[Tensor, "b n d"] | None = None,
        source: Int[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b m V"]:
        source, target, memory = (
            None if given is None else given.to(self.device) for given in (source, target, memory)
        )
        masks = self.masks(source, target)
        x = self.target(target)
        for layer in self.decoder:
            x = layer(x, memory, masks["decoder.self"], masks.get("decoder.cross"))
        return self.logits(self.project(self.final(self.decoder_norm(x))))

    def forward(
        self, source: Int[Tensor, "b n"] | None = None, target: Int[Tensor, "b m"] | None = None
    ) -> Float[Tensor, "b _ V"]:
        self._check_sides(source, target)
        memory = self.encode(source) if self.encoder else None
        return self.decode(target, memory, source) if self.decoder else self.logits(self.project(memory))

    def _check_sides(self, source: Tensor | None, target: Tensor | None) -> None:
        given = {name for name, ids in (("source", source), ("target", target)) if ids is not None}
        if given != set(self.config.vocabularies):
            wanted = " and ".join(self.config.vocabularies)
            raise ValueError(f"this shape reads {wanted} ids, and was given {' and '.join(sorted(given)) or 'none'}")
