"""Train: begin a training, watch it, stop it and go on with it, and open what it made."""

from viz.ui.shared import page_text
from viz.ui.train import page as train

page_text.title("train")
part = train.show()
page_text.notes("train", "" if part == "new" else part)
