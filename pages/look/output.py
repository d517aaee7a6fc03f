"""Output: what the model makes of its input, and what else it might have said."""

from viz.ui.output import page as output
from viz.ui.shared import page

trace = page.open("output")
output.show(trace)
output.notes(trace)
