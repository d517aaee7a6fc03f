"""Which checkpoints there are, read from their cards alone: importing this does not import torch."""

from __future__ import annotations

import json
from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "checkpoints"


def shipped() -> dict[str, dict]:
    """Name -> model card of every checkpoint that ships, the translator first."""
    cards = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SHIPPED.glob("*/card.json"))
    }
    return dict(sorted(cards.items(), key=lambda item: (item[0] != "translate", item[0])))
