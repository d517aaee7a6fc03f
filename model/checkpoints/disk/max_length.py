"""How many tokens the positions of a library model allow."""

from __future__ import annotations

from typing import Any

UNLIMITED = 1_000_000
# Their positions begin after the padding id's, so that many of the table's rows are never used.
_PADDED_POSITIONS = {
    "roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl", "roberta-prelayernorm", "ibert", "xmod",
    "esm", "luke", "data2vec-text",
}  # fmt: skip
# Positions relative to each other alone: their n_positions is the length of the texts they were trained on.
_RELATIVE = {"t5", "mt5", "umt5", "longt5", "switch_transformers", "xlnet"}


def longest(config: Any) -> int:
    """Tokens that the positions allow; `UNLIMITED` where the configuration sets no limit or has no absolute positions."""
    if _relative(config):
        return UNLIMITED
    for name in ("max_position_embeddings", "n_positions", "n_ctx"):
        if isinstance(getattr(config, name, None), int) and getattr(config, name) > 0:
            padded = config.model_type in _PADDED_POSITIONS and config.pad_token_id is not None
            return getattr(config, name) - (config.pad_token_id + 1 if padded else 0)
    return UNLIMITED


def _relative(config: Any) -> bool:
    if config.model_type in ("deberta", "deberta-v2"):  # version 3 adds no position to its input
        return not getattr(config, "position_biased_input", True) and bool(getattr(config, "relative_attention", False))
    if config.model_type == "falcon":
        return bool(getattr(config, "alibi", False))
    return config.model_type in _RELATIVE
