"""Output: what the model makes of its input, and what else it might have said."""

from viz.ui import output, output_heads, page, panels

trace = page.open("output")
output.show(trace)
singly = output_heads.singly(trace)
panels.notes("output.vectors" if output.is_vector(trace) else "output.alone" if singly else "output")
