"""Overview: the sentence, its translation, and the whole model with what each part computed."""

from viz.ui import controls, page, panels, picture

panels.headline()
trace = page.shown(look=True)
controls.overview_switch(trace)
picture.model_picture(trace)
panels.notes(picture.notes_key(trace))
