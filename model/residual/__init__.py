"""The residual stream: what each sub-layer adds to it, its norm, neurons and activations by layer."""
