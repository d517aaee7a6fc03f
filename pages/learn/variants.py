"""Variants."""

from viz.ui import panels

panels.title("variants")
panels.notes("variants")
