"""Models: what can be opened, what it costs, and how to get more."""

from viz.ui import opening, panels

panels.title("models")
opening.show()
panels.notes("models")
