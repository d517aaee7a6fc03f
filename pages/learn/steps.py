"""Step by step: the arithmetic of the selected head, from its input to the normalised output, on the real numbers."""

from viz.ui.shared import page, page_text, side_bar
from viz.ui.steps import page as steps

trace = page.open("steps")
side_bar.head_picker(trace, words=False)
side_bar.cell_picker(trace)
page_text.selection_line(trace)
steps.steps(trace)
page_text.notes("steps")
