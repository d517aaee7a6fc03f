"""What one run did: the record of every attention sub-layer, the trace that holds them, its file, and how well it checks."""
