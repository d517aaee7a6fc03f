"""Text: the text itself, coloured by what a head attends to from a chosen token."""

from viz.ui.shared import page, page_text
from viz.ui.text import page as text_page

trace = page.open("reading")
text_page.show(trace)
page_text.notes("reading")
