"""Finding, opening and describing checkpoints."""
