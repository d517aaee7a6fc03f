"""Families: from the Transformer of 2017 to its descendants, what each changed, and a small one of each to open."""

from viz.ui.families import page as families
from viz.ui.shared import page_text

page_text.title("families")
families.show()
page_text.notes("families")
