"""Models: what can be opened, what it costs, and how to get more."""

from viz.ui.models import page as models
from viz.ui.shared import page_text

page_text.title("models")
models.show()
page_text.notes("models")
