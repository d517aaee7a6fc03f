"""By hand: self-attention small enough for paper and pencil, every number editable."""

from viz.ui import by_hand, panels

panels.title("by_hand")
by_hand.show()
panels.notes("by_hand")
