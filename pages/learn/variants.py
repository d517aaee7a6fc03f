"""Variants: one change at a time on the selected head's recorded q, k and v, its weights before and after."""

from viz.ui.shared import page, page_text, side_bar
from viz.ui.variants import page as variants

trace = page.open("variants")
side_bar.head_picker(trace, words=False)
page_text.selection_line(trace)
variants.show(trace)
page_text.notes("variants")
