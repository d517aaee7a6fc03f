"""Encoder–decoder."""

from viz.ui import panels

panels.title("encoder_decoder")
panels.notes("encoder_decoder")
