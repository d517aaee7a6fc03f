"""Whether a saved trace is one: what its description may say, and whether its tensors belong together."""
