"""How a run of a library model is recorded, with its fused attention kept."""
