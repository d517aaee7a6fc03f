"""Overview: the sentence, its translation, and the whole model with what each part computed."""

from viz.ui.overview import media
from viz.ui.overview import page as overview
from viz.ui.shared import page, page_text, side_bar

page_text.headline()
trace = page.shown(card_hint=True)
side_bar.overview_switches(trace)
media.shown(trace)
overview.model_picture(trace)
page_text.notes(overview.notes_key(trace))
