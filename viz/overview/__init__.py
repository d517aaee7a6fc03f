"""The picture of the whole model."""
