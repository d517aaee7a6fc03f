"""Edits of a run on their way into the model: worked out on a run without them, and applied while it runs."""
