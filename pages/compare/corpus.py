"""Corpus: how every head behaves over thousands of texts, and which texts are typical or extreme for it."""

from viz.ui import corpus, panels

panels.title("corpus")
corpus.show()
panels.notes("corpus")
