"""Model card: what the model is, how it was trained, how well it does, and what it knows."""

from viz.ui import card, panels, runs

panels.title("model_card")
model = runs.model()
card.show(model)
if model is not None:
    panels.notes(card.notes_key(model))
