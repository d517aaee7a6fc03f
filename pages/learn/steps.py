"""Step by step: the arithmetic of the selected head, from its input to the normalised output, on the real numbers."""

from viz.ui import arithmetic, controls, panels, session

panels.title("steps")
trace = session.current_trace()
panels.notices(trace)
controls.head_picker(trace, words=False)
controls.cell_picker(trace)
panels.selection_line(trace)
arithmetic.steps(trace)
panels.notes("steps")
