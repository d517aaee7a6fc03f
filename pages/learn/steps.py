"""Step by step: the arithmetic of the selected head, from its input to the normalised output, on the real numbers."""

from viz.ui import arithmetic, controls, page, panels

trace = page.open("steps")
controls.head_picker(trace, words=False)
controls.cell_picker(trace)
panels.selection_line(trace)
arithmetic.steps(trace)
panels.notes("steps")
