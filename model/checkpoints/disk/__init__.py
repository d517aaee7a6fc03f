"""Checkpoints on disk, described from headers and configuration before anything is loaded."""
