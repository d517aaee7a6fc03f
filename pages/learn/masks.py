"""Masks."""

from viz.ui import panels

panels.title("masks")
panels.notes("masks")
