"""Comparing heads, runs and checkpoints."""
