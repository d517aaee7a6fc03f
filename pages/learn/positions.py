"""Positions."""

from viz.ui import panels

panels.title("positions")
panels.notes("positions")
