"""Texts to a library model's tokens and back to something a person reads."""
