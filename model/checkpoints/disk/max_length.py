"""How many tokens the positions of a library model allow."""

from __future__ import annotations

from typing import Any

from model.checkpoints.disk.families import rules_of

UNLIMITED = 1_000_000


def longest(config: Any) -> int:
    """Tokens that the positions allow; `UNLIMITED` where the configuration sets no limit or has no absolute positions."""
    rules = rules_of(config.model_type)
    if rules.unlimited_length or _relative_alone(config):
        return UNLIMITED
    for name in ("max_position_embeddings", "n_positions", "n_ctx"):
        if isinstance(getattr(config, name, None), int) and getattr(config, name) > 0:
            padded = rules.positions_after_padding and config.pad_token_id is not None
            return getattr(config, name) - (config.pad_token_id + 1 if padded else 0)
    return UNLIMITED


def _relative_alone(config: Any) -> bool:
    """Whether the configuration adds no position to the input: ALiBi (Falcon), or relative terms alone (DeBERTa-v3)."""
    biased = getattr(config, "position_biased_input", True)
    return bool(getattr(config, "alibi", False)) or (not biased and bool(getattr(config, "relative_attention", False)))
