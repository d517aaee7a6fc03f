"""Recording any PyTorch module with attention in it."""
