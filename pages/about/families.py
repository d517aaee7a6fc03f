"""Families: from the Transformer of 2017 to its descendants, what each changed, and a small one of each to open."""

from viz.ui import families, panels

panels.title("families")
families.show()
panels.notes("families")
