"""Heads together."""

from viz.ui import panels

panels.title("together")
panels.notes("together")
