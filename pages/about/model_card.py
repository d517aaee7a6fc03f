"""Model card: what the model is, how it was trained, how well it does, and what it knows."""

from viz.ui.model_card import page as model_card
from viz.ui.shared import page_text
from viz.ui.state import current_run

page_text.title("model_card")
model = current_run.model()
model_card.show(model)
if model is not None:
    page_text.notes(model_card.notes_key(model))
