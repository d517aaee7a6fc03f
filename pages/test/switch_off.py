"""Switch off: a head taken out of a run, a key hidden from it, what the model then says, and which heads it can do without."""

from viz.ui.shared import page
from viz.ui.switch_off import page as switch_off

switch_off.show(page.open("switch_off"))
page.page_text.notes("switch_off")
