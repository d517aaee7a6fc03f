"""Corpus: how every head behaves over thousands of texts, and which texts are typical or extreme for it."""

from viz.ui.corpus import page as corpus
from viz.ui.shared import page_text

page_text.title("corpus")
corpus.show()
page_text.notes("corpus")
