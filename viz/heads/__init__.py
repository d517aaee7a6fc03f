"""Pictures of attention heads: matrices, lines, ribbons, thumbnails."""
