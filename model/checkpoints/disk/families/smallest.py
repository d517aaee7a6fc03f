"""A tiny random model of each family, and inputs for it, for the tests that every family has to pass."""

from __future__ import annotations

from typing import Any

from model.checkpoints.disk.families.family import VOCABULARY, Family


def small_inputs(family: Family, encoder_decoder: bool, n: int = 24, m: int = 9, seed: int = 1) -> dict[str, Any]:
    """Random inputs of batch 1 for `small_model`: n source tokens (or a picture, or sound) and m target tokens.

    A dual encoder is given a text of m tokens beside its picture.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    if family.reads == "pictures":
        found = {"pixel_values": torch.randn(1, 3, 16, 16, generator=generator)}
        texts = {"input_ids": torch.randint(4, VOCABULARY, (1, m), generator=generator)}
        target = {"decoder_input_ids": torch.randint(4, VOCABULARY, (1, m), generator=generator)}
        return found | (texts if family.architecture == "dual encoder" else target if encoder_decoder else {})
    if family.reads == "sound":
        mel = "num_mel_bins" in family.small
        found = {"input_features": torch.randn(1, 8, 40, generator=generator)} if mel else {
            "input_values": torch.randn(1, 4000, generator=generator)}  # fmt: skip
    else:
        found = {"input_ids": torch.randint(4, VOCABULARY, (1, n), generator=generator)}
    target = {"decoder_input_ids": torch.randint(4, VOCABULARY, (1, m), generator=generator)}
    return found | (target if encoder_decoder else {})


def small_model(family: Family, seed: int = 0, sharpen: float | None = None):
    """A tiny random model of the family, its matrices times `sharpen` (else `Family.sharpen`). Untrained."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, family.config)(**family.small)
    model = getattr(transformers, family.model)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(family.sharpen if sharpen is None else sharpen)
    return model
