"""Atlas: every head of every layer as a thumbnail, sorted and filtered."""

from viz.ui.atlas import page as atlas
from viz.ui.shared import page, page_text

trace = page.open("atlas")
atlas.show(trace)
page_text.notes("atlas")
