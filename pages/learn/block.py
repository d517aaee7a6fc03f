"""The block."""

from viz.ui import panels

panels.title("block")
panels.notes("block")
