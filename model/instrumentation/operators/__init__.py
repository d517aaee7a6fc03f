"""Attention found by following the operators of a forward, whoever wrote the model: one recorder for any PyTorch module."""
