"""How attention forms in training: one text recorded at every snapshot of a history, measured, and where a head changed."""
