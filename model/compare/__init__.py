"""Heads, runs and checkpoints held against each other."""
