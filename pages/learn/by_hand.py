"""By hand: self-attention small enough for paper and pencil, every number editable."""

from viz.ui.by_hand import page as by_hand
from viz.ui.shared import page_text

page_text.title("by_hand")
by_hand.show()
page_text.notes("by_hand")
