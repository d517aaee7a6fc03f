"""Tests of every level; `python -m tests` runs them all."""
