"""Output: what the model makes of its input, and what else it might have said."""

from viz.ui.output import page as output
from viz.ui.output import task_outputs
from viz.ui.shared import page, page_text

trace = page.open("output")
output.show(trace)
independent = task_outputs.independent_outputs(trace)
page_text.notes("output.vectors" if output.is_vector(trace) else "output.alone" if independent else "output")
