"""Families."""

from viz.ui import panels

panels.title("families")
panels.notes("families")
