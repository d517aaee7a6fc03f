"""Charts of heads and checkpoints held against each other."""
