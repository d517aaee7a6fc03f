"""Measures: what every head does, in numbers."""

from viz.ui.measures import page as measures
from viz.ui.shared import page, page_text

trace = page.open("measures")
measures.show(trace)
page_text.notes("measures")
