"""Generation."""

from viz.ui import panels

panels.title("generation")
panels.notes("generation")
