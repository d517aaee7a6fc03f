"""Evaluate: a model on a file, in numbers and example by example, and a few steps of fine-tuning."""

from viz.ui.evaluate import page as evaluate
from viz.ui.shared import page_text

page_text.title("evaluate")
part = evaluate.show()
page_text.notes("evaluate", "" if part == "score" else part)
